/* What an env-build job does: installs a model's dependencies into an environment image, for every
 * import that waits for it. This version has no sandbox to do it in: the build cannot be started,
 * and each of those imports says so. */
#include "import/pipeline.h"

static Event *event_no_sandbox(const Service *service)
{
    Event *event = event_with_kind(event_build_start_failed(), "no_sandbox");
    event_with_text(event, "worker", service->worker);
    return event_with(
        event, "{s:s, s:s}", "error",
        "this version of waybill has no build sandbox: it cannot install dependencies", "check",
        "sandbox");
}

static bool env_build_fail(Service *service, Job *job, GError **error)
{
    g_autoptr(DbTransaction) transaction = service_transaction(service, error);
    g_autoptr(GPtrArray) waiting = transaction ? jobs_waiting(service->db, job->id, error) : NULL;
    for (guint i = 0; waiting && i < waiting->len; i++) {
        const Job *import = waiting->pdata[i];
        g_autoptr(GPtrArray) events = events_new(event_no_sandbox(service), NULL);
        if (!attempt_fail(service, import->model_id, import->attempt, "environment", events, NULL,
                          error))
            return false;
    }
    return waiting && job_end(service->db, job->id, error) && db_commit(service->db, error);
}

StageResult env_build_run(Service *service, Job *job, GError **error)
{
    if (!env_build_fail(service, job, error))
        return STAGE_ERROR;
    service_committed(service);
    return STAGE_FAILED;
}
