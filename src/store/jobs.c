#include "store/jobs.h"

#include <string.h>

#include "base/clock.h"
#include "store/homes.h"
#include "store/maintenance.h"

static const char *const KINDS[] = {
    [JOB_IMPORT] = "import", [JOB_IMAGE_BUILD] = "image-build", [JOB_ENV_BUILD] = "env-build"};

const char *job_kind_name(JobKind kind)
{
    return KINDS[kind];
}

static JobKind job_kind_of(const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(KINDS); i++)
        if (strcmp(KINDS[i], name) == 0)
            return (JobKind)i;
    g_error("the store holds a job of unknown kind %s", name);
}

void job_free(Job *job)
{
    if (!job)
        return;
    lease_end(job->lease);
    g_free(job->model_id);
    g_free(job->state);
    g_free(job->worker);
    g_free(job->home);
    g_free(job->cancelled_by);
    g_free(job->cache_key);
    g_free(job);
}

#define JOB_COLUMNS                                                                       \
    "SELECT id, kind, model_id, attempt, state, coalesce(waits_for, 0), leases, worker, " \
    "cancelled_by, created_at, served, held_in, cache_key, lost, home FROM jobs "

static Job *job_of_row(DbRows *rows)
{
    Job *job = g_new0(Job, 1);
    job->id = db_int(rows, 0);
    job->kind = job_kind_of(db_text(rows, 1));
    job->model_id = g_strdup(db_text(rows, 2));
    job->attempt = (int)db_int(rows, 3);
    job->state = g_strdup(db_text(rows, 4));
    job->waits_for = db_int(rows, 5);
    job->leases = (int)db_int(rows, 6);
    job->worker = g_strdup(db_text(rows, 7));
    job->cancelled_by = g_strdup(db_text(rows, 8));
    job->created_at = db_int(rows, 9);
    job->served = db_int(rows, 10) != 0;
    job->held_in = db_int(rows, 11);
    job->cache_key = g_strdup(db_text(rows, 12));
    job->lost = (int)db_int(rows, 13);
    job->home = g_strdup(db_text(rows, 14));
    return job;
}

bool job_insert(Db *db, JobKind kind, const char *model_id, int attempt, const char *cache_key,
                int64_t *id, GError **error)
{
    *id = 0;
    return db_query_int(
        db, id, 0, error,
        "INSERT INTO jobs(kind, model_id, attempt, state, cache_key, leases, created_at) "
        "VALUES ($1, $2, $3, 'queued', $4, 0, $5) RETURNING id",
        "ssisi", job_kind_name(kind), model_id, (int64_t)attempt, cache_key, clock_now_ms());
}

bool job_of_cache_key(Db *db, const char *cache_key, int64_t *id, GError **error)
{
    return db_query_int(db, id, 0, error,
                        "SELECT id FROM jobs WHERE cache_key = $1 AND state <> 'done'", "s",
                        cache_key);
}

Job *job_load(Db *db, int64_t id, GError **error)
{
    g_autoptr(DbRows) rows = db_query(db, error, JOB_COLUMNS "WHERE id = $1", "i", id);
    return rows && db_next(rows, error) ? job_of_row(rows) : NULL;
}

Job *job_of_model(Db *db, const char *model_id, GError **error)
{
    g_autoptr(DbRows) rows = db_query(
        db, error,
        JOB_COLUMNS
        "WHERE model_id = $1 AND kind = 'import' AND state <> 'done' ORDER BY id DESC LIMIT 1",
        "s", model_id);
    return rows && db_next(rows, error) ? job_of_row(rows) : NULL;
}

static bool maintenance_is_on(Db *db, bool *on, GError **error)
{
    g_autoptr(Maintenance) maintenance = maintenance_load(db, error);
    *on = maintenance && maintenance->on;
    return maintenance != NULL;
}

Job *job_seize(Db *db, DataDirectory *data, int64_t id, GError **error)
{
    g_autoptr(Job) job = job_load(db, id, error);
    if (!job || (strcmp(job->state, "queued") != 0 && strcmp(job->state, "running") != 0))
        return NULL;
    job->lease = lease_take(db, data, id, error);
    return job->lease ? g_steal_pointer(&job) : NULL;
}

