/* A lease is an OS lock: whoever works on job N holds byte N of DATA/leases. It ends with its
 * process, and nobody waits for a clock. (Open file description locks: two leases of one process
 * exclude each other too.) */
#pragma once

#include "store/data.h"

/* Returns a file descriptor that holds the lease until it is closed; -1 with *error unset when
 * somebody else holds it. */
int lease_take(DataDirectory *data, int64_t job, GError **error);
bool lease_is_held(DataDirectory *data, int64_t job);
