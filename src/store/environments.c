#include "store/environments.h"

#include "base/clock.h"

void environment_free(Environment *environment)
{
    if (!environment)
        return;
    g_free(environment->key);
    g_free(environment->inputs);
    g_free(environment->base_digest);
    g_free(environment->layer);
    g_free(environment->packages);
    g_free(environment->first_model);
    g_free(environment);
}

#define COLUMNS                                                                     \
    "SELECT key, inputs, base_digest, layer, layer_size, files, packages, pinned, " \
    "first_model, build_ms, created_at FROM environments "

static Environment *environment_of_row(DbRows *rows)
{
    Environment *environment = g_new0(Environment, 1);
    environment->key = g_strdup(db_text(rows, 0));
    environment->inputs = g_strdup(db_text(rows, 1));
    environment->base_digest = g_strdup(db_text(rows, 2));
    environment->layer = g_strdup(db_text(rows, 3));
    environment->layer_size = db_int(rows, 4);
    environment->files = db_int(rows, 5);
    environment->packages = g_strdup(db_text(rows, 6));
    environment->pinned = db_int(rows, 7) != 0;
    environment->first_model = g_strdup(db_text(rows, 8));
    environment->build_ms = db_int(rows, 9);
    environment->created_at = db_int(rows, 10);
    return environment;
}

Environment *environment_find(Db *db, const char *key, GError **error)
{
    g_autoptr(DbRows) rows = db_query(db, error, COLUMNS "WHERE key = $1", "s", key);
    return rows && db_next(rows, error) ? environment_of_row(rows) : NULL;
}

GPtrArray *environments_newest(Db *db, int count, GError **error)
{
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func((GDestroyNotify)environment_free);
    g_autoptr(DbRows) rows =
        db_query(db, error, COLUMNS "ORDER BY created_at DESC, key LIMIT $1", "i", (int64_t)count);
    GError *failure = NULL;
    while (rows && db_next(rows, &failure))
        g_ptr_array_add(list, environment_of_row(rows));
    if (failure)
        g_propagate_error(error, failure);
    return rows && !failure ? g_steal_pointer(&list) : NULL;
}

bool environment_put(Db *db, const Environment *environment, GError **error)
{
    return db_exec(db, error,
                   "INSERT INTO environments(key, inputs, base_digest, layer, layer_size, files, "
                   "packages, pinned, first_model, build_ms, created_at, used_at) "
                   "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11) "
                   "ON CONFLICT(key) DO UPDATE SET layer = excluded.layer, "
                   "layer_size = excluded.layer_size, files = excluded.files, "
                   "packages = excluded.packages, first_model = excluded.first_model, "
                   "build_ms = excluded.build_ms, created_at = excluded.created_at, "
                   "used_at = excluded.used_at",
                   "ssssiisisii", environment->key, environment->inputs, environment->base_digest,
                   environment->layer, environment->layer_size, environment->files,
                   environment->packages, (int64_t)environment->pinned, environment->first_model,
                   environment->build_ms, environment->created_at);
}

bool environment_touch(Db *db, const char *key, GError **error)
{
    return db_exec(db, error, "UPDATE environments SET used_at = $2 WHERE key = $1", "si", key,
                   clock_now_ms());
}

bool environments_forget(Db *db, int *count, GError **error)
{
    int64_t found;
    if (!db_query_int(db, &found, 0, error,
                      "SELECT count(*) FROM environments WHERE base_digest NOT IN "
                      "(SELECT digest FROM runtimes)",
                      "") ||
        (found && !db_exec(db, error,
                           "DELETE FROM environments WHERE base_digest NOT IN "
                           "(SELECT digest FROM runtimes)",
                           "")))
        return false;
    *count = (int)found;
    return true;
}
