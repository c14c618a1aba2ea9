#include "store/runtimes.h"

#include <string.h>

#include "base/clock.h"

void runtime_free(Runtime *runtime)
{
    if (!runtime)
        return;
    g_free(runtime->name);
    g_free(runtime->engine);
    g_free(runtime->image);
    g_free(runtime->platform);
    g_free(runtime->digest);
    g_free(runtime->media_type);
    g_free(runtime);
}

#define RUNTIME_COLUMNS                                                                          \
    "SELECT name, engine, image, platform, digest, media_type, manifest_size, size, created_at " \
    "FROM runtimes "

static Runtime *runtime_of_row(DbRows *rows)
{
    Runtime *runtime = g_new0(Runtime, 1);
    runtime->name = g_strdup(db_text(rows, 0));
    runtime->engine = g_strdup(db_text(rows, 1));
    runtime->image = g_strdup(db_text(rows, 2));
    runtime->platform = g_strdup(db_text(rows, 3));
    runtime->digest = g_strdup(db_text(rows, 4));
    runtime->media_type = g_strdup(db_text(rows, 5));
    runtime->manifest_size = db_int(rows, 6);
    runtime->size = db_int(rows, 7);
    runtime->created_at = db_int(rows, 8);
    return runtime;
}

GPtrArray *runtimes_list(Db *db, GError **error)
{
    g_autoptr(GPtrArray) runtimes = g_ptr_array_new_with_free_func((GDestroyNotify)runtime_free);
    g_autoptr(DbRows) rows = db_query(db, error, RUNTIME_COLUMNS "ORDER BY created_at, name", "");
    GError *failure = NULL;
    while (rows && db_next(rows, &failure))
        g_ptr_array_add(runtimes, runtime_of_row(rows));
    if (failure)
        g_propagate_error(error, failure);
    return rows && !failure ? g_steal_pointer(&runtimes) : NULL;
}

Runtime *runtime_find(Db *db, const char *name, GError **error)
{
    g_autoptr(DbRows) rows = db_query(db, error, RUNTIME_COLUMNS "WHERE name = $1", "s", name);
    return rows && db_next(rows, error) ? runtime_of_row(rows) : NULL;
}

Runtime *runtime_for_engine(Db *db, const char *engine, GError **error)
{
    g_autoptr(DbRows) rows =
        db_query(db, error,
                 RUNTIME_COLUMNS
                 "WHERE engine IS NULL OR engine = $1 ORDER BY created_at, name LIMIT 1",
                 "s", engine);
    return rows && db_next(rows, error) ? runtime_of_row(rows) : NULL;
}

bool runtime_put(Db *db, const Runtime *runtime, GError **error)
{
    return db_exec(
        db, error,
        "INSERT INTO runtimes(name, engine, image, platform, digest, media_type, manifest_size, "
        "size, created_at) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (name) DO UPDATE SET engine = "
        "excluded.engine, "
        "image = excluded.image, platform = excluded.platform, digest = excluded.digest, "
        "media_type = excluded.media_type, manifest_size = excluded.manifest_size, size = "
        "excluded.size",
        "ssssssiii", runtime->name, runtime->engine, runtime->image, runtime->platform,
        runtime->digest, runtime->media_type, runtime->manifest_size, runtime->size,
        clock_now_ms());
}

bool runtime_remove(Db *db, const char *name, GError **error)
{
    return db_exec(db, error, "DELETE FROM runtimes WHERE name = $1", "s", name);
}

bool runtime_serves(const Runtime *runtime, const char *engine)
{
    return !runtime->engine || g_strcmp0(runtime->engine, engine) == 0;
}
