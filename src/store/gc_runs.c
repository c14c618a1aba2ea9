#include "store/gc_runs.h"

void gc_run_free(GcRun *run)
{
    if (!run)
        return;
    g_free(run->outcome);
    g_free(run->worker);
    g_free(run->result);
    g_free(run);
}

GcRun *gc_run_load(Db *db, GError **error)
{
    g_autoptr(DbRows) rows =
        db_query(db, error, "SELECT began_at, ended_at, outcome, worker, result FROM gc_runs", "");
    if (!rows || !db_next(rows, error))
        return NULL;
    GcRun *run = g_new0(GcRun, 1);
    *run = (GcRun){.began_at = db_int(rows, 0),
                   .ended_at = db_int(rows, 1),
                   .outcome = g_strdup(db_text(rows, 2)),
                   .worker = g_strdup(db_text(rows, 3)),
                   .result = g_strdup(db_text(rows, 4))};
    return run;
}

bool gc_run_put(Db *db, const GcRun *run, GError **error)
{
    return db_exec(db, error,
                   "INSERT INTO gc_runs(id, began_at, ended_at, outcome, worker, result) VALUES "
                   "(1, $1, CASE WHEN $2 = 0 THEN NULL ELSE $2 END, $3, $4, $5) ON CONFLICT(id) DO "
                   "UPDATE SET began_at = excluded.began_at, ended_at = excluded.ended_at, outcome "
                   "= excluded.outcome, worker = excluded.worker, result = excluded.result",
                   "iisss", run->began_at, run->ended_at, run->outcome, run->worker, run->result);
}
