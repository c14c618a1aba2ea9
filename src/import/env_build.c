/* What an env-build job does: installs a model's dependencies into an environment image, once for
 * every import that waits for it. Its last transaction closes the stage of all of them and wakes
 * them, or ends their attempts. */
#include <gio/gio.h>
#include <string.h>

#include "base/clock.h"
#include "base/io.h"
#include "build/environment.h"
#include "event/timeline.h"
#include "import/dependencies.h"
#include "import/env_log.h"
#include "import/environment.h"
#include "import/environment_store.h"

typedef struct {
    Service *service;
    Job *job;
    Model *model;
    Attempt *attempt;
    Config *config;
    Image *base;
    char *reference;
    PackageSources *sources;
    EnvironmentKey key;
    GPtrArray *model_layers; /* of char * */
    int lock; /* of what a registry's images are built from: gc leaves it alone; -1: none */
    EnvLog log;
    int64_t began;
} EnvBuild;

static void env_build_clear(EnvBuild *build)
{
    model_free(build->model);
    attempt_free(build->attempt);
    config_free(build->config);
    image_free(build->base);
    g_free(build->reference);
    package_sources_free(build->sources);
    environment_key_clear(&build->key);
    if (build->model_layers)
        g_ptr_array_unref(build->model_layers);
    env_log_clear(&build->log);
    io_close(&build->lock);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(EnvBuild, env_build_clear)

/* -- what is to be built -- */

/* The dependencies that are in force, as the check found them sound. */
static bool load_config(EnvBuild *build, GError **error)
{
    const ConfigContext context = {0};
    g_autoptr(Findings) findings = findings_new();
    g_autoptr(ImportRequest) request = import_request_from_json(build->attempt->request, error);
    if (!request)
        return false;
    json_auto_t *list = dependencies_in_force(request, build->attempt->config);
    g_autofree char *text = json_dumps(list, JSON_COMPACT);
    build->config =
        config_read_dependencies(text, strlen(text), "dependencies", &context, findings);
    return true;
}

static bool load_layers(EnvBuild *build, GError **error)
{
    const Job *job = build->job;
    g_autoptr(GPtrArray) rows = layers_of(build->service->db, job->model_id, job->attempt, error);
    build->model_layers = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; rows && i < rows->len; i++) {
        const LayerRow *row = rows->pdata[i];
        if (layer_may_hold_wheels(row))
            g_ptr_array_add(build->model_layers, g_strdup(row->digest));
    }
    return rows != NULL;
}

static bool env_build_load(EnvBuild *build, GPtrArray **unusable, GError **error)
{
    Service *service = build->service;
    const Job *job = build->job;
    env_log_init(&build->log, service, job);
    build->model = model_load(service->db, job->model_id, error);
    build->attempt =
        build->model ? attempt_load(service->db, job->model_id, job->attempt, error) : NULL;
    if (!build->attempt || !load_config(build, error) || !load_layers(build, error))
        return false;
    build->base =
        base_image(service, build->attempt->runtime, true, &build->reference, unusable, error);
    build->sources =
        build->base ? package_sources(service->settings, !service->serves, error) : NULL;
    return build->sources &&
           environment_key_make(service, build->base, build->config->dependencies, job->model_id,
                                job->attempt, build->sources, &build->key, error);
}

/* -- its end -- */

/* The same events for everybody who waits. */
static bool fail_in_transaction(EnvBuild *build, const GPtrArray *events, const char *status,
                                GError **error)
{
    Service *service = build->service;
    g_autoptr(DbTransaction) transaction = service_transaction(service, error);
    g_autoptr(GPtrArray) waiting =
        transaction ? jobs_waiting(service->db, build->job->id, error) : NULL;
    if (!waiting || !env_log_write(&build->log, error))
        return false;
    for (guint i = 0; i < waiting->len; i++) {
        const Job *import = waiting->pdata[i];
        if (!attempt_fail(service, import->model_id, import->attempt, "environment", events, status,
                          error))
            return false;
    }
    return job_end(service->db, build->job->id, error) && db_commit(service->db, error);
}

/* Takes the events over. */
static StageResult env_build_fail_all(EnvBuild *build, GPtrArray *events, const char *status,
                                      GError **error)
{
    g_autoptr(GPtrArray) owned = events;
    const Event *first = events->pdata[0];
    if (g_strcmp0(first->kind, "disk_full") == 0)
        data_release_reserve(build->service->data);
    if (!fail_in_transaction(build, owned, status, error))
        return STAGE_ERROR;
    service_committed(build->service);
    return STAGE_FAILED;
}

static StageResult env_build_fail(EnvBuild *build, Event *event, const char *status, GError **error)
{
    return env_build_fail_all(build, events_new(event, NULL), status, error);
}

