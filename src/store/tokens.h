/* What says who asks: tokens, and the sessions and links that are got with them.
 *
 * A secret is a prefix and random characters; only its SHA-256 is stored, so that the store gives
 * none away. A token is worth nothing once it, or what it was got with, was revoked or has expired.
 */
#pragma once

#include "store/caller.h"
#include "store/db.h"

typedef enum {
    TOKEN_USER,    /* made by an administrator: "wb_…" */
    TOKEN_API,     /* of POST /v3/auth/tokens: "wba_…" */
    TOKEN_SESSION, /* a browser's cookie: "wbs_…" */
    TOKEN_LINK,    /* signs in once: "wbl_…" */
} TokenKind;

const char *token_kind_name(TokenKind kind); /* "token", "api", "session", "link" */

typedef struct {
    char *id; /* public */
    TokenKind kind;
    char *user, *project; /* project: CALLER_EVERY_PROJECT for operators */
    Role role;
    char *parent;                                 /* the id of what it was got with, or NULL */
    int64_t created_at;                           /* ms since 1970 UTC, as all of these */
    int64_t expires_at, last_used_at, revoked_at; /* 0: never */
} Token;

void token_free(Token *token);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Token, token_free)

/* NULL, or the rule that a user's name breaks. */
const char *token_rule_user(const char *user);

/* Whether this is formed as a token's public id. */
bool token_is_id(const char *text);

/* Within a transaction. Makes a token of its kind, user, project, role, parent and expires_at; sets
 * id and created_at. The project is made when it is not there. NULL: *error. The caller frees the
 * secret, which nobody can ask for again. */
char *token_insert(Db *db, Token *token, GError **error);

typedef enum {
    TOKEN_GOOD,
    TOKEN_UNKNOWN,
    TOKEN_EXPIRED,
    TOKEN_REVOKED,
} TokenState;

/* The token with that secret, NULL with *state TOKEN_UNKNOWN when there is none. NULL with *error:
 * the store could not be asked. */
Token *token_of_secret(Db *db, const char *secret, int64_t now, TokenState *state, GError **error);
/* What the token with that public id is worth; TOKEN_UNKNOWN: there is none. */
bool token_state_of(Db *db, const char *id, int64_t now, TokenState *state, GError **error);
/* NULL with *error unset: there is none. */
Token *token_load(Db *db, const char *id, GError **error);
/* Those that were made by hand (TOKEN_USER), oldest first; project NULL: of all. */
GPtrArray *tokens_list(Db *db, const char *project, GError **error);
/* Within a transaction: it and what was got with it are worth nothing from now on. */
bool token_revoke(Db *db, const char *id, GError **error);
bool token_set_used(Db *db, const char *id, int64_t when, GError **error);
/* Removes sessions and API tokens that expired before that time. */
bool tokens_forget(Db *db, int64_t before, GError **error);

/* Whether a token was ever made by hand, or an access key: from then on nobody is let in without
 * one. */
bool tokens_exist(Db *db, bool *exist, GError **error);
/* Whether any of any kind was ever made. */
bool tokens_begun(Db *db, bool *begun, GError **error);
