/* Requests that are signed with an AK/SK pair: SDK-HMAC-SHA256 (specification, api.md,
 * "Authentication"), as the public SDKs of ModelArts sign them. Strings in, verdict out.
 *
 *   Authorization: SDK-HMAC-SHA256 Access=AK, SignedHeaders=a;b, Signature=HEX
 *   X-Sdk-Date: YYYYMMDDTHHMMSSZ
 *
 * A request may be sent again within the 15 minutes that its date is good for: the scheme has no
 * nonce, as the original has none. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define SIGNATURE_ERROR (signature_error_quark())
GQuark signature_error_quark(void);
typedef enum {
    SIGNATURE_ERROR_MALFORMED, /* what a client cannot have meant */
    SIGNATURE_ERROR_SKEWED,    /* X-Sdk-Date is too far from our clock */
    SIGNATURE_ERROR_WRONG      /* not what we compute */
} SignatureError;

#define SIGNATURE_SCHEME    "SDK-HMAC-SHA256"
#define SIGNATURE_UNSIGNED  "UNSIGNED-PAYLOAD"
#define SIGNATURE_WINDOW_MS 900000
#define SIGNATURE_BYTES     32

typedef struct {
    const char *name, *value;
} SignatureHeader;

/* A request as it was sent; all borrowed. */
typedef struct {
    const char *method;
    const char *target; /* path and query, still encoded */
    const SignatureHeader *headers;
    gsize header_count;
} SignatureRequest;

/* What its Authorization header claims. */
typedef struct {
    char *access;  /* the access key's id */
    char **names;  /* of the signed headers, in their order, lower case */
    char *date;    /* X-Sdk-Date */
    char *payload; /* X-Sdk-Content-Sha256: 64 hex digits or SIGNATURE_UNSIGNED;
                      NULL: not sent, the body's own hash is what was signed */
    unsigned char value[SIGNATURE_BYTES];
} Signature;
void signature_free(Signature *signature);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Signature, signature_free)

/* Whether an Authorization header speaks of this scheme. */
bool signature_is_meant(const char *authorization);
/* SIGNATURE_ERROR_MALFORMED, SIGNATURE_ERROR_SKEWED; `now` is ms since 1970. */
Signature *signature_read(const SignatureRequest *request, int64_t now, GError **error);

/* The canonical request, whose hash is what is signed. `payload`: its last line. Each segment of
 * the path and each part of the query is decoded and encoded once, so that %7e and ~ are one; %2F
 * stays within its segment, and + in a query is a blank, as for the handlers: what is verified is
 * what is run. NULL: a path or query that has a bad encoding. The caller frees it. */
char *signature_canonical(const SignatureRequest *request, char *const *names, const char *payload);
/* Whether the request was signed with the secret key. `body`: the body's SHA-256 in hex, which
 * counts where the signature says none. Takes the same time whatever the signature is. */
bool signature_verify(const Signature *signature, const SignatureRequest *request,
                      const char *secret, const char *body);

/* Whether the body is what the head, verified before, speaks of. */
bool signature_fits_body(const Signature *signature, const char *body);

/* SHA-256 in lower-case hex as it comes in parts: of a body while it is read. */
#define SIGNATURE_HEX_LENGTH (2 * SIGNATURE_BYTES)
typedef struct BodyHash BodyHash;
BodyHash *body_hash_new(void);
void body_hash_free(BodyHash *hash);
void body_hash_update(BodyHash *hash, const void *data, gsize size);
/* Only body_hash_free may follow. */
void body_hash_finish(BodyHash *hash, char hex[SIGNATURE_HEX_LENGTH + 1]);
