/* Rows of the runtime table: which base image serves which engine. */
#pragma once

#include "store/db.h"

typedef struct {
    char *name;
    char *engine; /* NULL serves every engine */
    char *image;  /* the reference as it was given */
    char *platform, *digest, *media_type;
    int64_t manifest_size, size, created_at;
} Runtime;

void runtime_free(Runtime *runtime);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Runtime, runtime_free)

GPtrArray *runtimes_list(Db *db, GError **error);
/* NULL with *error unset: none of that name. */
Runtime *runtime_find(Db *db, const char *name, GError **error);
/* The first that serves the engine. NULL with *error unset: none. */
Runtime *runtime_for_engine(Db *db, const char *engine, GError **error);
/* Adds it, or replaces the one of its name. */
bool runtime_put(Db *db, const Runtime *runtime, GError **error);
bool runtime_remove(Db *db, const char *name, GError **error);
bool runtime_serves(const Runtime *runtime, const char *engine);
