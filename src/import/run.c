/* The walk through the stage table, and the worker that leases jobs. */
#include <errno.h>
#include <gio/gio.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/io.h"
#include "config.h"
#include "event/timeline.h"
#include "image/reference.h"
#include "import/attendant.h"
#include "import/tags.h"
#include "import/upload.h"

#define WATCH_MS 200

typedef struct {
    const char *name;  /* of its row: what a closed stage is known by */
    const char *stage; /* what events and people call it */
    StageFunc run;
    bool (*wanted)(const Import *import); /* NULL: always */
} Stage;

/* A package is packed; a custom image is copied. Both begin with `check`, which says which of them
 * it is. */
static const Stage PACKAGE_STAGES[] = {{"check", "check", stage_check},
                                       {"copy", "copy", stage_copy},
                                       {"environment", "environment", stage_environment},
                                       {"build", "build", stage_build},
                                       {"describe", "build", stage_describe},
                                       {"verify", "verify", stage_verify, verify_is_wanted},
                                       {"share", "share", stage_share, share_is_wanted},
                                       {"finish", "finish", stage_finish},
                                       {NULL}};
static const Stage IMAGE_STAGES[] = {{"check", "check", stage_check},
                                     {"size", "source", stage_source_size},
                                     {"source", "source", stage_source},
                                     {"verify", "verify", stage_verify, verify_is_wanted},
                                     {"finish", "finish", stage_finish},
                                     {NULL}};

static void import_clear(Import *import)
{
    model_free(import->model);
    import_request_free(import->request);
    config_free(import->config);
    package_free(import->package);
    g_free(import->runtime);
    image_repository_free(import->images);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Import, import_clear)

static const Stage *stages_of(const Import *import)
{
    bool image = import_is_image(import) || g_strcmp0(import->model->type, "Image") == 0;
    return image ? IMAGE_STAGES : PACKAGE_STAGES;
}

/* -- where a retry may begin -- */

/* The last stages make what is an attempt's own: nobody begins at `finish`. */
static bool is_a_beginning(const Stage *stage)
{
    static const char *const LAST[] = {"describe", "verify", "share", "finish", NULL};
    return stage->name && !g_strv_contains(LAST, stage->name);
}

static char *stages_listed(const Stage *stages, int count)
{
    GString *names = g_string_new(NULL);
    for (int i = 0; i < count && is_a_beginning(&stages[i]); i++)
        g_string_append_printf(names, "%s%s", names->len ? ", " : "", stages[i].name);
    return g_string_free(names, FALSE);
}

/* How many stages the attempt closed, from the first on. */
static bool stages_closed(Service *service, const Model *model, const Stage *stages, int *count,
                          GError **error)
{
    g_autoptr(GError) failure = NULL;
    for (*count = 0; stages[*count].name; ++*count) {
        g_autofree char *closed =
            stage_result(service->db, model->id, model->attempt, stages[*count].name, &failure);
        if (!closed)
            break;
    }
    bool done = !failure;
    if (failure)
        g_propagate_error(error, g_steal_pointer(&failure));
    return done;
}

bool import_can_begin(Service *service, const Model *model, const char *name, GError **error)
{
    int at = 0, closed;
    g_autoptr(Attempt) attempt = attempt_load(service->db, model->id, model->attempt, error);
    g_autoptr(ImportRequest) request =
        attempt ? import_request_from_json(attempt->request, error) : NULL;
    if (!request)
        return false;
    const Import import = {.request = request, .model = (Model *)model};
    const Stage *stages = stages_of(&import);
    if (!stages_closed(service, model, stages, &closed, error))
        return false;
    while (is_a_beginning(&stages[at]) && strcmp(stages[at].name, name) != 0)
        at++;
    g_autofree char *all = stages_listed(stages, G_MAXINT);
    g_autofree char *possible = stages_listed(stages, closed + 1);
    if (!is_a_beginning(&stages[at]))
        g_set_error(error, IMPORT_ERROR, IMPORT_ERROR_USAGE,
                    "--from %s: it is no stage to begin at; the stages are: %s", name, all);
    else if (at > closed)
        g_set_error(error, IMPORT_ERROR, IMPORT_ERROR_USAGE,
                    "--from %s: attempt %d of %s:%s did not get past %s, which cannot be left out; "
                    "it can begin at: %s",
                    name, model->attempt, model->name, model->version, stages[closed].name,
                    possible);
    else
        return true;
    return false;
}

