/* Builds that no worker takes: one that an import of a server waits for, and that nobody worked on
 * for build.schedule_timeout_seconds, ends with BuildSchedulingFailed (30), kind no_worker, and
 * with it every import that waits for it.
 *
 * How long a build has waited is what was seen of it, look by look: neither the time in which no
 * server ran nor that of maintenance counts, and a clock that is set does not matter. What the
 * command line asked for is left alone, until a server's import waits for it too: its own process
 * builds it, or `waybill retry` goes on with it. */
#pragma once

#include "import/service.h"

typedef struct Unscheduled Unscheduled;
Unscheduled *unscheduled_new(void);
void unscheduled_free(Unscheduled *unscheduled);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Unscheduled, unscheduled_free)

/* A look, to be taken every second or so: ends those whose time is over. */
bool unscheduled_look(Unscheduled *unscheduled, Service *service, GError **error);