Job *job_claim(Db *db, DataDirectory *data, int64_t id, const char *worker, bool *held,
               GError **error)
{
    if (held)
        *held = false;
    g_autoptr(DbTransaction) transaction = db_transaction(db, error);
    g_autoptr(Job) job = transaction ? job_seize(db, data, id, error) : NULL;
    if (!job)
        return NULL;
    if (held && !job->cancelled_by && (!maintenance_is_on(db, held, error) || *held))
        return NULL;
    const bool was_lost = strcmp(job->state, "running") == 0;
    if (!was_lost)
        g_clear_pointer(&job->worker, g_free);
    job->lost += was_lost;
    if (!db_exec(db, error,
                 "UPDATE jobs SET state = 'running', worker = $2, lost = $3 WHERE id = $1", "isi",
                 id, worker, (int64_t)job->lost) ||
        !db_commit(db, error))
        return NULL;
    lease_begin(job->lease);
    return g_steal_pointer(&job);
}

bool job_note_lost(Db *db, int64_t id, GError **error)
{
    return db_exec(db, error, "UPDATE jobs SET lost = lost + 1 WHERE id = $1", "i", id);
}

bool jobs_take_away(Db *db, const char *model_id, int attempt, GError **error)
{
    return db_exec(db, error,
                   "UPDATE jobs SET leases = leases + 1, lost = lost + 1, lease_until = NULL WHERE "
                   "model_id = $1 AND attempt = $2 AND state <> 'done' AND kind <> 'env-build'",
                   "si", model_id, (int64_t)attempt);
}

bool job_park(Db *db, int64_t id, int64_t waits_for, GError **error)
{
    return db_exec(db, error, "UPDATE jobs SET state = 'parked', waits_for = $2 WHERE id = $1",
                   "ii", id, waits_for);
}

bool job_end(Db *db, int64_t id, GError **error)
{
    return db_exec(db, error, "UPDATE jobs SET state = 'done' WHERE id = $1", "i", id);
}

bool job_set_held(Db *db, int64_t id, int64_t window, GError **error)
{
    return db_exec(db, error, "UPDATE jobs SET held_in = $2 WHERE id = $1", "ii", id, window);
}

bool job_set_home(Db *db, int64_t id, const char *home, GError **error)
{
    return db_exec(db, error, "UPDATE jobs SET home = $2 WHERE id = $1", "is", id, home);
}

bool job_give_back(Db *db, int64_t id, GError **error)
{
    return db_exec(db, error,
                   "UPDATE jobs SET state = 'queued' WHERE id = $1 AND state = 'running'", "i", id);
}

bool job_wake_waiting(Db *db, int64_t build, GError **error)
{
    return db_exec(db, error,
                   "UPDATE jobs SET state = 'queued', waits_for = NULL WHERE waits_for = $1 AND "
                   "state = 'parked'",
                   "i", build);
}

GPtrArray *jobs_waiting(Db *db, int64_t build, GError **error)
{
    g_autoptr(GPtrArray) jobs = g_ptr_array_new_with_free_func((GDestroyNotify)job_free);
    g_autoptr(DbRows) rows =
        db_query(db, error, JOB_COLUMNS "WHERE waits_for = $1 AND state = 'parked' ORDER BY id",
                 "i", build);
    GError *failure = NULL;
    while (rows && db_next(rows, &failure))
        g_ptr_array_add(jobs, job_of_row(rows));
    if (failure)
        g_propagate_error(error, failure);
    return rows && !failure ? g_steal_pointer(&jobs) : NULL;
}

bool job_set_served(Db *db, int64_t id, bool served, GError **error)
{
    return db_exec(db, error, "UPDATE jobs SET served = $2 WHERE id = $1", "ii", id,
                   (int64_t)served);
}

/* A server's store knows itself what is leased, and does not tell of all that waits; and who is
 * there. $4 is read in any case. */
