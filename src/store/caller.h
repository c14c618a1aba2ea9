/* Who asks: a user with a role in a project, as a token, an access key or a trusted proxy says. */
#pragma once

#include <glib.h>
#include <stdbool.h>

typedef enum {
    ROLE_READER, /* sees models and events */
    ROLE_WRITER, /* imports, retries, cancels, deletes */
    ROLE_ADMIN,  /* tokens, credentials; of every project: maintenance and the audit list too */
} Role;

const char *role_name(Role role); /* "reader" */
bool role_of_name(const char *name, Role *role);

#define CALLER_EVERY_PROJECT "*"

typedef struct {
    char *user;    /* the actor of events and jobs */
    char *project; /* the only one that may be asked for, or CALLER_EVERY_PROJECT */
    Role role;     /* in it */
    char
        *credential; /* the token's or key's public id, for the audit list; NULL: none was needed */
} Caller;

Caller *caller_new(const char *user, const char *project, Role role, const char *credential);
void caller_free(Caller *caller);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Caller, caller_free)

bool caller_may_see(const Caller *caller, const char *project);
