#include "import/grant.h"

#include <string.h>

#include "base/duration.h"
#include "model/model.h"

#define DAY_MS    (INT64_C(24) * 3600 * 1000)
#define MOST_DAYS 36500

bool grant_expires(const char *text, int64_t now, int64_t *expires)
{
    int64_t ms;
    char *end;
    guint64 days = g_ascii_strtoull(text, &end, 10);
    if (g_ascii_isdigit(*text) && strcmp(end, "d") == 0) {
        *expires = now + (int64_t)days * DAY_MS;
        return days > 0 && days <= MOST_DAYS;
    }
    if (strchr(text, '-')) {
        g_autofree char *midnight = g_strconcat(text, "T00:00:00Z", NULL);
        g_autoptr(GDateTime) day =
            strlen(text) == 10 ? g_date_time_new_from_iso8601(midnight, NULL) : NULL;
        *expires = day ? g_date_time_to_unix(day) * 1000 : 0;
        return *expires > now;
    }
    *expires = now;
    if (!*text || !g_ascii_isalpha(text[strlen(text) - 1]) || !duration_parse(text, &ms) || ms == 0)
        return false;
    *expires = now + ms;
    return true;
}

Token *grant_new(const char *user, const char *project, const char *role, const char *dashes,
                 char **fault)
{
    g_autoptr(Token) token = g_new0(Token, 1);
    bool everywhere = strcmp(project, CALLER_EVERY_PROJECT) == 0;
    bool known = role_of_name(role, &token->role);
    token->user = g_strdup(user);
    token->project = g_strdup(project);
    if (token_rule_user(user))
        *fault = g_strdup_printf("%suser %s: expected %s", dashes, user, token_rule_user(user));
    else if (!known)
        *fault = g_strdup_printf("%srole %s: expected reader, writer or admin", dashes, role);
    else if (!everywhere && model_rule_name(project))
        *fault = g_strdup_printf("%sproject %s: expected %s; or * for every project", dashes,
                                 project, model_rule_name(project));
    else if (everywhere && token->role != ROLE_ADMIN)
        *fault = g_strdup_printf("%sproject '*' is for administrators: expected %srole admin, "
                                 "not %s",
                                 dashes, dashes, role);
    else
        return g_steal_pointer(&token);
    return NULL;
}

char *grant_make(Service *service, const char *actor, Token *token, GError **error)
{
    g_autoptr(DbTransaction) transaction = db_transaction(service->db, error);
    g_autofree char *secret = transaction ? token_insert(service->db, token, error) : NULL;
    bool made = secret &&
                service_audit(service, actor, token->project, "token.create", token->id, error) &&
                db_commit(service->db, error);
    return made ? g_steal_pointer(&secret) : NULL;
}

bool grant_end(Service *service, const char *actor, const char *project, const char *id,
               Token **token, GError **error)
{
    GError *failure = NULL;
    g_autoptr(DbTransaction) transaction = db_transaction(service->db, &failure);
    g_autoptr(Token) found = transaction ? token_load(service->db, id, &failure) : NULL;
    if (found && project && strcmp(found->project, project) != 0)
        g_clear_pointer(&found, token_free);
    if (found && !found->revoked_at && token_revoke(service->db, id, &failure) &&
        service_audit(service, actor, found->project, "token.revoke", id, &failure))
        db_commit(service->db, &failure);
    if (failure)
        g_propagate_error(error, failure);
    else
        *token = g_steal_pointer(&found);
    return !failure;
}

static json_t *number_or_null(int64_t ms)
{
    return ms ? json_integer(ms) : json_null();
}

json_t *grant_json(const Token *token)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:I, s:o, s:o, s:o}", "id", token->id, "user",
                     token->user, "project", token->project, "role", role_name(token->role),
                     "created_at", (json_int_t)token->created_at, "expires_at",
                     number_or_null(token->expires_at), "last_used_at",
                     number_or_null(token->last_used_at), "revoked_at",
                     number_or_null(token->revoked_at));
}
