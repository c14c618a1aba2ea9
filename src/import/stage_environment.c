/* Stage `environment`: an environment of the same inputs is used again, or its build is handed
 * over. Either way the timeline says why. */
#include <string.h>

#include "base/clock.h"
#include "base/io.h"
#include "event/timeline.h"
#include "import/environment.h"
#include "import/environment_store.h"

#define DAY_MS (INT64_C(24) * 3600 * 1000)

typedef struct {
    Import *import;
    Image *base;
    char *reference;
    PackageSources *sources;
    EnvironmentKey key;
    Environment *found;
    char *against; /* why what was found is not used, or NULL */
} Stage;

static void stage_clear(Stage *stage)
{
    image_free(stage->base);
    g_free(stage->reference);
    package_sources_free(stage->sources);
    environment_key_clear(&stage->key);
    environment_free(stage->found);
    g_free(stage->against);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Stage, stage_clear)

static bool stage_append(Stage *stage, Event *event, GError **error)
{
    g_autoptr(Event) owned = event;
    const Import *import = stage->import;
    return owned && timeline_append(import->service->db, import->model->id, import->job->attempt,
                                    "environment", owned, NULL, error);
}

/* -- a hit -- */

/* Why what was found is not used; NULL with *error unset: it is. The caller frees it. */
static char *reason_against(const Stage *stage, GError **error)
{
    bool there = true;
    const Import *import = stage->import;
    const Environment *found = stage->found;
    int64_t days = settings_int(import->service->settings, "build.max_env_age_days");
    if (import->request->no_cache)
        return g_strdup("it was asked for (--no-cache)");
    if (!found)
        return NULL;
    if (days && !found->pinned && clock_now_ms() - found->created_at > days * DAY_MS)
        return g_strdup_printf("the one of %s is older than %" G_GINT64_FORMAT " days",
                               found->first_model, days);
    if (!environment_is_kept(import->service, found, &there, error))
        return NULL;
    if (!there)
        return g_strdup_printf("the layer of %s is gone from the store", found->first_model);
    return NULL;
}

static Event *event_hit(const Stage *stage)
{
    const Environment *found = stage->found;
    json_auto_t *packages = json_loads(found->packages, 0, NULL);
    Event *event = event_with(event_env_image_cache_hit(), "{s:s, s:s, s:I, s:I, s:s, s:i, s:I}",
                              "key", found->key, "base_digest", found->base_digest, "built_at",
                              (json_int_t)found->created_at, "age_ms",
                              (json_int_t)MAX(clock_now_ms() - found->created_at, 0), "base",
                              stage->reference, "packages", (int)json_array_size(packages), "size",
                              (json_int_t)found->layer_size);
    event_with_text(event, "first_model", found->first_model);
    event->duration_ms = clock_monotonic_ms() - stage->import->began;
    return found->layer ? event_with(event, "{s:s}", "layer", found->layer) : event;
}

static StageResult use_found(Stage *stage, GError **error)
{
    Import *import = stage->import;
    Service *service = import->service;
    const Environment *found = stage->found;
    json_auto_t *result = environment_result(found->base_digest, found->key, found->packages);
    g_autofree char *text = json_dumps(result, JSON_COMPACT);
    g_autoptr(DbTransaction) transaction = service_transaction(service, error);
    if (!transaction || !stage_append(stage, event_environment_hit(found, &stage->key), error) ||
        !stage_append(stage, event_hit(stage), error) ||
        !environment_layer_record(service, import->model->id, import->job->attempt, found->layer,
                                  found->layer_size, found->files, error) ||
        !environment_touch(service->db, found->key, error) ||
        !stage_close(service->db, import->model->id, import->job->attempt, "environment", text,
                     error) ||
        !db_commit(service->db, error))
        return STAGE_ERROR;
    service_committed(service);
    return STAGE_CLOSED;
}

/* -- a build -- */