#define SERVED(free_of, given_up)                                                              \
    "SELECT s.id, s.build FROM (SELECT j.id, coalesce(j.waits_for, j.id) AS build, " JOBS_TURN \
    " AS turn FROM jobs j JOIN models m ON m.id = j.model_id WHERE j.state <> 'done' AND "     \
    "j.served = 1 AND j.kind = 'import' AND (j.held_in <> $1 OR $1 = 0 OR j.cancelled_by IS "  \
    "NOT NULL) AND (j.home = $2 OR ($3 = 0 AND (j.home IS NULL OR " given_up ")))) s " free_of \
    " ORDER BY s.turn, s.id LIMIT 1000"
#define OF_ROWS                                                                               \
    "WHERE NOT EXISTS (SELECT 1 FROM jobs l WHERE l.id IN (s.id, s.build) AND l.lease_until " \
    ">= " LEASES_NOW ")"

GArray *jobs_to_serve(Db *db, DataDirectory *data, bool home_only, int64_t given_up_ms,
                      GError **error)
{
    const bool rows_are_leases = db_engine(db) == DB_POSTGRES;
    g_autoptr(Maintenance) maintenance = maintenance_load(db, error);
    if (!maintenance)
        return NULL;
    g_autoptr(GArray) jobs = g_array_new(FALSE, FALSE, sizeof(int64_t));
    g_autoptr(DbRows) rows =
        db_query(db, error,
                 rows_are_leases ? SERVED(OF_ROWS, HOME_IS_GIVEN_UP("j.home", "$2", "$4"))
                                 : SERVED("", "$4 < 0"),
                 "isii", maintenance->on ? maintenance->number : 0, data_home(data),
                 (int64_t)home_only, given_up_ms);
    GError *failure = NULL;
    while (rows && db_next(rows, &failure)) {
        const int64_t id = db_int(rows, 0);
        if (rows_are_leases ||
            (!lease_is_held(db, data, id) && !lease_is_held(db, data, db_int(rows, 1))))
            g_array_append_val(jobs, id);
    }
    if (failure)
        g_propagate_error(error, failure);
    return rows && !failure ? g_steal_pointer(&jobs) : NULL;
}

GPtrArray *builds_to_serve(Db *db, DataDirectory *data, GError **error)
{
    bool on;
    if (!maintenance_is_on(db, &on, error))
        return NULL;
    g_autoptr(GPtrArray) builds = g_ptr_array_new_with_free_func((GDestroyNotify)job_free);
    g_autoptr(DbRows) rows =
        on ? NULL
           : db_query(db, error,
                      JOB_COLUMNS "WHERE kind <> 'import' AND state IN ('queued', 'running') AND "
                                  "EXISTS (SELECT 1 FROM jobs i WHERE i.waits_for = jobs.id AND "
                                  "i.state = 'parked' AND i.served = 1) ORDER BY id",
                      "");
    GError *failure = NULL;
    while (rows && db_next(rows, &failure)) {
        g_autoptr(Job) build = job_of_row(rows);
        if (!lease_is_held(db, data, build->id))
            g_ptr_array_add(builds, g_steal_pointer(&build));
    }
    if (failure)
        g_propagate_error(error, failure);
    return (rows || on) && !failure ? g_steal_pointer(&builds) : NULL;
}

bool job_ask_cancel(Db *db, const char *model_id, const char *actor, GError **error)
{
    return db_exec(db, error,
                   "UPDATE jobs SET cancelled_by = $2 WHERE model_id = $1 AND state <> 'done' AND "
                   "kind <> 'env-build' AND cancelled_by IS NULL",
                   "ss", model_id, actor);
}

char *job_cancelled_by(Db *db, int64_t id, GError **error)
{
    g_autoptr(DbRows) rows =
        db_query(db, error, "SELECT cancelled_by FROM jobs WHERE id = $1", "i", id);
    return rows && db_next(rows, error) ? g_strdup(db_text(rows, 0)) : NULL;
}

bool jobs_ahead(Db *db, int64_t id, int64_t *ahead, GError **error)
{
    return db_query_int(db, ahead, 0, error,
                        "SELECT count(*) FROM jobs q JOIN jobs j ON j.id = $1 "
                        "WHERE q.kind = j.kind AND q.state = 'queued' AND q.id < j.id",
                        "i", id);
}
