#include "event/timeline_old.h"

static void timeline_attempt_free(gpointer data)
{
    TimelineAttempt *one = data;
    g_free(one->model_id);
    g_free(one);
}

GPtrArray *timeline_attempts_before(Db *db, int64_t time, GError **error)
{
    GError *failure = NULL;
    g_autoptr(GPtrArray) attempts = g_ptr_array_new_with_free_func(timeline_attempt_free);
    g_autoptr(DbRows) rows = db_query(
        db, error,
        "SELECT e.model_id, e.attempt FROM events e JOIN models m ON m.id = e.model_id WHERE "
        "m.deleted_at IS NULL AND e.attempt < m.attempt AND e.attempt <> coalesce((SELECT "
        "max(i.attempt) FROM attempts i WHERE i.model_id = m.id AND i.outcome = 'imported'), -1) "
        "GROUP BY e.model_id, e.attempt HAVING max(e.occur_time) < $1 ORDER BY 1, 2",
        "i", time);
    while (rows && db_next(rows, &failure)) {
        TimelineAttempt *one = g_new(TimelineAttempt, 1);
        *one = (TimelineAttempt){g_strdup(db_text(rows, 0)), (int)db_int(rows, 1)};
        g_ptr_array_add(attempts, one);
    }
    if (failure)
        g_propagate_error(error, failure);
    return rows && !failure ? g_steal_pointer(&attempts) : NULL;
}

bool timeline_forget(Db *db, const char *model_id, int attempt, GError **error)
{
    return db_exec(db, error, "DELETE FROM events WHERE model_id = $1 AND attempt = $2", "si",
                   model_id, (int64_t)attempt) &&
           db_exec(db, error, "DELETE FROM build_log WHERE model_id = $1 AND attempt = $2", "si",
                   model_id, (int64_t)attempt);
}
