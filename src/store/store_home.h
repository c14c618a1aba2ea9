/* Which data directory has the images that a store on a server speaks of, where no registry keeps
 * them: a second one would look for them in vain. */
#pragma once

#include "store/db.h"

/* home: data_home's. The first one that asks is it. False: *error, it is another. */
bool store_home_keep(Db *db, const char *home, GError **error);
