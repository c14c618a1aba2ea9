/* Handing a build over: the import inserts the job (36, 37 in that transaction) and parks; it holds
 * no worker while it waits. */
#include <string.h>

#include "base/digest.h"
#include "event/timeline.h"
#include "import/pipeline.h"

static bool park(Import *import, int64_t build, GError **error)
{
    return job_park(import->service->db, import->job->id, build, error);
}

static Event *event_requested(Import *import, Event *event, const Image *base,
                              const char *reference)
{
    event_with(event, "{s:s, s:s}", "base", reference, "base_digest", base->manifest->digest);
    return event_with_text(event, "worker", import->service->worker);
}

static bool append_both(Import *import, const char *stage, const Event *request, int64_t build,
                        GError **error)
{
    Db *db = import->service->db;
    const char *id = import->model->id;
    int attempt = import->job->attempt;
    int64_t ahead;
    if (!timeline_append(db, id, attempt, stage, request, NULL, error) ||
        !jobs_ahead(db, build, &ahead, error))
        return false;
    if (request->reason != EVENT_ImageBuildRequested)
        return true;
    g_autoptr(Event) queued =
        event_with(event_image_build_status("queued"), "{s:I}", "ahead", (json_int_t)ahead);
    return timeline_append(db, id, attempt, stage, queued, NULL, error);
}

static bool hand_over(Import *import, const char *stage, JobKind kind, const char *cache_key,
                      const Event *request, GError **error)
{
    Db *db = import->service->db;
    int64_t build = 0;
    g_autoptr(DbTransaction) transaction = db_transaction(db, error);
    if (!transaction || (cache_key && !job_of_cache_key(db, cache_key, &build, error)))
        return false;
    if (!build &&
        !job_insert(db, kind, import->model->id, import->job->attempt, cache_key, &build, error))
        return false;
    return append_both(import, stage, request, build, error) && park(import, build, error) &&
           db_commit(db, error);
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

static StageResult request_build(Import *import, const char *stage, JobKind kind,
                                 const char *cache_key, const Event *request, GError **error)
{
    g_autoptr(GError) failure = NULL;
    if (hand_over(import, stage, kind, cache_key, request, &failure)) {
        service_committed(import->service);
        return STAGE_PARKED;
    }
    if (g_error_matches(failure, DB_ERROR, DB_ERROR_BUSY))
        return hand_over_failed(import, stage, failure, error);
    g_propagate_error(error, g_steal_pointer(&failure));
    return STAGE_ERROR;
}

/* Base image of the import's runtime; what is wrong with it ends the attempt in this stage. */
static StageResult import_base(Import *import, const char *stage, Image **base, char **reference,
                               GError **error)
{
    StageResult result = import_look(import, stage, error);
    if (result != STAGE_CLOSED)
        return result;
    Event *unusable = NULL;
    *base = base_image(import->service, import->runtime, reference, &unusable, error);
    if (*base)
        return STAGE_CLOSED;
    return unusable ? import_fail(import, stage, events_new(unusable, NULL), error) : STAGE_ERROR;
}

/* SHA-256 over the base image's digest and the dependencies in their normal form. */
static char *environment_key(const Image *base, const GPtrArray *dependencies)
{
    json_t *key = json_pack("{s:s, s:o}", "base", base->manifest->digest, "dependencies",
                            config_dependencies_json(dependencies));
    char *text = json_dumps(key, JSON_COMPACT | JSON_SORT_KEYS);
    char *digest = digest_of(text, strlen(text));
    free(text);
    json_decref(key);
    return digest;
}

StageResult stage_environment(Import *import, GError **error)
{
    g_autoptr(Image) base = NULL;
    g_autofree char *reference = NULL;
    StageResult result = import_base(import, "environment", &base, &reference, error);
    if (result != STAGE_CLOSED)
        return result;
    if (!import->config || import->config->dependencies->len == 0)
        return import_close(import, "environment",
                            json_pack("{s:s}", "base", base->manifest->digest),
                            events_new(NULL, NULL), error);
    g_autofree char *key = environment_key(base, import->config->dependencies);
    g_autoptr(Event) request =
        event_requested(import, event_env_image_build_requested(), base, reference);
    event_with(request, "{s:s, s:i}", "key", key, "packages",
               (int)import->config->dependencies->len);
    return request_build(import, "environment", JOB_ENV_BUILD, key, request, error);
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
    return request_build(import, "build", JOB_IMAGE_BUILD, NULL, request, error);
}
