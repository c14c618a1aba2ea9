/* Signing in: a link that works once, and sessions, which a browser keeps as a cookie. */
#pragma once

#include "import/service.h"
#include "store/caller.h"

/* Within a transaction, with its row in the audit list: "/sign-in?code=…" for that user, good for
 * LINK_SECONDS (server/access.h). The caller frees it. */
char *sign_in_link_make(Service *service, const char *actor, const char *user, const char *project,
                        Role role, GError **error);
