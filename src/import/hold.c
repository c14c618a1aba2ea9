/* What would start while maintenance is on: it is told to wait, and let go when maintenance ends.
 */
#include "import/hold.h"

#include <string.h>

#include "base/instant.h"
#include "event/timeline.h"
#include "import/pipeline.h"
#include "store/caller.h"
#include "store/maintenance.h"

static Event *event_held(const Maintenance *maintenance, int64_t ahead)
{
    Event *event = event_system_upgrading();
    event->actor = g_strdup(maintenance->actor);
    if (maintenance->message)
        event_with_text(event, "message", maintenance->message);
    if (maintenance->until) {
        g_autofree char *until = instant_text(maintenance->until);
        event_with(event, "{s:s}", "until", until);
    }
    return event_with(event, "{s:I}", "position", (json_int_t)(ahead + 1));
}

/* Within the caller's transaction. Whether it waits is asked again in it: maintenance may have
 * ended, and another process may have told it. */
static bool hold_record(Service *service, int64_t import, bool *told, GError **error)
{
    Db *db = service->db;
    int64_t ahead;
    g_autoptr(Maintenance) maintenance = maintenance_load(db, error);
    g_autoptr(Job) job = maintenance ? job_load(db, import, error) : NULL;
    if (!job)
        return false;
    *told = maintenance->on && maintenance->number != job->held_in && !job->cancelled_by &&
            strcmp(job->state, "done") != 0;
    if (!*told)
        return true;
    if (!jobs_ahead(db, import, &ahead, error))
        return false;
    g_autoptr(Event) event = event_held(maintenance, ahead);
    return timeline_append(db, job->model_id, job->attempt, "queue", event, NULL, error) &&
           job_set_held(db, import, maintenance->number, error);
}

bool import_hold(Service *service, int64_t import, GError **error)
{
    bool told;
    g_autoptr(DbTransaction) transaction = service_transaction(service, error);
    if (!transaction || !hold_record(service, import, &told, error) ||
        !db_commit(service->db, error))
        return false;
    if (told)
        service_committed(service);
    return true;
}

bool import_is_held(Service *service, int64_t import, bool *held, GError **error)
{
    g_autoptr(Maintenance) maintenance = maintenance_load(service->db, error);
    g_autoptr(Job) job = maintenance ? job_load(service->db, import, error) : NULL;
    *held = job && maintenance->on && maintenance->number == job->held_in && !job->cancelled_by &&
            strcmp(job->state, "done") != 0;
    return job != NULL;
}

bool maintenance_switch(Service *service, const MaintenanceWish *wish, const char *actor,
                        bool *was_on, GError **error)
{
    Db *db = service->db;
    g_autoptr(DbTransaction) transaction = service_transaction(service, error);
    g_autoptr(Maintenance) before = transaction ? maintenance_load(db, error) : NULL;
    if (!before)
        return false;
    *was_on = before->on;
    return (wish->on ? maintenance_begin(db, actor, wish->message, wish->until, error)
                     : maintenance_end(db, error)) &&
           service_audit(service, actor, CALLER_EVERY_PROJECT,
                         wish->on ? "maintenance.on" : "maintenance.off", "", error) &&
           db_commit(db, error);
}

json_t *maintenance_json(Service *service, GError **error)
{
    int64_t held;
    g_autoptr(Maintenance) now = maintenance_load(service->db, error);
    if (!now || !maintenance_count_held(service->db, now, &held, error))
        return NULL;
    if (!now->on)
        return json_pack("{s:b}", "on", 0);
    json_t *until = now->until ? json_integer((json_int_t)now->until) : json_null();
    return json_pack("{s:b, s:s?, s:s, s:I, s:o, s:I}", "on", 1, "message", now->message, "actor",
                     now->actor, "since", (json_int_t)now->since, "until", until, "waiting",
                     (json_int_t)held);
}
