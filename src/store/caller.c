#include "store/caller.h"

#include <string.h>

static const char *const NAMES[] = {
    [ROLE_READER] = "reader",
    [ROLE_WRITER] = "writer",
    [ROLE_ADMIN] = "admin",
};

const char *role_name(Role role)
{
    return NAMES[role];
}

bool role_of_name(const char *name, Role *role)
{
    for (size_t i = 0; i < G_N_ELEMENTS(NAMES); i++)
        if (strcmp(name, NAMES[i]) == 0) {
            *role = (Role)i;
            return true;
        }
    return false;
}

Caller *caller_new(const char *user, const char *project, Role role, const char *credential)
{
    Caller *caller = g_new0(Caller, 1);
    caller->user = g_strdup(user);
    caller->project = g_strdup(project);
    caller->role = role;
    caller->credential = g_strdup(credential);
    return caller;
}

void caller_free(Caller *caller)
{
    if (!caller)
        return;
    g_free(caller->user);
    g_free(caller->project);
    g_free(caller->credential);
    g_free(caller);
}

bool caller_may_see(const Caller *caller, const char *project)
{
    return strcmp(caller->project, CALLER_EVERY_PROJECT) == 0 ||
           strcmp(caller->project, project) == 0;
}
