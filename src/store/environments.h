/* Rows of the environments that were built: the cache of environment images. */
#pragma once

#include "store/db.h"

typedef struct {
    char *key;
    char *inputs; /* JSON */
    char *base_digest;
    char *layer; /* digest and diff id; NULL: none was needed */
    int64_t layer_size, files;
    char *packages; /* JSON */
    bool pinned;
    char *first_model;
    int64_t build_ms, created_at;
} Environment;
void environment_free(Environment *environment);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Environment, environment_free)

/* NULL with *error unset: there is none. */
Environment *environment_find(Db *db, const char *key, GError **error);
/* The newest `count`, of Environment. */
GPtrArray *environments_newest(Db *db, int count, GError **error);
/* Adds it, or replaces the one of its key. */
bool environment_put(Db *db, const Environment *environment, GError **error);
bool environment_touch(Db *db, const char *key, GError **error);
/* Those on a base image that no runtime has any more; *count of them. */
bool environments_forget(Db *db, int *count, GError **error);
