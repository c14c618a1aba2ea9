#include "import/unscheduled.h"

#include <string.h>

#include "base/clock.h"
#include "base/duration.h"
#include "import/pipeline.h"
#include "store/maintenance.h"

#define SETTING "build.schedule_timeout_seconds"

typedef struct {
    int64_t build;
    int leases;    /* as it was seen: one more, and somebody had it meanwhile */
    int64_t since; /* monotonic ms */
    bool seen;     /* in this look */
} Waiting;

struct Unscheduled {
    GHashTable *waiting; /* build -> Waiting */
};

Unscheduled *unscheduled_new(void)
{
    Unscheduled *unscheduled = g_new(Unscheduled, 1);
    unscheduled->waiting = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, g_free);
    return unscheduled;
}

void unscheduled_free(Unscheduled *unscheduled)
{
    if (!unscheduled)
        return;
    g_hash_table_unref(unscheduled->waiting);
    g_free(unscheduled);
}

/* -- how long each has waited -- */

static const Waiting *waiting_see(Unscheduled *unscheduled, const Job *build)
{
    Waiting *waiting = g_hash_table_lookup(unscheduled->waiting, &build->id);
    if (!waiting) {
        waiting = g_new(Waiting, 1);
        *waiting = (Waiting){.build = build->id, .leases = -1};
        g_hash_table_insert(unscheduled->waiting, &waiting->build, waiting);
    }
    if (waiting->leases != build->leases)
        waiting->since = clock_monotonic_ms();
    waiting->leases = build->leases;
    waiting->seen = true;
    return waiting;
}

/* What was not seen is worked on, held, or done. */
static gboolean waiting_is_over(gpointer build G_GNUC_UNUSED, gpointer value,
                                gpointer data G_GNUC_UNUSED)
{
    Waiting *waiting = value;
    bool over = !waiting->seen;
    waiting->seen = false;
    return over;
}

/* -- the end of one -- */

static Event *event_no_worker(Service *service, const Job *build, int64_t waited_ms)
{
    int alive = 0, busy = 0;
    g_autoptr(GPtrArray) workers = heartbeats_read(service->db, service->data);
    for (guint i = 0; i < workers->len; i++) {
        const Heartbeat *worker = workers->pdata[i];
        alive += worker->serves;
        busy += worker->serves && worker->job;
    }
    g_autofree char *waited = duration_text(settings_int(service->settings, SETTING) * 1000);
    Event *event = event_with_kind(event_build_scheduling_failed(), "no_worker");
    event_with(event, "{s:s, s:I, s:i, s:i, s:s}", "waited", waited, "waited_ms",
               (json_int_t)waited_ms, "alive", alive, "busy", busy, "setting", SETTING);
    if (build->leases)
        event_with(event, "{s:i}", "attempts", build->leases);
    return build->worker ? event_with_text(event, "worker", build->worker) : event;
}

static bool end_for(Service *service, const Job *import, const Job *build, const GPtrArray *events,
                    GError **error)
{
    const char *stage = build->kind == JOB_ENV_BUILD ? "environment" : "build";
    if (import->cancelled_by)
        return attempt_cancel(service, import->model_id, import->attempt, stage,
                              import->cancelled_by, "cancelled", error);
    return attempt_fail(service, import->model_id, import->attempt, stage, events, "failed", error);
}

/* Whether it may still be ended is asked in the transaction that does it, with its lease held: a
 * worker claims it in the same way (job_claim), so one of the two finds it gone. */
static bool build_end(Service *service, const Job *seen, int64_t waited_ms, bool *ended,
                      GError **error)
{
    const int64_t id = seen->id;
    Db *db = service->db;
    GError *failure = NULL;
    *ended = false;
    g_autoptr(DbTransaction) transaction = service_transaction(service, error);
    g_autoptr(Maintenance) maintenance = transaction ? maintenance_load(db, error) : NULL;
    if (!maintenance)
        return false;
    g_autoptr(Job) build = maintenance->on ? NULL : job_seize(db, service->data, id, &failure);
    if (failure)
        g_propagate_error(error, failure);
    if (!build || build->leases != seen->leases) /* somebody has it, or had it since */
        return !failure;
    g_autoptr(GPtrArray) waiting = jobs_waiting(db, id, error);
    g_autoptr(GPtrArray) events = events_new(event_no_worker(service, build, waited_ms), NULL);
    for (guint i = 0; waiting && i < waiting->len; i++)
        if (!end_for(service, waiting->pdata[i], build, events, error))
            return false;
    /* Whoever had it may only sleep, and what he sends the registry may still arrive. */
    if (strcmp(build->state, "running") == 0 && !job_note_lost(db, id, error))
        return false;
    *ended = waiting && job_end(db, id, error) && db_commit(db, error);
    return *ended;
}

bool unscheduled_look(Unscheduled *unscheduled, Service *service, GError **error)
{
    int64_t most = settings_int(service->settings, SETTING) * 1000;
    g_autoptr(GPtrArray) builds = builds_to_serve(service->db, service->data, error);
    for (guint i = 0; builds && i < builds->len; i++) {
        const Job *build = builds->pdata[i];
        bool ended = false;
        int64_t waited = clock_monotonic_ms() - waiting_see(unscheduled, build)->since;
        if (waited >= most && !build_end(service, build, waited, &ended, error))
            return false;
        if (ended)
            service_committed(service);
    }
    if (builds)
        g_hash_table_foreach_remove(unscheduled->waiting, waiting_is_over, NULL);
    return builds != NULL;
}
