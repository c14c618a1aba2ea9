/* Projects: made by whoever first names one to import into, or makes a token for it. */
#pragma once

#include "store/db.h"

/* Within a transaction; does nothing when it is there. The name's rule is the caller's to check. */
bool project_make(Db *db, const char *id, GError **error);
/* char *: every id, sorted. */
GPtrArray *projects_list(Db *db, GError **error);
