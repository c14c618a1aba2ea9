/* Data directories of the nodes on a store that they share, and when each was seen last: what lies
 * in one of them alone (an upload) is waited for while its node may come back. */
#pragma once

#include "store/data.h"

#define HOME_BEAT_MS 5000

/* This node lives: to be said every HOME_BEAT_MS. worker: HOST/PID. Nothing, in SQLite. */
bool home_beat(Db *db, const DataDirectory *data, const char *worker, GError **error);
/* HOST/PID of who was seen last on that data directory, and how long ago; NULL with *error unset:
 * nobody, for a month. The caller frees it. */
char *home_worker(Db *db, const char *home, int64_t *unseen_ms, GError **error);

/* Of PostgreSQL: a node whose home is `home` was not seen for `ms`. The looker, whose home is
 * `own`, was seen all that time: that the store was away gives nobody up. */
#define HOME_IS_GIVEN_UP(home, own, ms)                                                        \
    "(EXISTS (SELECT 1 FROM homes o WHERE o.home = " own " AND o.since < " LEASES_NOW " - " ms \
    ") AND NOT EXISTS (SELECT 1 FROM homes h WHERE h.home = " home " AND h.seen > " LEASES_NOW \
    " - " ms "))"
