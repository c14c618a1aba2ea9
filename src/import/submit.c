/* Submissions: new versions, next attempts, resumes; cancel and delete. Each is one transaction. */
#include <string.h>

#include "base/error_domain.h"
#include "event/timeline.h"
#include "import/upload.h"
#include "model/model.h"
#include "store/leases.h"
#include "store/projects.h"
#include "store/runtimes.h"

DEFINE_ERROR_DOMAIN(import_error);

void submission_clear(Submission *submission)
{
    g_clear_pointer(&submission->model_id, g_free);
    g_clear_pointer(&submission->attendance, attendance_end);
}

/* -- what a version is at the moment -- */

bool import_is_worked_on(Service *service, const char *model_id, bool *worked_on, GError **error)
{
    g_autoptr(GError) failure = NULL;
    g_autoptr(Job) job = job_of_model(service->db, model_id, &failure);
    Db *db = service->db;
    DataDirectory *data = service->data;
    *worked_on =
        job && ((job->served && presence_is_held(db, data)) ||
                attendance_is_held(db, data, job->id) || lease_is_held(db, data, job->id) ||
                (job->waits_for && lease_is_held(db, data, job->waits_for)));
    bool done = !failure;
    if (failure)
        g_propagate_error(error, g_steal_pointer(&failure));
    return done;
}

static bool model_is(const Model *model, const char *outcome)
{
    return strcmp(model->outcome, outcome) == 0;
}

/* The model that the request means, NULL when it is a new version, whose number is then in
 * *version: the newest version if it failed or was interrupted, else the one that follows it. */
static bool version_pick(Service *service, const ImportRequest *request, Model **model,
                         char **version, GError **error)
{
    g_autoptr(GError) failure = NULL;
    *version = g_strdup(request->version);
    *model = request->version ? model_of_version(service->db, request->project, request->name,
                                                 request->version, &failure)
                              : model_find(service->db, request->project, request->name, &failure);
    bool worked_on = false;
    if (!failure && *model && !import_is_worked_on(service, (*model)->id, &worked_on, &failure))
        g_assert(failure);
    if (failure) {
        g_propagate_error(error, g_steal_pointer(&failure));
        return false;
    }
    if (request->version)
        return true;
    bool reusable = *model && !worked_on && !model_is(*model, "imported");
    if (reusable)
        return true;
    *version = *model ? model_version_next((*model)->version) : g_strdup(MODEL_FIRST_VERSION);
    g_clear_pointer(model, model_free);
    if (!*version)
        g_set_error(error, IMPORT_ERROR, IMPORT_ERROR_USAGE,
                    "%s has used every version up to 99.99.99", request->name);
    return *version != NULL;
}

/* Whether the version may be used again. *submission: when it is to be left as it is. */
static bool version_is_free(Service *service, const Model *model, IfExists if_exists,
                            Submission *submission, GError **error)
{
    bool worked_on;
    if (!import_is_worked_on(service, model->id, &worked_on, error))
        return false;
    if (worked_on) {
        g_set_error(error, IMPORT_ERROR, IMPORT_ERROR_CONFLICT,
                    "%s:%s is being imported now; follow it: waybill events %s:%s --follow",
                    model->name, model->version, model->name, model->version);
        return false;
    }
    if (if_exists == IF_EXISTS_FAIL) {
        g_set_error(error, IMPORT_ERROR, IMPORT_ERROR_TAKEN,
                    "version %s of %s is taken: it exists already (its status is %s)",
                    model->version, model->name, model_status(model));
        return false;
    }
    if (if_exists == IF_EXISTS_LEAVE && model_is(model, "imported")) {
        submission->already_imported = true;
        submission->model_id = g_strdup(model->id);
        submission->attempt = model->attempt;
    }
    return true;
}

/* -- submitting -- */

static bool submission_record(Service *service, const Submission *submission, GError **error)
{
    return !submission->record ||
           submission->record(service, submission, submission->record_data, error);
}

bool submission_commit(Service *service, Submission *submission, GError **error)
{
    if (!service->serves)
        submission->attendance =
            attendance_take(service->db, service->data, submission->job, error);
    return (service->serves || submission->attendance) &&
           job_set_served(service->db, submission->job, service->serves, error) &&
           submission_record(service, submission, error) && db_commit(service->db, error);
}

bool submit_attempt(Service *service, const char *model_id, int attempt, ImportRequest *request,
                    Submission *submission, GError **error)
{
    int origin = 0;
    if (request->rebuild && !rebuild_origin(service, model_id, &origin, error))
        return false;
    request->rebuild = origin != 0;
    g_autofree char *text = import_request_to_json(request);
    submission->model_id = g_strdup(model_id);
    submission->attempt = attempt;
    return attempt_insert(service->db, model_id, attempt, text, error) &&
           (!origin || rebuild_take_over(service, model_id, origin, attempt, error)) &&
           job_insert(service->db, JOB_IMPORT, model_id, attempt, NULL, &submission->job, error) &&
           upload_keep(service, request, model_id, attempt, error) &&
           upload_bind(service, request, submission->job, error);
}

