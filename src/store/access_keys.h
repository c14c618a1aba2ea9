/* Rows of access keys: AK/SK pairs that requests are signed with (SDK-HMAC-SHA256). The secret key
 * is sealed in the store and shown once, when it is made. */
#pragma once

#include "base/seal.h"
#include "store/caller.h"
#include "store/db.h"

#define ACCESS_KEY_ID_LENGTH     20 /* upper-case letters and digits */
#define ACCESS_KEY_SECRET_LENGTH 40

typedef struct {
    char *id, *project, *user;
    Role role;
    int64_t created_at, expires_at, revoked_at, used_at; /* 0: never */
    char *sealed;
} AccessKey;
void access_key_free(AccessKey *access_key);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AccessKey, access_key_free)

/* Inserts a new one and fills in its id and created_at. *secret is freed with seal_forget. */
bool access_key_create(Db *db, const SealKey *key, AccessKey *access_key, char **secret,
                       GError **error);
/* The newest last; of a project, or NULL: all. */
GPtrArray *access_keys_list(Db *db, const char *project, GError **error);
/* NULL with *error unset: none of that id. */
AccessKey *access_key_find(Db *db, const char *id, GError **error);
/* Freed with seal_forget. */
char *access_key_secret(const AccessKey *access_key, const SealKey *key, GError **error);
/* Whether requests may still be signed with it. */
bool access_key_is_valid(const AccessKey *access_key, int64_t now);

/* *found false: there is none, or it was revoked before. */
bool access_key_revoke(Db *db, const char *id, bool *found, GError **error);
/* Notes that it was used now, where the note is older than ten minutes: a request costs no write.
 */
bool access_key_used(Db *db, const AccessKey *access_key, int64_t now, GError **error);