/* -- finish -- */

static Event *event_finished(Import *import, const Attempt *attempt)
{
    const Model *model = import->model;
    g_autofree char *name =
        service_image_name(import->service, model->project, model->name, model->version);
    int64_t took =
        clock_now_ms() - (attempt->started_at ? attempt->started_at : attempt->created_at);
    Event *event =
        event_with(event_model_imported(), "{s:s, s:I, s:I, s:I}", "digest", attempt->image_digest,
                   "size", (json_int_t)attempt->image_size, "total_ms", (json_int_t)MAX(took, 0),
                   "waited_ms", (json_int_t)MAX(attempt->started_at - attempt->created_at, 0));
    return event_with_text(event, "image", name);
}

/* Who got the image: what the stage `share` noted. */
static bool add_shared(Import *import, Event *event, GError **error)
{
    g_autoptr(GError) failure = NULL;
    g_autofree char *result = stage_result(import->service->db, import->model->id,
                                           import->job->attempt, "share", &failure);
    json_auto_t *shared = result ? json_loads(result, 0, NULL) : NULL;
    if (json_array_size(json_object_get(shared, "shared")))
        event_with_json(event, "shared", json_incref(json_object_get(shared, "shared")));
    bool read = !failure;
    if (failure)
        g_propagate_error(error, g_steal_pointer(&failure));
    return read;
}

StageResult stage_finish(Import *import, GError **error)
{
    Db *db = import->service->db;
    const char *id = import->model->id;
    int number = import->job->attempt;
    g_autoptr(Attempt) attempt = attempt_load(db, id, number, error);
    if (!attempt)
        return STAGE_ERROR;
    g_autofree char *upload = NULL;
    g_autoptr(Event) event = event_finished(import, attempt);
    if (!add_shared(import, event, error))
        return STAGE_ERROR;
    g_autoptr(DbTransaction) transaction = service_transaction(import->service, error);
    if (!transaction || !timeline_append(db, id, number, "finish", event, NULL, error) ||
        !attempt_end(db, id, number, "imported", error) ||
        !stage_close(db, id, number, "finish", "{}", error) ||
        !job_end(db, import->job->id, error) || !upload_imported(import, &upload, error) ||
        !db_commit(db, error))
        return STAGE_ERROR;
    service_committed(import->service);
    upload_clean_up(import->service, upload);
    return STAGE_CLOSED;
}

/* -- the import job -- */

/* The first stage that is not closed yet. */
static const Stage *stage_next(Import *import, GError **error)
{
    for (const Stage *stage = stages_of(import); stage->name; stage++) {
        g_autoptr(GError) failure = NULL;
        g_autofree char *closed = stage_result(import->service->db, import->model->id,
                                               import->job->attempt, stage->name, &failure);
        if (failure) {
            g_propagate_error(error, g_steal_pointer(&failure));
            return NULL;
        }
        if (!closed && (!stage->wanted || stage->wanted(import)))
            return stage;
    }
    g_set_error(error, IMPORT_ERROR, IMPORT_ERROR_CONFLICT,
                "attempt %d has closed every stage, yet its job is open", import->job->attempt);
    return NULL;
}

/* The training job that made the model, where the request names one. */
static void event_with_job(Event *event, const ImportRequest *request)
{
    static const char *const KEYS[] = {ATTRIBUTE_JOB, ATTRIBUTE_JOB_VERSION};
    for (size_t i = 0; i < G_N_ELEMENTS(KEYS); i++) {
        g_autofree char *value = import_request_attribute(request, KEYS[i]);
        if (value)
            event_with_text(event, KEYS[i], value);
    }
}

