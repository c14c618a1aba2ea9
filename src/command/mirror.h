/* What a server tells of its models, as rows of a store in memory: every view works on them as on a
 * data directory, and there is one way to show a timeline. */
#pragma once

#include "command/remote.h"
#include "import/service.h"
#include "store/models.h"

/* MODEL as the command line takes it: a name (its newest version), name:version, or an id. The row
 * with its attempts and all its events so far is in the store then. NULL with *error unset: there
 * is none. */
Model *mirror_model(Service *service, Remote *remote, const char *text, GError **error);

/* The same among those that were deleted, by name or name:version. */
Model *mirror_model_deleted(Service *service, Remote *remote, const char *text, GError **error);

/* Brings the model's row and events up to date; first waits at most so many seconds for a further
 * event. */
bool mirror_update(Service *service, Remote *remote, const char *model_id, int wait_seconds,
                   GError **error);

/* The server's list of models: their rows, each with the event that says most about it. *items:
 * model id -> its JSON as the server sent it. False: *error. */
bool mirror_list(Service *service, Remote *remote, const char *name_part, bool deleted,
                 GHashTable **items, GError **error);

/* The lines of an attempt's build log that are not in the store yet. *offset: of the text, from 0.
 */
bool mirror_log(Service *service, Remote *remote, const char *model_id, int attempt,
                int64_t *offset, GError **error);
