/* Tokens over HTTP, as `waybill token` makes them: an operator's are of any project, those of an
 * administrator of one project are of that one. A secret is in the answer that makes it, and in no
 * other one. */
#include <string.h>

#include "base/clock.h"
#include "import/grant.h"
#include "server/api.h"
#include "server/sign_in.h"

/* The only project that the caller may make tokens of; NULL: any. */
static const char *own_project(const HttpRequest *request)
{
    const char *project = request->caller->project;
    return strcmp(project, CALLER_EVERY_PROJECT) == 0 ? NULL : project;
}

static HttpReply refuse(const HttpRequest *request, const char *project)
{
    return http_error(MHD_HTTP_FORBIDDEN, "ModelArts.0108", "%s may not use project %s",
                      request->caller->user, project);
}

/* -- list -- */

/* ?project=: of that one. */
HttpReply tokens_get(HttpRequest *request)
{
    HttpReply reply;
    g_autoptr(GError) error = NULL;
    const char *project = http_query(request, "project");
    if (project && !caller_may_see(request->caller, project))
        return refuse(request, project);
    Service *service = api_service(request, &reply);
    if (!service)
        return reply;
    g_autoptr(GPtrArray) tokens =
        tokens_list(service->db, project ? project : own_project(request), &error);
    if (!tokens)
        return api_failed(error);
    json_t *rows = json_array();
    for (guint i = 0; i < tokens->len; i++)
        json_array_append_new(rows, grant_json(tokens->pdata[i]));
    return http_json(MHD_HTTP_OK,
                     json_pack("{s:i, s:o}", "count", (int)tokens->len, "tokens", rows));
}

/* -- make -- */

/* False: *reply. Only these fields, all text (or null). */
static bool check_fields(json_t *body, const char *const *names, HttpReply *reply)
{
    const char *name;
    json_t *value;
    json_object_foreach (body, name, value) {
        bool known = g_strv_contains(names, name);
        if (known && (json_is_string(value) || json_is_null(value)))
            continue;
        g_autofree char *all = g_strjoinv(", ", (char **)names);
        *reply = known
                     ? http_error(MHD_HTTP_BAD_REQUEST, API_PARAMETER, "%s must be a string", name)
                     : http_error(MHD_HTTP_BAD_REQUEST, API_PARAMETER,
                                  "%s is not a field here; expected %s", name, all);
        return false;
    }
    return true;
}

static const char *text_of(const json_t *body, const char *name)
{
    return json_string_value(json_object_get(body, name));
}

/* For whom the body wants one; NULL: *reply. `user`: where it names none. */
static Token *token_wanted(const HttpRequest *request, const json_t *body, const char *user,
                           HttpReply *reply)
{
    g_autofree char *fault = NULL;
    const char *role = text_of(body, "role"), *project = text_of(body, "project");
    if (!project)
        project = own_project(request);
    if (text_of(body, "user"))
        user = text_of(body, "user");
    const char *missing = !user ? "user" : !project ? "project" : !role ? "role" : NULL;
    if (missing)
        *reply = http_error(MHD_HTTP_BAD_REQUEST, API_PARAMETER, "%s is missing", missing);
    else if (!caller_may_see(request->caller, project))
        *reply = refuse(request, project);
    else {
        Token *token = grant_new(user, project, role, "", &fault);
        if (!token)
            *reply = http_error(MHD_HTTP_BAD_REQUEST, API_PARAMETER, "%s", fault);
        return token;
    }
    return NULL;
}

static HttpReply make_token(const HttpRequest *request, Service *service, json_t *body)
{
    static const char *const NAMES[] = {"user", "project", "role", "expires", NULL};
    HttpReply reply;
    g_autoptr(GError) error = NULL;
    const char *expires = text_of(body, "expires");
    if (!check_fields(body, NAMES, &reply))
        return reply;
    g_autoptr(Token) token = token_wanted(request, body, NULL, &reply);
    if (!token)
        return reply;
    if (expires && !grant_expires(expires, clock_now_ms(), &token->expires_at))
        return http_error(MHD_HTTP_BAD_REQUEST, API_PARAMETER,
                          "expires %s: expected " GRANT_EXPIRES_RULE ", in the future", expires);
    g_autofree char *secret = grant_make(service, request->actor, token, &error);
    if (!secret)
        return api_failed(error);
    json_t *answer = grant_json(token);
    json_object_set_new(answer, "token", json_string(secret));
    return http_json(MHD_HTTP_OK, answer);
}

HttpReply tokens_post(HttpRequest *request)
{
    HttpReply reply;
    Service *service = api_service(request, &reply);
    json_auto_t *body = service ? api_body(request, &reply) : NULL;
    return body ? make_token(request, service, body) : reply;
}

/* -- revoke -- */

/* Of a token that the caller may not see there is nothing to be learnt. */
HttpReply tokens_delete(HttpRequest *request)
{
    HttpReply reply;
    g_autoptr(GError) error = NULL;
    g_autoptr(Token) token = NULL;
    const char *id = request->arguments[0];
    Service *service = api_service(request, &reply);
    if (!service)
        return reply;
    if (!grant_end(service, request->actor, own_project(request), id, &token, &error))
        return api_failed(error);
    if (!token)
        return http_error(MHD_HTTP_NOT_FOUND, API_PARAMETER, "there is no token %s", id);
    bool before = token->revoked_at != 0;
    return http_json(MHD_HTTP_OK, json_pack("{s:s, s:s, s:b}", "id", id, "user", token->user,
                                            "revoked_before", before));
}

/* -- links -- */

static HttpReply make_link(const HttpRequest *request, Service *service, json_t *body)
{
    static const char *const NAMES[] = {"user", "project", "role", NULL};
    HttpReply reply;
    g_autoptr(GError) error = NULL;
    if (!check_fields(body, NAMES, &reply))
        return reply;
    g_autoptr(Token) who = token_wanted(request, body, request->actor, &reply);
    if (!who)
        return reply;
    g_autoptr(DbTransaction) transaction = db_transaction(service->db, &error);
    g_autofree char *path = transaction ? sign_in_link_make(service, request->actor, who->user,
                                                            who->project, who->role, &error)
                                        : NULL;
    if (!path || !db_commit(service->db, &error))
        return api_failed(error);
    int64_t expires = clock_now_ms() + LINK_SECONDS * INT64_C(1000);
    return http_json(MHD_HTTP_OK,
                     json_pack("{s:s, s:s, s:s, s:s, s:I}", "path", path, "user", who->user,
                               "project", who->project, "role", role_name(who->role), "expires_at",
                               (json_int_t)expires));
}

HttpReply sign_in_links_post(HttpRequest *request)
{
    HttpReply reply;
    Service *service = api_service(request, &reply);
    json_auto_t *body = service ? api_body(request, &reply) : NULL;
    return body ? make_link(request, service, body) : reply;
}