static void event_with_template(Event *event, const ImportRequest *request)
{
    json_auto_t *template = request->template ? json_loads(request->template, 0, NULL) : NULL;
    const char *id = json_string_value(json_object_get(template, "template_id"));
    const char *mode = json_string_value(json_object_get(template, "infer_format"));
    if (id)
        event_with_text(event, "template_id", id);
    if (mode)
        event_with_text(event, "infer_format", mode);
}

static Event *event_started(const Import *import)
{
    const ImportRequest *request = import->request;
    Event *event =
        event_with(event_import_started(), "{s:i, s:I, s:s, s:s}", "attempt", import->job->attempt,
                   "waited_ms", (json_int_t)MAX(clock_now_ms() - import->job->created_at, 0),
                   "waybill", WAYBILL_VERSION, "load_mode",
                   request->dynamic ? "dynamic" : "packed");
    event->stage = "queue";
    event->actor = g_strdup(request->actor);
    event_with_text(event, "source", request->source);
    event_with_text(event, "worker", import->service->worker);
    if (request->type)
        event_with_text(event, "model_type", request->type);
    if (request->runtime)
        event_with_text(event, "runtime", request->runtime);
    if (request->platform)
        event_with_text(event, "platform", request->platform);
    if (request->config_text) {
        g_autofree char *digest = digest_of(request->config_text, strlen(request->config_text));
        event_with(event, "{s:s}", "config_digest", digest);
    }
    if (request->training)
        event_with_text(event, "training", request->training);
    event_with_job(event, request);
    event_with_template(event, request);
    return request->actor ? event_with_text(event, "actor", request->actor) : event;
}

/* ImportStarted once an attempt; an attempt whose worker was lost says who goes on, and where.
 * *first: it is begun now. */
static bool import_begin(Import *import, const Stage *next, bool *first, GError **error)
{
    Db *db = import->service->db;
    const char *id = import->model->id;
    int attempt = import->job->attempt;
    int64_t started;
    g_autoptr(DbTransaction) transaction =
        service_transaction_of(import->service, import->model->id, error);
    if (!transaction || !timeline_find(db, id, attempt, "ImportStarted", &started, error))
        return false;
    *first = !started;
    if (started && !import->job->worker)
        return db_commit(db, error);
    g_autoptr(Event) event =
        started ? event_import_resumed(import->job->worker, import->service->worker, next->stage)
                : event_started(import);
    if (started)
        event_with(event, "{s:s, s:s, s:s}", "old", import->job->worker, "new",
                   import->service->worker, "stage", next->stage);
    if (!timeline_append(db, id, attempt, next->stage, event, NULL, error) ||
        (!started && !attempt_start(db, id, attempt, error)) || !db_commit(db, error))
        return false;
    service_committed(import->service);
    return true;
}

static StageResult import_cancelled(Import *import, const char *stage, const char *actor,
                                    GError **error)
{
    Service *service = import->service;
    g_autoptr(DbTransaction) transaction = service_transaction(service, error);
    if (!transaction ||
        !attempt_cancel(service, import->model->id, import->job->attempt, stage, actor, NULL,
                        error) ||
        !db_commit(service->db, error))
        return STAGE_ERROR;
    service_write_index(service, NULL);
    service_committed(service);
    return STAGE_FAILED;
}

/* progress.stop was set: by a cancel, which ends the attempt, or by who stops the worker, which
 * hands the job back. */
static StageResult import_stopped(Import *import, const char *stage, GError **error)
{
    g_autoptr(GError) failure = NULL;
    g_autofree char *actor = job_cancelled_by(import->service->db, import->job->id, &failure);
    if (actor)
        return import_cancelled(import, stage, actor, error);
    if (failure) {
        g_propagate_error(error, g_steal_pointer(&failure));
        return STAGE_ERROR;
    }
    return STAGE_STOPPED;
}

