#include "store/tokens.h"

#include <openssl/crypto.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/digest.h"
#include "store/projects.h"

#define SECRET_BYTES     32
#define LINK_BYTES       16 /* it lives for minutes, and stands in a terminal's line */
#define MOST_SECRET_TEXT 128
#define ID_BYTES         6
#define ID_PREFIX        "t-"
#define MOST_USER        64

static const struct {
    const char *name, *prefix;
    gsize bytes;
} KINDS[] = {
    [TOKEN_USER] = {"token", "wb_", SECRET_BYTES},
    [TOKEN_API] = {"api", "wba_", SECRET_BYTES},
    [TOKEN_SESSION] = {"session", "wbs_", SECRET_BYTES},
    [TOKEN_LINK] = {"link", "wbl_", LINK_BYTES},
};

const char *token_kind_name(TokenKind kind)
{
    return KINDS[kind].name;
}

void token_free(Token *token)
{
    if (!token)
        return;
    g_free(token->id);
    g_free(token->user);
    g_free(token->project);
    g_free(token->parent);
    g_free(token);
}

const char *token_rule_user(const char *user)
{
    static const char RULE[] = "1 to 64 letters, digits, and . _ - @ +";
    if (!g_utf8_validate(user, -1, NULL) || !*user || g_utf8_strlen(user, -1) > MOST_USER)
        return RULE;
    for (const char *at = user; *at; at = g_utf8_next_char(at))
        if (!g_unichar_isalnum(g_utf8_get_char(at)) && !strchr("._-@+", *at))
            return RULE;
    return NULL;
}

/* -- making one -- */

/* base64url without padding (RFC 4648, 5). */
static char *random_text(const char *prefix, gsize count)
{
    guint8 bytes[SECRET_BYTES];
    if (getentropy(bytes, count) != 0)
        g_error("the system gives no random bytes");
    g_autofree char *text = g_base64_encode(bytes, count);
    text[strcspn(text, "=")] = '\0';
    OPENSSL_cleanse(bytes, sizeof bytes);
    return g_strconcat(prefix, g_strdelimit(g_strdelimit(text, "+", '-'), "/", '_'), NULL);
}

static char *random_id(void)
{
    guint8 bytes[ID_BYTES];
    GString *id = g_string_new(ID_PREFIX);
    if (getentropy(bytes, sizeof bytes) != 0)
        g_error("the system gives no random bytes");
    for (gsize i = 0; i < sizeof bytes; i++)
        g_string_append_printf(id, "%02x", bytes[i]);
    return g_string_free(id, FALSE);
}

bool token_is_id(const char *text)
{
    return g_str_has_prefix(text, ID_PREFIX);
}

char *token_insert(Db *db, Token *token, GError **error)
{
    g_autofree char *secret = random_text(KINDS[token->kind].prefix, KINDS[token->kind].bytes);
    g_autofree char *hash = digest_of(secret, strlen(secret));
    g_free(token->id);
    token->id = random_id();
    token->created_at = clock_now_ms();
    bool operates = strcmp(token->project, CALLER_EVERY_PROJECT) == 0;
    bool made = (operates || project_make(db, token->project, error)) &&
                db_exec(db, error,
                        "INSERT INTO tokens(id, kind, hash, user_name, project, role, parent, "
                        "created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, "
                        "nullif($9, 0))",
                        "sssssssii", token->id, token_kind_name(token->kind), hash, token->user,
                        token->project, role_name(token->role), token->parent, token->created_at,
                        token->expires_at);
    return made ? g_steal_pointer(&secret) : NULL;
}

/* -- looking one up -- */

#define TOKEN_COLUMNS                                                                           \
    "SELECT t.id, t.kind, t.user_name, t.project, t.role, t.parent, t.created_at, "             \
    "t.expires_at, t.last_used_at, coalesce(t.revoked_at, p.revoked_at), t.hash, p.expires_at " \
    "FROM tokens t LEFT JOIN tokens p ON p.id = t.parent "

/* NULL: the row is none that this program could have written. */
static Token *token_of_row(DbRows *rows, GError **error)
{
    g_autoptr(Token) token = g_new0(Token, 1);
    const char *kind = db_text(rows, 1);
    gsize at = 0;
    while (at < G_N_ELEMENTS(KINDS) && strcmp(KINDS[at].name, kind) != 0)
        at++;
    token->kind = (TokenKind)at;
    token->id = g_strdup(db_text(rows, 0));
    token->user = g_strdup(db_text(rows, 2));
    token->project = g_strdup(db_text(rows, 3));
    token->parent = g_strdup(db_text(rows, 5));
    token->created_at = db_int(rows, 6);
    token->expires_at = db_int(rows, 7);
    token->last_used_at = db_int(rows, 8);
    token->revoked_at = db_int(rows, 9);
    if (at < G_N_ELEMENTS(KINDS) && role_of_name(db_text(rows, 4), &token->role))
        return g_steal_pointer(&token);
    g_set_error(error, DB_ERROR, DB_ERROR_DAMAGED, "token %s: its kind or role is unknown",
                token->id);
    return NULL;
}

