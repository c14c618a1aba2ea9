/* Rows of credentials: a project's logins at registries and object stores, sealed. A project has
 * one for each kind and host, and no other project's. */
#pragma once

#include "base/seal.h"
#include "store/db.h"

#define CREDENTIAL_REGISTRY     "registry"
#define CREDENTIAL_S3           "s3"
#define CREDENTIAL_SECRET_BYTES 8192 /* at most */

typedef struct {
    char *project, *kind, *host, *user; /* user: "" where there is none */
    int64_t created_at;
    char *sealed;
} Credential;
void credential_free(Credential *credential);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Credential, credential_free)

/* NULL, or what is wrong with it, as "host is …; expected …". host becomes lower case. The caller
 * frees it. */
char *credential_check(Credential *credential, const char *secret);

/* Adds it, or replaces the one of its project, kind and host; fills in sealed and created_at. */
bool credential_put(Db *db, const SealKey *key, Credential *credential, const char *secret,
                    GError **error);
GPtrArray *credentials_list(Db *db, const char *project, GError **error);
/* *found false: there is none. */
bool credential_remove(Db *db, const char *project, const char *kind, const char *host, bool *found,
                       GError **error);
/* What a project logs in with at HOST[:PORT], whatever the case. NULL with *error unset: it has
 * none. */
Credential *credential_find(Db *db, const char *project, const char *kind, const char *host,
                            GError **error);
/* Freed with seal_forget. */
char *credential_secret(const Credential *credential, const SealKey *key, GError **error);
