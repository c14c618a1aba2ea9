#include "store/leases.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "base/io.h"
#include "store/heartbeats.h"

#define ATTENDANCE (INT64_C(1) << 40) /* behind the bytes of all leases */
#define PRESENCE   (INT64_C(1) << 41)

#define NOW              LEASES_NOW
#define ATTENDANCE_CLASS "1463900226" /* of an advisory lock of two numbers */
#define OBJECT           "($1 % 2147483647)::int"

struct Lease {
    DataDirectory *data;
    Db *db; /* of a row; NULL: an OS lock */
    int64_t job, token;
    int lock;   /* -1: a row */
    bool begun; /* of a row: its taking was committed */
};

/* -- of a store in the data directory -- */

static int leases_open(DataDirectory *data, GError **error)
{
    int fd = openat(data->fd, "leases", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        io_fail(error, errno, "%s/leases", data->path);
    return fd;
}

static int byte_lock(DataDirectory *data, short type, int64_t byte, GError **error)
{
    autofd fd = leases_open(data, error);
    if (fd < 0)
        return -1;
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
        return io_steal_fd(&fd);
    if (errno != EAGAIN && errno != EACCES)
        io_fail(error, errno, "%s/leases", data->path);
    return -1;
}

static bool byte_is_locked(DataDirectory *data, int64_t byte)
{
    autofd fd = leases_open(data, NULL);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    return fd >= 0 && fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

/* -- of a store on a server -- */

/* What a worker holds, for the thread that renews it. */
static void note_held(DataDirectory *data, int64_t job, int64_t token)
{
    pthread_mutex_lock(&data->held_lock);
    data->held_job = job;
    data->held_token = token;
    pthread_mutex_unlock(&data->held_lock);
}

/* The row stays locked to the end of the transaction: nobody takes the job in between. */
static bool is_ours(Db *db, gpointer data, GError **error)
{
    const Lease *lease = data;
    int64_t token;
    if (!db_query_int(db, &token, -1, error,
                      "SELECT leases FROM jobs WHERE id = $1 FOR NO KEY UPDATE", "i", lease->job))
        return false;
    if (token == lease->token)
        return true;
    g_set_error(error, DB_ERROR, DB_ERROR_FENCED,
                "the lease of job %" G_GINT64_FORMAT " was lost: another worker has it",
                lease->job);
    return false;
}

/* A row that is locked is being written by its holder, or being taken. */
static bool row_take(Lease *lease, bool *taken, GError **error)
{
    return db_query_int(lease->db, &lease->token, 0, error,
                        "UPDATE jobs SET leases = leases + 1, lease_until = " NOW
                        " + $2 WHERE id = "
                        "(SELECT id FROM jobs WHERE id = $1 AND coalesce(lease_until, 0) < " NOW
                        " FOR NO KEY UPDATE SKIP LOCKED) RETURNING leases",
                        "ii", lease->job, lease->data->lease_ms) &&
           ((*taken = lease->token != 0) || true);
}

static bool row_is_leased(Db *db, int64_t job)
{
    int64_t held = 0;
    return db_query_int(db, &held, 0, NULL,
                        "SELECT count(*) FROM jobs WHERE id = $1 AND lease_until >= " NOW, "i",
                        job) &&
           held != 0;
}

/* -- both -- */

static bool lease_lock(Lease *lease, bool *taken, GError **error)
{
    GError *failure = NULL;
    lease->lock = byte_lock(lease->data, F_WRLCK, lease->job, &failure);
    *taken = lease->lock >= 0;
    if (failure)
        g_propagate_error(error, failure);
    return !failure && (!*taken || db_exec(lease->db, error,
                                           "UPDATE jobs SET leases = leases + 1 WHERE id = $1", "i",
                                           lease->job));
}

Lease *lease_take(Db *db, DataDirectory *data, int64_t job, GError **error)
{
    bool taken = false;
    Lease *lease = g_new(Lease, 1);
    *lease = (Lease){.data = data, .db = db, .job = job, .lock = -1};
    const bool rows = db_engine(db) == DB_POSTGRES;
    const bool asked = rows ? row_take(lease, &taken, error) : lease_lock(lease, &taken, error);
    if (!asked || !taken) {
        io_close(&lease->lock);
        g_free(lease);
        return NULL;
    }
    return lease;
}

void lease_begin(Lease *lease)
{
    if (lease->lock >= 0)
        return;
    lease->begun = true;
    note_held(lease->data, lease->job, lease->token);
    db_guard(lease->db, is_ours, lease);
}

void lease_end(Lease *lease)
{
    if (!lease)
        return;
    if (lease->begun) {
        note_held(lease->data, 0, 0);
        db_guard(lease->db, NULL, NULL);
        db_exec(lease->db, NULL, "UPDATE jobs SET lease_until = NULL WHERE id = $1 AND leases = $2",
                "ii", lease->job, lease->token);
    }
    io_close(&lease->lock);
    g_free(lease);
}

bool lease_is_held(Db *db, DataDirectory *data, int64_t job)
{
    return db_engine(db) == DB_POSTGRES ? row_is_leased(db, job) : byte_is_locked(data, job);
}

bool lease_renew(DataDirectory *data, Db *db, LeaseLost lost, gpointer lost_data, GError **error)
{
    int64_t found;
    pthread_mutex_lock(&data->held_lock);
    const int64_t job = data->held_job, token = data->held_token;
    pthread_mutex_unlock(&data->held_lock);
    if (!job)
        return true;
    if (!db_query_int(db, &found, 0, error,
                      "UPDATE jobs SET lease_until = " NOW " + $3 WHERE id = $1 AND leases = $2 "
                      "AND lease_until IS NOT NULL RETURNING leases",
                      "iii", job, token, data->lease_ms))
        return false;
    pthread_mutex_lock(&data->held_lock);
    if (!found && data->held_job == job && data->held_token == token)
        lost(lost_data);
    pthread_mutex_unlock(&data->held_lock);
    return true;
}

/* Far behind the bytes of jobs. */
bool leases_exclude(DataDirectory *data, GError **error)
{
    const int64_t byte = G_MAXINT64 / 2 + g_random_int();
    GError *failure = NULL;
    autofd first = byte_lock(data, F_WRLCK, byte, &failure);
    autofd second = first >= 0 ? byte_lock(data, F_WRLCK, byte, &failure) : -1;
    const bool exclude = first >= 0 && second < 0 && !failure;
    if (failure)
        g_propagate_error(error, failure);
    return exclude;
}

int presence_take(DataDirectory *data, GError **error)
{
    return byte_lock(data, F_WRLCK, PRESENCE, error);
}

static bool a_worker_serves(Db *db, DataDirectory *data)
{
    bool serves = false;
    g_autoptr(GPtrArray) workers = heartbeats_read(db, data);
    for (guint i = 0; i < workers->len; i++)
        serves |= ((const Heartbeat *)workers->pdata[i])->serves;
    return serves;
}

bool presence_is_held(Db *db, DataDirectory *data)
{
    return db_engine(db) == DB_POSTGRES ? a_worker_serves(db, data)
                                        : byte_is_locked(data, PRESENCE);
}

/* -- attendance -- */

struct Attendance {
    Db *db; /* whose session holds it; NULL: `lock` does */
    int64_t job;
    int lock;
};

Attendance *attendance_take(Db *db, DataDirectory *data, int64_t job, GError **error)
{
    const bool session = db_engine(db) == DB_POSTGRES;
    Attendance *attendance = g_new(Attendance, 1);
    *attendance = (Attendance){.db = session ? db : NULL, .job = job, .lock = -1};
    if (!session)
        attendance->lock = byte_lock(data, F_RDLCK, ATTENDANCE + job, error);
    if (session ? db_keep_session(db, error) &&
                      db_exec(db, error,
                              "SELECT pg_advisory_lock_shared(" ATTENDANCE_CLASS ", " OBJECT ")",
                              "i", job)
                : attendance->lock >= 0)
        return attendance;
    g_free(attendance);
    return NULL;
}

void attendance_end(Attendance *attendance)
{
    if (!attendance)
        return;
    if (attendance->db)
        db_exec(attendance->db, NULL,
                "SELECT pg_advisory_unlock_shared(" ATTENDANCE_CLASS ", " OBJECT ")", "i",
                attendance->job);
    io_close(&attendance->lock);
    g_free(attendance);
}

bool attendance_is_held(Db *db, DataDirectory *data, int64_t job)
{
    int64_t held = 0;
    if (db_engine(db) != DB_POSTGRES)
        return byte_is_locked(data, ATTENDANCE + job);
    return db_query_int(db, &held, 0, NULL,
                        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid "
                        "= " ATTENDANCE_CLASS " AND objid = " OBJECT
                        " AND objsubid = 2 AND database = "
                        "(SELECT oid FROM pg_database WHERE datname = current_database())",
                        "i", job) &&
           held != 0;
}
