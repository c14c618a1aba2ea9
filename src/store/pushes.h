/* Blobs on their way into a repository of the registry: the sessions of its uploads
 * (distribution-spec, "Pushing blobs"). A row says whose it is; what has arrived is a file of the
 * layout, DIR/partial/ID. Rows are written in the caller's transaction. */
#pragma once

#include "store/db.h"

/* The id is a new UUID. */
bool push_insert(Db *db, const char *id, const char *project, const char *repository,
                 const char *owner, GError **error);
/* *written_at: when the session of that repository was last written to (ms since 1970); -1: it has
 * none. */
bool push_find(Db *db, const char *id, const char *project, const char *repository,
               int64_t *written_at, GError **error);
bool push_delete(Db *db, const char *id, GError **error);
/* It was written to. */
bool push_touch(Db *db, const char *id, GError **error);
bool pushes_count(Db *db, const char *project, int64_t *count, GError **error);
/* The one of the project that nobody wrote to for longest, and not since `before` (ms since 1970).
 * NULL with *error unset: there is none. The caller frees it. */
char *push_quietest(Db *db, const char *project, int64_t before, GError **error);
/* Those that nobody wrote to since then: char *. */
GPtrArray *pushes_expired(Db *db, int64_t before, GError **error);
