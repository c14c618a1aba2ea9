/* The pipeline, as the faces (command line, later the server) see it.
 *
 *   import_submit  -> one transaction: model, attempt, job
 *   import_work    -> leases jobs and walks the stage table until the attempt has ended
 *
 * There is no second path: retry, resume and rebuild are submissions of the same kind, worked on by
 * the same worker. */
#pragma once

#include "import/request.h"
#include "import/service.h"
#include "model/config.h"
#include "model/package.h"
#include "store/attempts.h"
#include "store/jobs.h"
#include "store/models.h"

#define IMPORT_ERROR (import_error_quark())
GQuark import_error_quark(void);
typedef enum {
    IMPORT_ERROR_CONFLICT, /* somebody works on the version */
    IMPORT_ERROR_TAKEN,    /* the version exists */
    IMPORT_ERROR_IN_USE,   /* its image is the base of a runtime */
    IMPORT_ERROR_USAGE,    /* e.g. no runtime of that name */
    IMPORT_ERROR_BUILDING, /* its image is being built: it cannot be rebuilt now */
    IMPORT_ERROR_SOURCE,   /* the upload is not there, or not complete */
} ImportErrorCode;

/* What a submission made, or found. As long as it is kept, the attempt does not count as
 * interrupted (store/leases.h). */
typedef struct Submission Submission;
struct Submission {
    char *model_id;
    int64_t job;
    int attempt;
    Attendance *attendance;
    bool resumed;          /* an interrupted attempt goes on */
    int appended;          /* events that it recorded itself, before those of the attempt */
    bool already_imported; /* the version is an imported one: nothing was done */
    /* What else is written in its transaction, called before the commit; NULL: nothing. */
    bool (*record)(Service *service, const Submission *submission, gpointer data, GError **error);
    gpointer record_data;
};
#define SUBMISSION_NONE ((Submission){0})
void submission_clear(Submission *submission);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Submission, submission_clear)

/* What becomes of a version that is there already. */
typedef enum {
    IF_EXISTS_LEAVE,   /* an imported one: *submission says already_imported; a failed one: its next
                          attempt */
    IF_EXISTS_FAIL,    /* IMPORT_ERROR_TAKEN */
    IF_EXISTS_REPLACE, /* an imported one, too, is used again as its next attempt */
} IfExists;

/* A new model version; or, where the version failed or was interrupted, its next attempt or the
 * same one. One that is being imported now is IMPORT_ERROR_CONFLICT. */
bool import_submit(Service *service, ImportRequest *request, IfExists if_exists,
                   Submission *submission, GError **error);
/* What the newest attempt was asked for, with the description that the model has now: what its next
 * attempt begins with. */
ImportRequest *import_retry_request(Service *service, const Model *model, const char *actor,
                                    GError **error);
/* The model again: an interrupted attempt is resumed, after a failed one attempt n+1 begins. */
bool import_retry(Service *service, const Model *model, const char *actor, Submission *submission,
                  GError **error);

/* Whether the model's next attempt can begin at that stage, which needs what the newest one did in
 * the stages before. False: IMPORT_ERROR_USAGE lists where it can begin. */
bool import_can_begin(Service *service, const Model *model, const char *stage, GError **error);

/* Works on an import job, and on the builds that it waits for, until its attempt has ended or
 * service->progress.stop was set (then the job is back in the queue). The attempt's outcome is in
 * the store. *had (or NULL): whether it could work on anything at all (service.h, leaves). False:
 * the store could not be used.
 *
 * While maintenance is on, nothing is begun: SystemUpgrading says so, once in each window, and the
 * job stays in the queue (service.h, leaves). */
bool import_work(Service *service, int64_t import, bool *had, GError **error);

/* Asks for the end of a running attempt; closes it itself when nobody works on it. *running false:
 * there was nothing to cancel. */
bool import_cancel(Service *service, const Model *model, const char *actor, bool *running,
                   GError **error);
/* Cancels it if it runs, then removes the model; its timeline stays. */
bool import_delete(Service *service, const Model *model, const char *actor, GError **error);

/* Whether somebody attends the attempt, or a worker holds its job or its build's. */
bool import_is_worked_on(Service *service, const char *model_id, bool *worked_on, GError **error);

/* An upload's source_path; NULL stays where the upload is gone: event 29 says so. A bucket's keys.
 * Other sources are left alone. */
bool import_request_resolve(Service *service, ImportRequest *request, GError **error);
/* False: IMPORT_ERROR_SOURCE, the upload cannot be imported from. Other sources are left alone. */
bool upload_is_ready(Service *service, const ImportRequest *request, GError **error);

/* Every check that needs no build: what stage `check` does, and all that `waybill check` does.
 * runtimes: of Runtime. *package, *config and *runtime (each may be NULL) are set to what was
 * looked at, NULL where there is none. progress (may be NULL): ends what an object store is waited
 * for. */
bool import_check(const Settings *settings, GPtrArray *runtimes, const ImportRequest *request,
                  Progress *progress, Findings *findings, Package **package, Config **config,
                  char **runtime, GError **error);
/* {"findings": [EVENT, …]} and, of a package, its files, bytes, largest files and what inference
 * does not need. */
json_t *import_check_json(const Findings *findings, const Package *package);