static bool submit_new(Service *service, ImportRequest *request, const char *version,
                       Submission *submission, GError **error)
{
    g_autofree char *id = g_uuid_string_random();
    g_autofree char *owner = g_strdup(request->actor ? request->actor : "");
    return model_insert(service->db, id, request->project, request->name, version,
                        model_version_number(version), request->type, request->description, owner,
                        error) &&
           submit_attempt(service, id, 1, request, submission, error);
}

static bool same_request(Db *db, const Model *model, const ImportRequest *request, bool *same,
                         GError **error)
{
    g_autoptr(Attempt) attempt = attempt_load(db, model->id, model->attempt, error);
    if (!attempt)
        return false;
    g_autofree char *text = import_request_to_json(request);
    *same = strcmp(text, attempt->request) == 0;
    return true;
}

static bool submit_resumed(Service *service, const Model *model, Submission *submission,
                           GError **error)
{
    GError *failure = NULL;
    g_autoptr(Job) job = job_of_model(service->db, model->id, &failure);
    if (!job) {
        if (!failure)
            g_set_error(&failure, IMPORT_ERROR, IMPORT_ERROR_CONFLICT,
                        "attempt %d of %s has no job", model->attempt, model->name);
        g_propagate_error(error, failure);
        return false;
    }
    submission->model_id = g_strdup(model->id);
    submission->job = job->id;
    submission->attempt = model->attempt;
    submission->resumed = true;
    return true;
}

/* An interrupted attempt goes on when it is asked for in the same words, else it ends and the next
 * one begins. */
static bool submit_interrupted(Service *service, const Model *model, ImportRequest *request,
                               Submission *submission, GError **error)
{
    bool same;
    if (!same_request(service->db, model, request, &same, error))
        return false;
    if (same)
        return submit_resumed(service, model, submission, error);
    return jobs_take_away(service->db, model->id, model->attempt, error) &&
           attempt_cancel(service, model->id, model->attempt, "queue", request->actor, NULL,
                          error) &&
           submit_attempt(service, model->id, model->attempt + 1, request, submission, error);
}

static bool submit_again(Service *service, const Model *model, ImportRequest *request,
                         Submission *submission, GError **error)
{
    if (model_is(model, "running"))
        return submit_interrupted(service, model, request, submission, error);
    return model_set_description(service->db, model->id, request->description, error) &&
           submit_attempt(service, model->id, model->attempt + 1, request, submission, error);
}

static char *runtimes_names(const GPtrArray *runtimes)
{
    GString *names = g_string_new(NULL);
    for (guint i = 0; i < runtimes->len; i++) {
        const Runtime *runtime = runtimes->pdata[i];
        g_string_append_printf(names, "%s%s (%s)", names->len ? ", " : "", runtime->name,
                               runtime->platform);
    }
    if (!names->len)
        g_string_append(
            names,
            "none (waybill runtime bootstrap python3.11, or waybill runtime add NAME --image REF)");
    return g_string_free(names, FALSE);
}

/* A runtime that is named in the request is a word of the request: one that is not there, or not
 * for the platform that the request wants, is refused before anything is recorded. */
static bool runtime_is_known(Service *service, const ImportRequest *request, GError **error)
{
    if (!request->runtime)
        return true;
    g_autoptr(GPtrArray) runtimes = runtimes_list(service->db, error);
    if (!runtimes)
        return false;
    const Runtime *named = NULL;
    for (guint i = 0; i < runtimes->len && !named; i++)
        if (strcmp(((Runtime *)runtimes->pdata[i])->name, request->runtime) == 0)
            named = runtimes->pdata[i];
    if (named && (!request->platform || image_platform_fits(request->platform, named->platform)))
        return true;
    g_autofree char *names = runtimes_names(runtimes);
    if (named)
        g_set_error(error, IMPORT_ERROR, IMPORT_ERROR_USAGE,
                    "runtime %s is for %s, not for %s (--platform); there are: %s", named->name,
                    named->platform, request->platform, names);
    else
        g_set_error(error, IMPORT_ERROR, IMPORT_ERROR_USAGE,
                    "there is no runtime %s; there are: %s", request->runtime, names);
    return false;
}

bool import_submit(Service *service, ImportRequest *request, IfExists if_exists,
                   Submission *submission, GError **error)
{
    g_autoptr(DbTransaction) transaction = db_transaction(service->db, error);
    g_autoptr(Model) model = NULL;
    g_autofree char *version = NULL;
    g_free(request->asked_over);
    request->asked_over = g_strdup(service->asked_over);
    if (!transaction || !runtime_is_known(service, request, error) ||
        !project_make(service->db, request->project, error) ||
        !upload_is_ready(service, request, error) ||
        !version_pick(service, request, &model, &version, error))
        return false;
    if (model && !version_is_free(service, model, if_exists, submission, error))
        return false;
    if (submission->already_imported)
        return true;
    if (model ? !submit_again(service, model, request, submission, error)
              : !submit_new(service, request, version, submission, error))
        return false;
    return service_audit(service, request->actor, request->project, "model.create",
                         submission->model_id, error) &&
           submission_commit(service, submission, error);
}

