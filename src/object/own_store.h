/* The service's own copies of model files (objects.url), in a bucket of an S3 service:
 *
 *   PREFIX/PROJECT/MODEL_ID/CHILD/PATH
 *
 * What lies in a bucket of the same service, and is read with the same keys, is copied there; other
 * bytes pass through here, in parts. What a former attempt copied, and is the same still, stays. */
#pragma once

#include "model/package.h"
#include "object/s3.h"

typedef struct OwnStore OwnStore;

/* Whether objects.url is set. */
bool own_store_is_set(const Settings *settings);
/* Whether it is what it may be: nothing, or a bucket at an endpoint that is one (SETTINGS_ERROR).
 */
bool own_store_check(const Settings *settings, GError **error);
/* Of settings that are sound. NULL: *error, libcurl cannot be used. */
OwnStore *own_store_open(const Settings *settings, Progress *progress, GError **error);
void own_store_free(OwnStore *store);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(OwnStore, own_store_free)
S3 *own_store_s3(OwnStore *store);
/* "s3://BUCKET/PREFIX/DIRECTORY"; directory "": the whole. The caller frees it. */
char *own_store_place(const OwnStore *store, const char *directory);

/* The key of a name beneath the prefix. The caller frees it. */
char *own_store_key(const OwnStore *store, const char *name);

typedef struct {
    int64_t files, bytes; /* of the package */
    int64_t copied_there; /* bytes that the service copied by itself */
    int64_t kept;         /* bytes that were there */
    bool acls;            /* the bucket knows ACLs */
} OwnCopy;
/* Makes the bucket where it is missing, and the package's files objects beneath the directory.
 * False: *finding (42, 11, 29) says what failed, or *error that it was stopped or cannot be used.
 */
bool own_store_keep(OwnStore *store, Package *package, const char *directory, OwnCopy *copy,
                    Event **finding, GError **error);

/* The package's files as they lie there. Takes the store over. */
PackageSource *own_store_source(OwnStore *store, const char *directory);

/* Whether `text` means a place in the store, or one that holds it. */
bool own_store_holds(const Settings *settings, const char *text);

/* Calls `look` for each model that has something there, until it returns false. */
bool own_store_models(OwnStore *store,
                      bool (*look)(gpointer data, const char *directory, GError **error),
                      gpointer data, GError **error);
/* Deletes what lies beneath the directory. *bytes: how much it was. */
bool own_store_remove(OwnStore *store, const char *directory, bool dry_run, int64_t *bytes,
                      GError **error);
