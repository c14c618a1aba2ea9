#include "store/projects.h"

#include "base/clock.h"

bool project_make(Db *db, const char *id, GError **error)
{
    return db_exec(db, error,
                   "INSERT INTO projects(id, created_at) VALUES ($1, $2) ON CONFLICT DO NOTHING",
                   "si", id, clock_now_ms());
}

GPtrArray *projects_list(Db *db, GError **error)
{
    g_autoptr(GPtrArray) ids = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(DbRows) rows = db_query(db, error, "SELECT id FROM projects ORDER BY id", "");
    GError *failure = NULL;
    while (rows && db_next(rows, &failure))
        g_ptr_array_add(ids, g_strdup(db_text(rows, 0)));
    if (failure)
        g_propagate_error(error, failure);
    return rows && !failure ? g_steal_pointer(&ids) : NULL;
}
