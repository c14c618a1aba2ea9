/* What an image carries with it (stage_describe.c), read from wherever it lies, without our store.
 */
#pragma once

#include "base/signing.h"
#include "image/artifact.h"
#include "image/place.h"

typedef struct {
    char *digest;      /* of the image */
    char *signer;      /* keyid of the envelope; NULL: it is not signed, a description */
    bool verified;     /* by the key that was given */
    json_t *timeline;  /* {model, version, project, attempt, events} */
    json_t *statement; /* in-toto */
    Artifact *artifact;
} Carried;
void carried_free(Carried *carried);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Carried, carried_free)

/* Of what is said of an image the import that ended last. key (may be NULL): only what it has
 * signed counts. What cannot be read is passed over, as long as something can; else the first
 * error, such as SIGNING_ERROR_INVALID. NULL with *error unset: the image carries nothing. */
Carried *carried_find(Registry *registry, const char *digest, const SigningKey *key,
                      GError **error);
/* The same of what a reference names. */
Carried *carried_read(const ImagePlace *place, const Reference *reference, const SigningKey *key,
                      GError **error);
