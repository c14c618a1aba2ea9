/* Names of images (images.md, "Names"). */
#pragma once

#include <glib.h>
#include <stdbool.h>

#define REFERENCE_PLAIN_HTTP "registry+http://" /* in front of a registry without TLS */

typedef enum { REFERENCE_LAYOUT, REFERENCE_REGISTRY } ReferenceKind;

typedef struct {
    ReferenceKind kind;
    bool plain_http;  /* registry+http:// */
    char *host;       /* HOST[:PORT] of a registry; NULL of a layout */
    char *directory;  /* of a layout; NULL of a registry */
    char *repository; /* of a registry; of a layout NULL */
    char *tag;        /* of a layout: the ref.name; NULL with a digest */
    char *digest;     /* valid, or NULL */
    char *text;       /* as it was written */
} Reference;

/* `[registry+http://]HOST[:PORT]/REPOSITORY(:TAG|@DIGEST)` or `oci:DIR:TAG` or `oci:DIR@DIGEST`.
 *
 * The directory of a layout ends at its first colon, as in skopeo and umoci, for a tag may have one
 * (PROJECT/REPOSITORY:VERSION). The host of a registry has a dot or a colon or is "localhost";
 * repository, tag and digest follow the distribution-spec. There is no default host and no default
 * tag. *error (domain REFERENCE_ERROR, always UTF-8) names what was found and what is expected. */
Reference *reference_parse(const char *text, GError **error);
void reference_free(Reference *reference);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Reference, reference_free)

#define REFERENCE_ERROR (reference_error_quark())
GQuark reference_error_quark(void);
typedef enum { REFERENCE_ERROR_SYNTAX } ReferenceError;

/* Whether these follow the distribution-spec ("Pulling manifests", <name> and <reference>); a name
 * of at most 255 bytes. */
bool reference_is_repository(const char *text);
bool reference_is_tag(const char *text);

/* A model's or project's name as a repository: itself, or "x--" + base32 of the first 10 bytes of
 * its SHA-256. */
char *reference_encode_name(const char *name);
/* PROJECT/REPOSITORY, both as above. */
char *reference_repository(const char *project, const char *name);
/* PROJECT/REPOSITORY:VERSION: the ref.name in a layout. */
char *reference_name(const char *project, const char *name, const char *version);
