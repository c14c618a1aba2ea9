/* Leases: who works on a job.
 *
 * Of a store in the data directory a lease is an OS lock: byte N of DATA/leases for job N. It ends
 * with its process, and nobody waits for a clock. (Open file description locks: two leases of one
 * process exclude each other too.)
 *
 * Of a store on a server it is the job's row: jobs.lease_until, by the clock of the database, which
 * its holder moves on (lease_renew). Each taking gives the job another token (jobs.leases). What a
 * holder writes begins with the proof that its token is still the job's, under the lock of the row:
 * whoever lost a lease can commit nothing more (DB_ERROR_FENCED), however long he slept. */
#pragma once

#include "store/data.h"

/* In SQL, of a store on a server: the clocks of the machines need not agree. */
#define LEASES_NOW "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"

typedef struct Lease Lease;

/* Within the caller's transaction. NULL with *error unset: somebody else holds it. */
Lease *lease_take(Db *db, DataDirectory *data, int64_t job, GError **error);
/* That transaction was committed: until lease_end the lease is to be renewed, and fences every
 * transaction of `db`. What was not begun was undone with its transaction. */
void lease_begin(Lease *lease);
void lease_end(Lease *lease);
bool lease_is_held(Db *db, DataDirectory *data, int64_t job);

/* Moves on the lease that `data` holds, if it holds one; over any connection. Where somebody else
 * has the job since, `lost` is called, before the lease can be given back. */
typedef void (*LeaseLost)(gpointer data);
bool lease_renew(DataDirectory *data, Db *db, LeaseLost lost, gpointer lost_data, GError **error);

/* Whether OS locks exclude each other there. False without *error: they do not. */
bool leases_exclude(DataDirectory *data, GError **error);

/* A server's presence on the data directory: there is at most one. A file descriptor that holds it
 * until it is closed; -1 with *error unset when somebody else holds it. */
int presence_take(DataDirectory *data, GError **error);
/* Whether a server's worker takes what is in the queue. */
bool presence_is_held(Db *db, DataDirectory *data);

/* Who goes on with an attempt to its end says so with a lock of its own, which several may share:
 * from the submission of the import job on, also while that is queued or parked and no worker holds
 * its lease. An attempt that nobody attends was interrupted. Of a store on a server it is a lock of
 * the session there. */
typedef struct Attendance Attendance;
Attendance *attendance_take(Db *db, DataDirectory *data, int64_t job, GError **error);
void attendance_end(Attendance *attendance);
bool attendance_is_held(Db *db, DataDirectory *data, int64_t job);
