/* Small secrets at rest: AES-256-GCM under one key, a fresh random nonce each time.
 *
 * The key is 32 random bytes: DATA/secret.key (0600), made when something is first sealed, or what
 * the setting security.secret_key says. What a secret belongs to ("access-key ABC") is
 * authenticated with it: a row's secret opens in that row only. A sealed text names its key by a
 * fingerprint, so that a wrong key and damage are told apart. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#define SEAL_ERROR (seal_error_quark())
GQuark seal_error_quark(void);
typedef enum {
    SEAL_ERROR_KEY,     /* there is no key, or what is there cannot be one */
    SEAL_ERROR_OTHER,   /* sealed with another key */
    SEAL_ERROR_DAMAGED, /* or sealed for something else */
} SealError;

#define SEAL_KEY_FILE  "secret.key"
#define SEAL_KEY_BYTES 32

typedef struct SealKey SealKey;
/* `setting` (security.secret_key): 64 hex digits, base64 of 32 bytes, or the absolute path of a
 * file that holds one of them or the bytes; "" is the key file of `directory`, whose name in
 * errors is `path`. `create`: it is made when it is not there. */
SealKey *seal_key_open(int directory, const char *path, const char *setting, bool create,
                       GError **error);
void seal_key_free(SealKey *key);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SealKey, seal_key_free)

/* Whether a key file may be one of ours: a regular file of this user's, for nobody else, of
 * SEAL_KEY_BYTES. Its bytes, or NULL. `missing` (may be NULL): there is none, and no error. */
GBytes *seal_key_file_read(int directory, const char *path, bool *missing, GError **error);

/* Printable text; the caller frees it. NULL: the system has no randomness. */
char *seal_text(const SealKey *key, const char *belongs_to, const char *secret, GError **error);
/* The secret; the caller frees it with seal_forget. */
char *seal_open(const SealKey *key, const char *belongs_to, const char *sealed, GError **error);
/* Overwrites and frees it; NULL is allowed. */
void seal_forget(char *secret);

/* `length` random characters of A-Z, 0-9 and, unless `upper`, a-z. The caller frees it. */
char *seal_random_text(int length, bool upper, GError **error);
