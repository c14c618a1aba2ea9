/* The key that statements are signed with, and the envelope that they are signed in: DSSE v1
 * (secure-systems-lab/dsse, protocol.md) with ECDSA P-256 over SHA-256, which cosign and others
 * verify.
 *
 * The key is DATA/signing.key (0600): PEM, PKCS #8. Its id is the SHA-256 of the public key's DER
 * form. */
#pragma once

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

#define SIGNING_ERROR (signing_error_quark())
GQuark signing_error_quark(void);
typedef enum {
    SIGNING_ERROR_KEY,     /* what is there cannot be a key */
    SIGNING_ERROR_EXISTS,  /* there is one already */
    SIGNING_ERROR_INVALID, /* an envelope that is none, or that this key has not signed */
} SigningError;

#define SIGNING_KEY_FILE "signing.key"

typedef struct SigningKey SigningKey;
/* Makes the key file of a directory. */
SigningKey *signing_key_create(int directory, GError **error);
/* NULL with *error unset: there is none. */
SigningKey *signing_key_open(int directory, GError **error);
/* A public (or private) key in PEM. */
SigningKey *signing_key_read(const char *pem, gsize size, GError **error);
void signing_key_free(SigningKey *key);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SigningKey, signing_key_free)

/* "sha256:…"; the key's own. */
const char *signing_key_id(const SigningKey *key);
/* The public key as PEM; the caller frees it. */
char *signing_key_public(const SigningKey *key, GError **error);

/* An envelope {payloadType, payload, signatures}; a new reference. */
json_t *signing_sign(const SigningKey *key, const char *payload_type, const void *payload,
                     gsize size, GError **error);
/* The payload of an envelope that the key has signed; key NULL: whoever did. */
GBytes *signing_open(const SigningKey *key, const json_t *envelope, GError **error);
/* keyid of the first signature; borrowed, NULL: none. */
const char *signing_signer(const json_t *envelope);
