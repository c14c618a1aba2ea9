/* Tokens that administrators make and take back, on the command line and over HTTP: with the same
 * rules and the same rows in the audit list. */
#pragma once

#include <jansson.h>

#include "import/service.h"
#include "store/tokens.h"

#define GRANT_EXPIRES_RULE "a time from now such as 90d or 12h, or a day such as 2030-12-31"

/* 90d; 12h, 30m; 2030-12-31, which is its beginning in UTC. False: it is none, or is past. */
bool grant_expires(const char *text, int64_t now, int64_t *expires);

/* A token for them, not made yet. NULL: *fault says why there can be none (the caller frees it);
 * `dashes` stands before the names of what is wrong: "--", or nothing. */
Token *grant_new(const char *user, const char *project, const char *role, const char *dashes,
                 char **fault);

/* Makes it, in one transaction with its row in the audit list. NULL: *error. The caller frees the
 * secret, which nobody can ask for again. */
char *grant_make(Service *service, const char *actor, Token *token, GError **error);

/* Takes it back: it, and the sessions that were got with it, are worth nothing from now on. *token
 * NULL: there is none of that id, or it is of another project than `project` (NULL: of any is
 * meant). Its revoked_at is set when it was taken back before, of which nothing is recorded. */
bool grant_end(Service *service, const char *actor, const char *project, const char *id,
               Token **token, GError **error);

/* Without the secret. */
json_t *grant_json(const Token *token);