/* -- retry, cancel, delete -- */

ImportRequest *import_retry_request(Service *service, const Model *model, const char *actor,
                                    GError **error)
{
    g_autoptr(Attempt) attempt = attempt_load(service->db, model->id, model->attempt, error);
    ImportRequest *request = attempt ? import_request_from_json(attempt->request, error) : NULL;
    if (!request)
        return NULL;
    g_clear_pointer(&request->from, g_free);
    request->no_cache = false;
    g_free(request->description);
    request->description = g_strdup(model->description); /* an update may have changed it */
    g_free(request->actor);
    request->actor = g_strdup(actor);
    g_free(request->asked_over); /* the last one who asks counts */
    request->asked_over = g_strdup(service->asked_over);
    /* Who asked on the command line followed links with rights of his own. */
    request->dereference = request->dereference && !request->asked_over;
    return request;
}

static bool retry_failed(Service *service, const Model *model, const char *actor,
                         Submission *submission, GError **error)
{
    g_autoptr(ImportRequest) request = import_retry_request(service, model, actor, error);
    return request &&
           submit_attempt(service, model->id, model->attempt + 1, request, submission, error);
}

bool import_retry(Service *service, const Model *model, const char *actor, Submission *submission,
                  GError **error)
{
    bool worked_on;
    g_autoptr(DbTransaction) transaction = db_transaction(service->db, error);
    g_autoptr(Model) now = transaction ? model_load(service->db, model->id, error) : NULL;
    if (!now || !import_is_worked_on(service, now->id, &worked_on, error))
        return false;
    submission->already_imported = model_is(now, "imported");
    if (submission->already_imported) {
        submission->model_id = g_strdup(now->id);
        submission->attempt = now->attempt;
        return submission_record(service, submission, error) && db_commit(service->db, error);
    }
    if (worked_on) {
        g_set_error(error, IMPORT_ERROR, IMPORT_ERROR_CONFLICT,
                    "%s:%s is being imported now; follow it: waybill events %s:%s --follow",
                    now->name, now->version, now->name, now->version);
        return false;
    }
    bool done = model_is(now, "running") ? submit_resumed(service, now, submission, error)
                                         : retry_failed(service, now, actor, submission, error);
    return done && service_audit(service, actor, now->project, "model.retry", now->id, error) &&
           submission_commit(service, submission, error);
}

/* *import: the job that was asked to end; 0: the model is not being imported. */
static bool cancel_ask(Service *service, const Model *model, const char *actor, int64_t *import,
                       GError **error)
{
    GError *failure = NULL;
    g_autoptr(DbTransaction) transaction = db_transaction(service->db, error);
    if (!transaction)
        return false;
    g_autoptr(Job) job = job_of_model(service->db, model->id, &failure);
    if (failure) {
        g_propagate_error(error, failure);
        return false;
    }
    *import = job ? job->id : 0;
    return (!job ||
            (job_ask_cancel(service->db, model->id, actor, error) &&
             service_audit(service, actor, model->project, "model.cancel", model->id, error))) &&
           db_commit(service->db, error);
}

bool import_cancel(Service *service, const Model *model, const char *actor, bool *running,
                   GError **error)
{
    int64_t import;
    if (!cancel_ask(service, model, actor, &import, error))
        return false;
    *running = import != 0;
    /* Who works on it ends it within a moment; where nobody does, taking the job is what ends it.
     */
    return !*running || import_work(service, import, NULL, error);
}

/* False: *error; a runtime that was made of the model's image needs it. */
static bool is_no_base(Service *service, const Model *model, GError **error)
{
    g_autoptr(GPtrArray) runtimes = runtimes_list(service->db, error);
    for (guint i = 0; runtimes && i < runtimes->len; i++) {
        const Runtime *runtime = runtimes->pdata[i];
        if (g_strcmp0(runtime->digest, model->image_digest) != 0)
            continue;
        g_set_error(error, IMPORT_ERROR, IMPORT_ERROR_IN_USE,
                    "%s:%s is in use: its image is the base of runtime %s", model->name,
                    model->version, runtime->name);
        return false;
    }
    return runtimes != NULL;
}

bool import_delete(Service *service, const Model *model, const char *actor, GError **error)
{
    bool running;
    if (!is_no_base(service, model, error) ||
        !import_cancel(service, model, actor, &running, error))
        return false;
    g_autoptr(DbTransaction) transaction = db_transaction(service->db, error);
    if (!transaction || !is_no_base(service, model, error) ||
        !model_mark_deleted(service->db, model->id, actor, error) ||
        !service_audit(service, actor, model->project, "model.delete", model->id, error) ||
        !db_commit(service->db, error))
        return false;
    return service_write_index(service, error);
}
