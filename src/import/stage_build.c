/* Handing a build over: the import inserts the job (36, 37 in that transaction) and parks; it holds
 * no worker while it waits. */
#include <gio/gio.h>

#include "event/timeline.h"
#include "import/pipeline.h"

Event *event_requested(Import *import, Event *event, const Image *base, const char *reference)
{
    event_with(event, "{s:s, s:s}", "base", reference, "base_digest", base->manifest->digest);
    return event_with_text(event, "worker", import->service->worker);
}

static bool append_queued(Import *import, int64_t build, GError **error)
{
    int64_t ahead;
    if (!jobs_ahead(import->service->db, build, &ahead, error))
        return false;
    g_autoptr(Event) queued =
        event_with(event_image_build_status("queued"), "{s:I}", "ahead", (json_int_t)ahead);
    return timeline_append(import->service->db, import->model->id, import->job->attempt, "build",
                           queued, NULL, error);
}

/* *throttled: the project has as many builds in the queue as it may. */
static bool find_room(Import *import, bool *throttled, int64_t *queued, GError **error)
{
    int64_t limit = settings_int(import->service->settings, "build.max_queued_per_project");
    if (!db_query_int(import->service->db, queued, 0, error,
                      "SELECT count(*) FROM jobs j JOIN models m ON m.id = j.model_id WHERE "
                      "m.project = $1 AND j.kind <> 'import' AND j.state = 'queued'",
                      "s", import->model->project))
        return false;
    *throttled = *queued >= limit;
    return true;
}

static bool hand_over(Import *import, const BuildRequest *request, int64_t *throttled,
                      GError **error)
{
    Db *db = import->service->db;
    const char *id = import->model->id;
    int attempt = import->job->attempt;
    int64_t build = 0, queued;
    bool full = false;
    g_autoptr(DbTransaction) transaction = db_transaction(db, error);
    if (!transaction ||
        (request->cache_key && !job_of_cache_key(db, request->cache_key, &build, error)) ||
        (!build && !find_room(import, &full, &queued, error)))
        return false;
    *throttled = full ? queued : -1;
    if (full)
        return true;
    bool joins = build != 0;
    if (!joins && !job_insert(db, request->kind, id, attempt, request->cache_key, &build, error))
        return false;
    return timeline_append(db, id, attempt, request->stage, request->event, NULL, error) &&
           (request->kind == JOB_ENV_BUILD || append_queued(import, build, error)) &&
           (!request->also || request->also(import, build, joins, request->data, error)) &&
           job_park(db, import->job->id, build, error) && db_commit(db, error);
}

/* The store lives but did not take the job: that is the queue's failure, not the package's. */
static StageResult hand_over_failed(Import *import, const char *stage, const GError *failure,
                                    GError **error)
{
    g_autofree char *incident = g_strdup_printf("%08x", g_random_int());
    g_printerr("waybill: incident %s: %s\n", incident, failure->message);
    Event *event = event_with_kind(event_build_request_failed(), "store_busy");
    event_with_text(event, "error", failure->message);
    event_with_text(event, "incident", incident);
    return import_fail(import, stage, events_new(event, NULL), error);
}

static StageResult build_throttled(Import *import, const char *stage, int64_t queued,
                                   GError **error)
{
    Event *event = event_with_kind(event_image_build_throttled(), "project_limit");
    event_with(event, "{s:I, s:I, s:s}", "queued", (json_int_t)queued, "limit",
               (json_int_t)settings_int(import->service->settings, "build.max_queued_per_project"),
               "setting", "build.max_queued_per_project");
    event_with_text(event, "project", import->model->project);
    return import_fail(import, stage, events_new(event, NULL), error);
}

StageResult build_request(Import *import, const BuildRequest *request, GError **error)
{
    int64_t throttled = -1;
    g_autoptr(GError) failure = NULL;
    if (hand_over(import, request, &throttled, &failure)) {
        if (throttled >= 0)
            return build_throttled(import, request->stage, throttled, error);
        service_committed(import->service);
        return STAGE_PARKED;
    }
    if (g_error_matches(failure, DB_ERROR, DB_ERROR_BUSY))
        return hand_over_failed(import, request->stage, failure, error);
    g_propagate_error(error, g_steal_pointer(&failure));
    return STAGE_ERROR;
}

StageResult import_base(Import *import, const char *stage, Image **base, char **reference,
                        GError **error)
{
    StageResult result = import_look(import, stage, error);
    if (result != STAGE_CLOSED)
        return result;
    GPtrArray *unusable = NULL;
    g_autoptr(GError) failure = NULL;
    *base = base_image(import->service, import->runtime, false, reference, &unusable, &failure);
    if (*base)
        return STAGE_CLOSED;
    if (unusable)
        return import_fail(import, stage, unusable, error);
    if (g_error_matches(failure, G_IO_ERROR, G_IO_ERROR_CANCELLED))
        return STAGE_STOPPED;
    g_propagate_error(error, g_steal_pointer(&failure));
    return STAGE_ERROR;
}

StageResult stage_build(Import *import, GError **error)
{
    g_autoptr(Image) base = NULL;
    g_autofree char *reference = NULL;
    StageResult result = import_base(import, "build", &base, &reference, error);
    if (result != STAGE_CLOSED)
        return result;
    g_autoptr(Event) request =
        event_requested(import, event_image_build_requested(), base, reference);
    const BuildRequest build = {.stage = "build", .kind = JOB_IMAGE_BUILD, .event = request};
    return build_request(import, &build, error);
}