/* Ends those who were cancelled; *left: how many still wait. A build that nobody waits for ends. */
static bool end_cancelled(Service *service, const Job *job, guint *left, GError **error)
{
    g_autoptr(DbTransaction) transaction = service_transaction(service, error);
    g_autoptr(GPtrArray) waiting = transaction ? jobs_waiting(service->db, job->id, error) : NULL;
    *left = waiting ? waiting->len : 0;
    for (guint i = 0; waiting && i < waiting->len; i++) {
        const Job *import = waiting->pdata[i];
        if (!import->cancelled_by)
            continue;
        --*left;
        if (!attempt_cancel(service, import->model_id, import->attempt, "environment",
                            import->cancelled_by, "cancelled", error))
            return false;
    }
    if (!waiting || (*left == 0 && !job_end(service->db, job->id, error)) ||
        !db_commit(service->db, error))
        return false;
    service_committed(service);
    return true;
}

bool env_build_leave(Service *service, const Job *import, GError **error)
{
    g_autoptr(DbTransaction) transaction = service_transaction(service, error);
    g_autoptr(Job) now = transaction ? job_load(service->db, import->id, error) : NULL;
    if (!now)
        return false;
    if (strcmp(now->state, "parked") != 0) /* the build has ended, or another ended it so */
        return true;
    if (!attempt_cancel(service, import->model_id, import->attempt, "environment",
                        import->cancelled_by, "cancelled", error) ||
        !db_commit(service->db, error))
        return false;
    service_committed(service);
    return true;
}

Event *event_lease_lost(Service *service, const Job *job, const char *step)
{
    int64_t most = settings_int(service->settings, "build.max_attempts");
    if (job->lost < most || !job->worker)
        return NULL;
    Event *event = event_with_kind(event_build_scheduling_failed(), "lease_lost");
    event_with(event, "{s:i, s:s, s:s}", "attempts", job->lost, "step", step, "setting",
               "build.max_attempts");
    return event_with_text(event, "worker", job->worker);
}

Event *event_no_sandbox(const Service *service, const GError *failure)
{
    bool root = g_error_matches(failure, SANDBOX_ERROR, SANDBOX_ERROR_ROOT);
    Event *event = event_with_kind(event_build_start_failed(), root ? "no_rootfs" : "no_sandbox");
    event_with_text(event, "worker", service->worker);
    event_with_text(event, "error", failure->message);
    return event_with(event, "{s:s}", "check", root ? "sandbox-rootfs" : "sandbox-runtime");
}

static Event *event_crashed(const GError *failure)
{
    g_autofree char *incident = g_strdup_printf("%08x", g_random_int());
    Event *event = event_with_kind(event_image_build_system_error(), "sandbox_crashed");
    event_with_text(event, "error", failure->message);
    event_with_text(event, "incident", incident);
    g_printerr("waybill: incident %s: %s\n", incident, failure->message);
    return event;
}

