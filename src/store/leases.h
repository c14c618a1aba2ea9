/* A lease is an OS lock: whoever works on job N holds byte N of DATA/leases. It ends with its
 * process, and nobody waits for a clock. (Open file description locks: two leases of one process
 * exclude each other too.) */
#pragma once

#include "store/data.h"

/* Returns a file descriptor that holds the lease until it is closed; -1 with *error unset when
 * somebody else holds it. */
int lease_take(DataDirectory *data, int64_t job, GError **error);
bool lease_is_held(DataDirectory *data, int64_t job);

/* A server's presence on the data directory: there is at most one. Returns as lease_take. */
int presence_take(DataDirectory *data, GError **error);
bool presence_is_held(DataDirectory *data);

/* Who goes on with an attempt to its end says so with a lock of its own, which several may share:
 * from the submission of the import job on, also while that is queued or parked and no worker holds
 * its lease. An attempt that nobody attends was interrupted. Returns a file descriptor as above. */
int attendance_take(DataDirectory *data, int64_t job, GError **error);
bool attendance_is_held(DataDirectory *data, int64_t job);