static StageResult import_stages(Import *import, GError **error)
{
    for (;;) {
        g_autoptr(GError) failure = NULL;
        const Stage *stage = stage_next(import, &failure);
        StageResult result = STAGE_ERROR;
        if (stage && progress_stopped(&import->service->progress))
            return import_stopped(import, stage->stage, error);
        import->began = clock_monotonic_ms();
        if (stage) {
            progress_stage(&import->service->progress, stage->stage);
            result = stage->run(import, &failure);
        }
        /* Whatever it was asked of, or waited for: it was stopped. */
        if (result == STAGE_ERROR && g_error_matches(failure, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
            g_clear_error(&failure);
            result = STAGE_STOPPED;
        }
        /* What the stage did is kept; another process, or this one's next run, goes on with it. */
        const bool passes = db_error_passes(failure);
        if (result == STAGE_ERROR && stage && !import->unwritten && !passes)
            result =
                import_fail(import, stage->stage,
                            events_new(event_of_error(import->service, failure, 0), NULL), error);
        else if (result == STAGE_ERROR)
            g_propagate_error(error, g_steal_pointer(&failure));
        if (result == STAGE_STOPPED)
            return import_stopped(import, stage->stage, error);
        if (result != STAGE_CLOSED || strcmp(stage->name, "finish") == 0)
            return result;
        if (import->service->home_only && strcmp(stage->name, "copy") == 0)
            return STAGE_STOPPED; /* others go on with it */
    }
}

/* A rebuild has no stage `check`, which asks it of the others. */
static StageResult rebuild_find_room(Import *import, const char *stage, GError **error)
{
    g_autoptr(Findings) findings = findings_new();
    if (!import_find_room(import, findings, error))
        return STAGE_ERROR;
    return findings_fatal(findings) ? import_fail(import, stage, findings_take(findings), error)
                                    : STAGE_CLOSED;
}

static StageResult import_run(Service *service, Job *job, GError **error)
{
    g_auto(Import) import = {.service = service, .job = job};
    import.model = model_load(service->db, job->model_id, error);
    g_autoptr(Attempt) attempt =
        import.model ? attempt_load(service->db, job->model_id, job->attempt, error) : NULL;
    import.request = attempt ? import_request_from_json(attempt->request, error) : NULL;
    if (!import.request || !import_request_resolve(service, import.request, error))
        return STAGE_ERROR;
    const Stage *next = stage_next(&import, error);
    bool first;
    if (!next || !import_begin(&import, next, &first, error))
        return STAGE_ERROR;
    if (job->cancelled_by)
        return import_cancelled(&import, next->stage, job->cancelled_by, error);
    /* Who works on it himself sees what becomes of it. */
    Event *lost = job->served ? event_lease_lost(service, job, next->stage) : NULL;
    if (lost)
        return import_fail(&import, next->stage, events_new(lost, NULL), error);
    StageResult room = STAGE_CLOSED;
    if (first && import.request->rebuild)
        room = rebuild_find_room(&import, next->stage, error);
    if (room != STAGE_CLOSED)
        return room;
    return import_stages(&import, error);
}

/* -- the worker -- */

static StageResult job_run(Service *service, Job *job, GError **error)
{
    switch (job->kind) {
    case JOB_IMPORT:
        return import_run(service, job, error);
    case JOB_IMAGE_BUILD:
        progress_stage(&service->progress, "build");
        return image_build_run(service, job, error);
    case JOB_ENV_BUILD:
        progress_stage(&service->progress, "environment");
        return env_build_run(service, job, error);
    }
    g_assert_not_reached();
}

static bool job_hand_back(Service *service, Job *job, GError **error)
{
    g_autoptr(DbTransaction) transaction = service_transaction(service, error);
    return transaction && job_give_back(service->db, job->id, error) &&
           db_commit(service->db, error);
}

typedef struct {
    Service *service;
    int64_t import;
    bool begun; /* a job was taken: it goes on, whatever is switched on meanwhile */
    bool ended;
    bool wait; /* nothing can be had now */
    bool held; /* because maintenance is on */
} Work;

/* The import, or the build that it waits for. NULL with *error unset: it cannot be had now. */
static Job *work_take(Work *work, const Job *open, GError **error)
{
    Service *service = work->service;
    Job *job =
        job_claim(service->db, service->data, open->waits_for ? open->waits_for : open->id,
                  service->worker, work->begun || open->cancelled_by ? NULL : &work->held, error);
    work->wait = !job;
    work->begun |= job != NULL;
    return job;
}

/* Somebody else builds the environment that a cancelled import waits for: it does not wait. */
static bool work_leave(Service *service, const Job *open, GError **error)
{
    g_autoptr(Job) build = job_load(service->db, open->waits_for, error);
    if (!build)
        return false;
    return build->kind != JOB_ENV_BUILD || env_build_leave(service, open, error);
}

/* Whoever has the lease by now goes on. False: *error, it is something else that failed. */
static bool work_lost(Work *work, const char *model_id, GError *failure, GError **error)
{
    Service *service = work->service;
    if (!g_error_matches(failure, DB_ERROR, DB_ERROR_FENCED)) {
        g_propagate_error(error, failure);
        return false;
    }
    g_message("%s", failure->message);
    g_error_free(failure);
    tag_mend(service, model_id);
    work->wait = true;
    return true;
}

/* That a lease was lost stops nothing but the work on its job. */
static void work_forget_loss(Service *service)
{
    if (service->lost)
        service->progress.stop = false;
    service->lost = false;
}

/* One job, to its end. */
static bool work_once(Work *work, GError **error)
{
    GError *failure = NULL;
    Service *service = work->service;
    g_autoptr(Job) open = job_load(service->db, work->import, error);
    if (!open)
        return false;
    work->held = false;
    work->ended = strcmp(open->state, "done") == 0;
    if (work->ended)
        return true;
    work->wait = service->home_only && g_strcmp0(open->home, data_home(service->data)) != 0;
    if (work->wait)
        return true;
    g_autoptr(Job) job = work_take(work, open, &failure);
    if (failure) {
        g_propagate_error(error, failure);
        return false;
    }
    if (!job && open->cancelled_by && strcmp(open->state, "parked") == 0)
        return work_leave(service, open, error);
    if (!job)
        return !work->held || import_hold(service, work->import, error);
    if (job_run(service, job, &failure) == STAGE_STOPPED)
        job_hand_back(service, job, &failure);
    else if (failure && db_error_passes(failure)) /* nobody died */
        job_hand_back(service, job, NULL);
    g_autofree char *model_id = g_strdup(job->model_id);
    g_clear_pointer(&job, job_free);
    work_forget_loss(service);
    return !failure || work_lost(work, model_id, failure, error);
}

/* Whether the worker was told to stop by somebody else than a cancel, which it still has to record.
 */
static bool work_is_stopped(const Work *work)
{
    g_autofree char *cancelled_by = job_cancelled_by(work->service->db, work->import, NULL);
    return progress_stopped(&work->service->progress) && !cancelled_by;
}

/* Until maintenance lets it go, or another window begins, in which it is told anew. */
static bool work_wait_held(const Work *work, TimelineWatch *watch, GError **error)
{
    bool held = true;
    while (held && !work_is_stopped(work)) {
        work->service->held = true;
        service_committed(work->service);
        timeline_watch_wait(watch, WATCH_MS);
        if (!import_is_held(work->service, work->import, &held, error))
            return false;
    }
    work->service->held = false;
    return true;
}

bool import_work(Service *service, int64_t import, bool *had, GError **error)
{
    bool begun = false;
    if (!had)
        had = &begun;
    g_auto(Attendant) attendant = {.service = service, .import = import};
    attendant_start(&attendant);
    g_autoptr(TimelineWatch) watch = timeline_watch_new(service->data, service->db);
    for (Work work = {.service = service, .import = import};
         !work.ended && !work_is_stopped(&work);) {
        work.wait = false;
        const bool done = work_once(&work, error);
        *had |= work.begun;
        if (!done)
            return false;
        if ((work.held || work.wait) && service->leaves)
            return true;
        if (work.held) {
            if (!work_wait_held(&work, watch, error))
                return false;
        } else if (work.wait) {
            timeline_watch_wait(watch, WATCH_MS);
            service_committed(service);
        }
    }
    return true;
}
