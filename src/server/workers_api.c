/* The workers on the data directory, of this server and of other processes, and the queue. */
#include "base/clock.h"
#include "server/api.h"

/* Of a model that the asker may not see only that there is one. */
static void set_model(json_t *object, const HttpRequest *request, const ProgressBoard *board,
                      const Heartbeat *worker)
{
    const char *project, *name, *version;
    if (!progress_board_model(board, worker->model_id, &project, &name, &version) ||
        !caller_may_see(request->caller, project))
        return;
    json_t *model =
        json_pack("{s:s, s:s, s:s, s:s, s:i}", "project", project, "model_id", worker->model_id,
                  "model_name", name, "model_version", version, "attempt", worker->attempt);
    json_t *progress = progress_board_json(board, worker->model_id);
    json_object_update_missing(model, progress);
    json_decref(progress);
    json_object_update_new(object, model);
}

static json_t *worker_json(const HttpRequest *request, const ProgressBoard *board,
                           const Heartbeat *worker)
{
    json_t *object =
        json_pack("{s:s, s:b, s:b, s:I, s:I}", "worker", worker->worker, "serves", worker->serves,
                  "busy", worker->job != 0, "since", (json_int_t)worker->since, "heartbeat_age_ms",
                  (json_int_t)MAX(clock_monotonic_ms() - worker->beaten, 0));
    if (worker->stage)
        json_object_set_new(object, "stage", json_string(worker->stage));
    set_model(object, request, board, worker);
    return object;
}

HttpReply workers_list(HttpRequest *request)
{
    HttpReply reply;
    g_autoptr(GError) error = NULL;
    Service *service = api_service(request, &reply);
    if (!service)
        return reply;
    ProgressCache *cache = request->server->progress;
    const ProgressBoard *board = progress_cache_lock(cache, service, &error);
    if (!board)
        return api_failed(error);
    const GPtrArray *workers = progress_board_workers(board);
    const ProgressCounts counts = progress_board_counts(board);
    json_t *items = json_array();
    for (guint i = 0; i < workers->len; i++)
        json_array_append_new(items, worker_json(request, board, workers->pdata[i]));
    progress_cache_unlock(cache);
    return http_json(MHD_HTTP_OK, json_pack("{s:i, s:i, s:i, s:{s:i}, s:o}", "count",
                                            (int)json_array_size(items), "workers_alive",
                                            counts.alive, "workers_busy", counts.busy, "queue",
                                            "queued", counts.queued, "workers", items));
}