static StageResult env_build_error(EnvBuild *build, GError *failure, GError **error)
{
    guint left;
    Service *service = build->service;
    g_autoptr(GError) owned = failure;
    if (g_error_matches(failure, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
        env_log_flush(&build->log);
        if (!end_cancelled(service, build->job, &left, error))
            return STAGE_ERROR;
        return left ? STAGE_STOPPED : STAGE_FAILED;
    }
    if (db_error_passes(failure)) {
        g_propagate_error(error, g_steal_pointer(&owned));
        return STAGE_ERROR; /* it stays open, as it would after a crash */
    }
    if (g_error_matches(failure, SANDBOX_ERROR, SANDBOX_ERROR_CRASHED))
        return env_build_fail(build, event_crashed(failure), "failed", error);
    if (failure->domain == SANDBOX_ERROR)
        return env_build_fail(build, event_no_sandbox(service, failure), "failed", error);
    return env_build_fail(build, event_of_error(service, failure, 0), "failed", error);
}

/* -- beginning -- */

static Event *event_started(EnvBuild *build)
{
    Event *event =
        event_with(event_env_image_build_started(), "{s:s, s:s, s:s}", "base", build->reference,
                   "base_digest", build->base->manifest->digest, "key", build->key.key);
    return event_with_text(event, "worker", build->service->worker);
}

/* EnvImageBuildStarted once for each import; after a worker was lost, who goes on. */
static bool start_for(EnvBuild *build, const Job *import, GError **error)
{
    int64_t started;
    Service *service = build->service;
    const char *old = build->job->worker;
    if (!timeline_find(service->db, import->model_id, import->attempt, "EnvImageBuildStarted",
                       &started, error))
        return false;
    if (started && !old)
        return true;
    g_autoptr(Event) event =
        started ? event_import_resumed(old, service->worker, "environment") : event_started(build);
    if (started)
        event_with(event, "{s:s, s:s, s:s}", "old", old, "new", service->worker, "stage",
                   "environment");
    return timeline_append(service->db, import->model_id, import->attempt, "environment", event,
                           NULL, error);
}

static bool env_build_start(EnvBuild *build, GError **error)
{
    g_autoptr(DbTransaction) transaction = service_transaction(build->service, error);
    g_autoptr(GPtrArray) waiting =
        transaction ? jobs_waiting(build->service->db, build->job->id, error) : NULL;
    for (guint i = 0; waiting && i < waiting->len; i++)
        if (!start_for(build, waiting->pdata[i], error))
            return false;
    if (!waiting || !db_commit(build->service->db, error))
        return false;
    service_committed(build->service);
    return true;
}

/* -- success -- */

static bool finish_for(EnvBuild *build, const Job *import, const EnvironmentResult *result,
                       const char *text, GError **error)
{
    Service *service = build->service;
    return environment_layer_record(service, import->model_id, import->attempt,
                                    result->layer.digest, result->layer.size, result->layer.files,
                                    error) &&
           stage_close(service->db, import->model_id, import->attempt, "environment", text, error);
}

static bool environment_keep(EnvBuild *build, const EnvironmentResult *result, const char *packages,
                             GError **error)
{
    g_autofree char *inputs = json_dumps(build->key.inputs, JSON_COMPACT | JSON_SORT_KEYS);
    g_autofree char *model = g_strdup_printf("%s:%s", build->model->name, build->model->version);
    const Environment row = {.key = build->key.key,
                             .inputs = inputs,
                             .base_digest = build->base->manifest->digest,
                             .layer = result->layer.digest,
                             .layer_size = result->layer.size,
                             .files = result->layer.files,
                             .packages = (char *)packages,
                             .pinned = build->key.pinned,
                             .first_model = model,
                             .build_ms = clock_monotonic_ms() - build->began,
                             .created_at = clock_now_ms()};
    return environment_put(build->service->db, &row, error);
}

static bool env_build_finish(EnvBuild *build, const EnvironmentResult *result, GError **error)
{
    Service *service = build->service;
    g_autofree char *packages = json_dumps(result->packages, JSON_COMPACT);
    json_auto_t *value =
        environment_result(build->base->manifest->digest, build->key.key, packages);
    g_autofree char *text = json_dumps(value, JSON_COMPACT);
    g_autoptr(DbTransaction) transaction = service_transaction(service, error);
    g_autoptr(GPtrArray) waiting =
        transaction ? jobs_waiting(service->db, build->job->id, error) : NULL;
    if (!waiting || !env_log_write(&build->log, error) ||
        !environment_keep(build, result, packages, error))
        return false;
    for (guint i = 0; i < waiting->len; i++)
        if (!finish_for(build, waiting->pdata[i], result, text, error))
            return false;
    return job_wake_waiting(service->db, build->job->id, error) &&
           job_end(service->db, build->job->id, error) && db_commit(service->db, error);
}

static StageResult env_build_make(EnvBuild *build, GError **error)
{
    Service *service = build->service;
    g_autoptr(GError) failure = NULL;
    g_auto(EnvironmentResult) result = ENVIRONMENT_RESULT_NONE;
    const EnvironmentSpec spec = {.settings = service->settings,
                                  .data = service->data->path,
                                  .images = service->images,
                                  .base = build->base,
                                  .base_reference = build->reference,
                                  .dependencies = build->config->dependencies,
                                  .model_layers = build->model_layers,
                                  .sources = build->sources,
                                  .progress = &service->progress,
                                  .line = env_log_line,
                                  .flush = env_log_flush,
                                  .line_number = env_log_number,
                                  .log = &build->log};
    if (!environment_fetch_wheels(service, build->model, build->job->attempt,
                                  build->config->dependencies, &failure) ||
        !environment_build(&spec, &result, &failure))
        return env_build_error(build, g_steal_pointer(&failure), error);
    if (result.event)
        return env_build_fail(build, g_steal_pointer(&result.event),
                              result.timed_out ? "timeout" : "failed", error);
    if (!environment_send(service, build->base, build->key.key, &result.layer, &failure) ||
        !env_build_finish(build, &result, &failure))
        return env_build_error(build, g_steal_pointer(&failure), error);
    service_committed(service);
    return STAGE_CLOSED;
}

StageResult env_build_run(Service *service, Job *job, GError **error)
{
    guint left;
    GPtrArray *unusable = NULL;
    g_autoptr(GError) failure = NULL;
    g_autofree char *scratch = environment_scratch(service->data->path);
    sandbox_sweep(scratch);
    if (!end_cancelled(service, job, &left, error))
        return STAGE_ERROR;
    if (left == 0)
        return STAGE_FAILED;
    g_auto(EnvBuild)
        build = {.service = service, .job = job, .began = clock_monotonic_ms(), .lock = -1};
    if (image_store_is_registry(service->store))
        build.lock = layout_lock(service->images, false, &failure);
    bool loaded = !failure && env_build_load(&build, &unusable, &failure);
    Event *lost = loaded ? event_lease_lost(service, job, "environment") : NULL;
    if (unusable)
        return env_build_fail_all(&build, unusable, "failed", error);
    if (lost)
        return env_build_fail(&build, lost, "failed", error);
    g_autofree char *runtime =
        loaded
            ? sandbox_runtime(settings_text(service->settings, "build.runtime"), scratch, &failure)
            : NULL;
    if (!runtime || !env_build_start(&build, &failure))
        return env_build_error(&build, g_steal_pointer(&failure), error);
    return env_build_make(&build, error);
}
