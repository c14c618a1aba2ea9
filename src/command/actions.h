/* What changes a model: done on the data directory, or asked of the server. */
#pragma once

#include "command/command.h"

/* The next attempt, or the interrupted one again (import_retry). */
bool action_retry(Session *session, const Model *model, Submission *submission, GError **error);
/* *running: there was something to cancel. */
bool action_cancel(Session *session, const Model *model, bool *running, GError **error);
bool action_delete(Session *session, const Model *model, GError **error);