/* Of what it was got with, the end counts too. */
static TokenState state_of_row(DbRows *rows, int64_t now)
{
    int64_t ends = db_int(rows, 7), parent_ends = db_int(rows, 11);
    if (db_int(rows, 9))
        return TOKEN_REVOKED;
    return (ends && ends <= now) || (parent_ends && parent_ends <= now) ? TOKEN_EXPIRED
                                                                        : TOKEN_GOOD;
}

Token *token_of_secret(Db *db, const char *secret, int64_t now, TokenState *state, GError **error)
{
    gsize length = strlen(secret);
    *state = TOKEN_UNKNOWN;
    if (length > MOST_SECRET_TEXT)
        return NULL;
    g_autofree char *hash = digest_of(secret, length);
    g_autoptr(DbRows) rows = db_query(db, error, TOKEN_COLUMNS "WHERE t.hash = $1", "s", hash);
    if (!rows || !db_next(rows, error))
        return NULL;
    const char *stored = db_text(rows, 10);
    if (strlen(stored) != strlen(hash) || CRYPTO_memcmp(stored, hash, strlen(hash)) != 0)
        return NULL;
    *state = state_of_row(rows, now);
    return token_of_row(rows, error);
}

bool token_state_of(Db *db, const char *id, int64_t now, TokenState *state, GError **error)
{
    GError *failure = NULL;
    g_autoptr(DbRows) rows = db_query(db, &failure, TOKEN_COLUMNS "WHERE t.id = $1", "s", id);
    *state = rows && db_next(rows, &failure) ? state_of_row(rows, now) : TOKEN_UNKNOWN;
    if (failure)
        g_propagate_error(error, failure);
    return !failure;
}

Token *token_load(Db *db, const char *id, GError **error)
{
    g_autoptr(DbRows) rows = db_query(db, error, TOKEN_COLUMNS "WHERE t.id = $1", "s", id);
    return rows && db_next(rows, error) ? token_of_row(rows, error) : NULL;
}

GPtrArray *tokens_list(Db *db, const char *project, GError **error)
{
    g_autoptr(GPtrArray) tokens = g_ptr_array_new_with_free_func((GDestroyNotify)token_free);
    g_autoptr(DbRows) rows = db_query(db, error,
                                      TOKEN_COLUMNS "WHERE t.kind = 'token' AND "
                                                    "($1 IS NULL OR t.project = $1) "
                                                    "ORDER BY t.created_at, t.id",
                                      "s", project);
    GError *failure = NULL;
    while (rows && !failure && db_next(rows, &failure)) {
        Token *token = token_of_row(rows, &failure);
        if (token)
            g_ptr_array_add(tokens, token);
    }
    if (failure)
        g_propagate_error(error, failure);
    return rows && !failure ? g_steal_pointer(&tokens) : NULL;
}

/* -- its life -- */

bool token_revoke(Db *db, const char *id, GError **error)
{
    return db_exec(db, error,
                   "UPDATE tokens SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL", "si",
                   id, clock_now_ms());
}

bool token_set_used(Db *db, const char *id, int64_t when, GError **error)
{
    return db_exec(db, error, "UPDATE tokens SET last_used_at = $2 WHERE id = $1", "si", id, when);
}

bool tokens_forget(Db *db, int64_t before, GError **error)
{
    return db_exec(db, error,
                   "DELETE FROM tokens WHERE kind IN ('api', 'session') AND expires_at < $1", "i",
                   before);
}

bool tokens_exist(Db *db, bool *exist, GError **error)
{
    int64_t found = 0;
    bool asked = db_query_int(db, &found, 0, error,
                              "SELECT EXISTS (SELECT 1 FROM tokens WHERE kind = 'token') OR "
                              "EXISTS (SELECT 1 FROM access_keys)",
                              "");
    *exist = found != 0;
    return asked;
}

bool tokens_begun(Db *db, bool *begun, GError **error)
{
    int64_t found;
    bool asked = db_query_int(db, &found, 0, error, "SELECT 1 FROM tokens LIMIT 1", "");
    *begun = asked && found;
    return asked;
}
