/* Waiting for news of one model: for the store's commits, or for the server's. */
#pragma once

#include "command/command.h"

typedef struct ModelWatch ModelWatch;
ModelWatch *model_watch_new(Session *session, const char *model_id);
void model_watch_free(ModelWatch *watch);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ModelWatch, model_watch_free)

/* Until something was committed, or about so long; the session's store has it then. False: the
 * server does not tell (*error). */
bool model_watch_wait(ModelWatch *watch, int timeout_ms, GError **error);
