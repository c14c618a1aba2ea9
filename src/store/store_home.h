/* Which data directory a store belongs to that is not in it. Leases, heartbeats and images are that
 * directory's: a second one would work on the same jobs. */
#pragma once

#include "store/db.h"

/* directory: absolute. The first one that asks is it. False: *error, it is another. */
bool store_home_keep(Db *db, const char *directory, GError **error);
