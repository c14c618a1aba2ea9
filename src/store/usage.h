/* What a project's images take, as the store knows it: asked before an import begins. */
#pragma once

#include "store/db.h"

/* Bytes of the blobs that the project's images need and of what was pushed to it, each counted
 * once; of a registry that keeps the images, too. Those of the model `but` count only where others
 * need them: what it has must not keep it from its next attempt. "": all count. */
bool usage_of_project(Db *db, const char *project, const char *but, int64_t *bytes, GError **error);
