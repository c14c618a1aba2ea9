#include "store/pushes.h"

#include "base/clock.h"

bool push_insert(Db *db, const char *id, const char *project, const char *repository,
                 const char *owner, GError **error)
{
    return db_exec(db, error,
                   "INSERT INTO registry_uploads(id, project, repository, owner, written_at) "
                   "VALUES ($1, $2, $3, $4, $5)",
                   "ssssi", id, project, repository, owner, clock_now_ms());
}

bool push_find(Db *db, const char *id, const char *project, const char *repository,
               int64_t *written_at, GError **error)
{
    return db_query_int(db, written_at, -1, error,
                        "SELECT written_at FROM registry_uploads WHERE id = $1 AND project = $2 "
                        "AND repository = $3",
                        "sss", id, project, repository);
}

bool push_delete(Db *db, const char *id, GError **error)
{
    return db_exec(db, error, "DELETE FROM registry_uploads WHERE id = $1", "s", id);
}

bool push_touch(Db *db, const char *id, GError **error)
{
    return db_exec(db, error, "UPDATE registry_uploads SET written_at = $2 WHERE id = $1", "si", id,
                   clock_now_ms());
}

bool pushes_count(Db *db, const char *project, int64_t *count, GError **error)
{
    return db_query_int(db, count, 0, error,
                        "SELECT count(*) FROM registry_uploads WHERE project = $1", "s", project);
}

char *push_quietest(Db *db, const char *project, int64_t before, GError **error)
{
    g_autoptr(DbRows) rows =
        db_query(db, error,
                 "SELECT id FROM registry_uploads WHERE project = $1 AND written_at < $2 ORDER BY "
                 "written_at LIMIT 1",
                 "si", project, before);
    return rows && db_next(rows, error) ? g_strdup(db_text(rows, 0)) : NULL;
}

GPtrArray *pushes_expired(Db *db, int64_t before, GError **error)
{
    GError *failure = NULL;
    g_autoptr(GPtrArray) ids = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(DbRows) rows =
        db_query(db, &failure, "SELECT id FROM registry_uploads WHERE written_at < $1", "i",
                 before);
    while (rows && db_next(rows, &failure))
        g_ptr_array_add(ids, g_strdup(db_text(rows, 0)));
    if (failure)
        g_propagate_error(error, failure);
    return failure ? NULL : g_steal_pointer(&ids);
}
