/* What the workers do, as the faces show it. */
#include "base/clock.h"
#include "import/progress_board.h"

/* Of a model that the asker may not see only that there is one. */
static void set_model(json_t *object, const ProgressBoard *board, const Heartbeat *worker,
                      const Caller *caller)
{
    const char *project, *name, *version;
    if (!progress_board_model(board, worker->model_id, &project, &name, &version) ||
        (caller && !caller_may_see(caller, project)))
        return;
    json_t *model =
        json_pack("{s:s, s:s, s:s, s:s, s:i}", "project", project, "model_id", worker->model_id,
                  "model_name", name, "model_version", version, "attempt", worker->attempt);
    json_t *progress = progress_board_json(board, worker->model_id);
    json_object_update_missing(model, progress);
    json_decref(progress);
    json_object_update_new(object, model);
}

static json_t *worker_json(const ProgressBoard *board, const Heartbeat *worker,
                           const Caller *caller)
{
    json_t *object =
        json_pack("{s:s, s:b, s:b, s:I, s:I}", "worker", worker->worker, "serves", worker->serves,
                  "busy", worker->job != 0, "since", (json_int_t)worker->since, "heartbeat_age_ms",
                  (json_int_t)MAX(clock_monotonic_ms() - worker->beaten, 0));
    if (worker->stage)
        json_object_set_new(object, "stage", json_string(worker->stage));
    set_model(object, board, worker, caller);
    return object;
}

json_t *progress_workers_json(const ProgressBoard *board, const Caller *caller)
{
    const GPtrArray *workers = progress_board_workers(board);
    const ProgressCounts counts = progress_board_counts(board);
    json_t *items = json_array();
    for (guint i = 0; i < workers->len; i++)
        json_array_append_new(items, worker_json(board, workers->pdata[i], caller));
    return json_pack("{s:i, s:i, s:i, s:{s:i}, s:o}", "count", (int)json_array_size(items),
                     "workers_alive", counts.alive, "workers_busy", counts.busy, "queue", "queued",
                     counts.queued, "workers", items);
}
