#include "store/gc_runs.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"

#define HERE       "gc.json"
#define HERE_BYTES (1 << 20)

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

/* -- of a data directory -- */

GcRun *gc_run_load_here(const DataDirectory *data, GError **error)
{
    g_autoptr(GError) failure = NULL;
    g_autoptr(GBytes) bytes = io_read_file(data->fd, HERE, HERE_BYTES, &failure);
    if (!bytes) {
        if (!g_error_matches(failure, IO_ERROR, ENOENT))
            g_propagate_prefixed_error(error, g_steal_pointer(&failure), "%s: ", data->path);
        return NULL;
    }
    json_int_t began_at, ended_at;
    const char *outcome, *worker, *result;
    gsize size;
    const char *text = g_bytes_get_data(bytes, &size);
    json_auto_t *object = json_loadb(text, size, 0, NULL);
    if (json_unpack(object, "{s:I, s:I, s:s, s:s, s:s}", "began_at", &began_at, "ended_at",
                    &ended_at, "outcome", &outcome, "worker", &worker, "result", &result) != 0)
        return NULL;
    GcRun *run = g_new0(GcRun, 1);
    *run = (GcRun){began_at, ended_at, g_strdup(outcome), g_strdup(worker), g_strdup(result)};
    return run;
}

bool gc_run_put_here(DataDirectory *data, const GcRun *run, GError **error)
{
    g_autofree char *result = g_utf8_make_valid(run->result, -1); /* file names may be in it */
    json_auto_t *object =
        json_pack("{s:I, s:I, s:s, s:s, s:s}", "began_at", (json_int_t)run->began_at, "ended_at",
                  (json_int_t)run->ended_at, "outcome", run->outcome, "worker", run->worker,
                  "result", result);
    char *text = json_dumps(object, JSON_COMPACT);
    data_make_room(data); /* a full disk is what it runs for */
    bool written = io_replace_file(data->fd, HERE, text, strlen(text), 0600, error);
    free(text);
    if (!written)
        g_prefix_error(error, "%s: ", data->path);
    return written;
}