/* What the build has said so far is this import's log too. */
static bool join_build(Stage *stage, int64_t build, GError **error)
{
    const Import *import = stage->import;
    Db *db = import->service->db;
    int64_t started;
    g_autoptr(Job) job = job_load(db, build, error);
    g_autoptr(Model) model = job ? model_load(db, job->model_id, error) : NULL;
    if (!model ||
        !db_exec(db, error,
                 "INSERT INTO build_log(model_id, attempt, line, time, stream, text) "
                 "SELECT $1, $2, line + coalesce((SELECT max(line) FROM build_log WHERE "
                 "model_id = $1 AND attempt = $2), 0), time, stream, text FROM build_log "
                 "WHERE model_id = $3 AND attempt = $4",
                 "sisi", import->model->id, (int64_t)import->job->attempt, job->model_id,
                 (int64_t)job->attempt) ||
        !timeline_find(db, job->model_id, job->attempt, "EnvImageBuildStarted", &started, error))
        return false;
    g_autofree char *why =
        g_strdup_printf("the same one is being built for %s:%s", model->name, model->version);
    Event *explained = event_env_image_explained(why);
    event_with(explained, "{s:s, s:s, s:s}", "decision", "join", "key", stage->key.key, "why", why);
    if (!stage_append(stage, explained, error))
        return false;
    Event *event = event_with(event_env_image_build_started(), "{s:s, s:s}", "base",
                              stage->reference, "key", stage->key.key);
    if (started && job->worker)
        return stage_append(stage, event_with_text(event, "worker", job->worker), error);
    event_free(event);
    return true;
}

static bool explain_build(Import *import, int64_t build, bool joins, gpointer data, GError **error)
{
    Stage *stage = data;
    return joins ? join_build(stage, build, error)
                 : stage_append(stage,
                                event_environment_miss(import->service, &stage->key, stage->against,
                                                       error),
                                error);
}

static StageResult ask_for_build(Stage *stage, GError **error)
{
    Import *import = stage->import;
    g_autoptr(Event) event =
        event_requested(import, event_env_image_build_requested(), stage->base, stage->reference);
    event_with(event, "{s:s, s:i}", "key", stage->key.key, "packages",
               (int)import->config->dependencies->len);
    const BuildRequest request = {.stage = "environment",
                                  .kind = JOB_ENV_BUILD,
                                  .cache_key = stage->key.key,
                                  .event = event,
                                  .also = explain_build,
                                  .data = stage};
    return build_request(import, &request, error);
}

static bool stage_find(Stage *stage, GError **error)
{
    Import *import = stage->import;
    Service *service = import->service;
    g_autoptr(GError) failure = NULL;
    stage->sources = package_sources(service->settings, !service->serves, &failure);
    if (stage->sources &&
        environment_key_make(service, stage->base, import->config->dependencies, import->model->id,
                             import->job->attempt, stage->sources, &stage->key, &failure))
        stage->found = environment_find(service->db, stage->key.key, &failure);
    if (!failure)
        return true;
    g_propagate_error(error, g_steal_pointer(&failure));
    return false;
}

StageResult stage_environment(Import *import, GError **error)
{
    g_auto(Stage) stage = {.import = import};
    StageResult result = import_base(import, "environment", &stage.base, &stage.reference, error);
    if (result != STAGE_CLOSED)
        return result;
    if (!import->config || import->config->dependencies->len == 0)
        return import_close(import, "environment",
                            environment_result(stage.base->manifest->digest, NULL, NULL),
                            events_new(NULL, NULL), error);
    /* gc must not remove the layer between the look at it and the row that keeps it. */
    autofd lock = layout_lock(import->service->images, false, error);
    g_autoptr(GError) failure = NULL;
    if (lock < 0 || !stage_find(&stage, error))
        return STAGE_ERROR;
    stage.against = reason_against(&stage, &failure);
    if (!failure)
        return stage.found && !stage.against ? use_found(&stage, error)
                                             : ask_for_build(&stage, error);
    g_propagate_error(error, g_steal_pointer(&failure));
    return STAGE_ERROR;
}
