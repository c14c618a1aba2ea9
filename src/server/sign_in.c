#include "server/sign_in.h"

#include <string.h>

#include "base/clock.h"
#include "server/api.h"

char *sign_in_link_make(Service *service, const char *actor, const char *user, const char *project,
                        Role role, GError **error)
{
    g_autoptr(Token) link = g_new0(Token, 1);
    link->kind = TOKEN_LINK;
    link->user = g_strdup(user);
    link->project = g_strdup(project);
    link->role = role;
    link->expires_at = clock_now_ms() + LINK_SECONDS * INT64_C(1000);
    g_autofree char *secret = token_insert(service->db, link, error);
    if (!secret || !service_audit(service, actor, project, "token.link", link->id, error))
        return NULL;
    return g_strconcat("/sign-in?code=", secret, NULL);
}

/* -- sessions -- */

/* Within a transaction: what the credential says, for SESSION_SECONDS and no longer than it lasts
 * itself. The caller frees the cookie's value. */
static char *session_make(Service *service, const Token *credential, Token **made, GError **error)
{
    g_autoptr(Token) session = g_new0(Token, 1);
    session->kind = TOKEN_SESSION;
    session->user = g_strdup(credential->user);
    session->project = g_strdup(credential->project);
    session->role = credential->role;
    session->expires_at = clock_now_ms() + SESSION_SECONDS * INT64_C(1000);
    if (credential->kind != TOKEN_LINK) { /* a link is used up: it would end the session */
        session->parent = g_strdup(credential->parent ? credential->parent : credential->id);
        if (credential->expires_at)
            session->expires_at = MIN(session->expires_at, credential->expires_at);
    }
    g_free(service->credential);
    service->credential = g_strdup(credential->id);
    char *secret = token_insert(service->db, session, error);
    if (secret &&
        !service_audit(service, session->user, session->project, "sign-in", session->id, error))
        g_clear_pointer(&secret, g_free);
    *made = g_steal_pointer(&session);
    return secret;
}

static void set_cookie(const HttpRequest *request, HttpReply *reply, const char *value,
                       int64_t seconds)
{
    bool tls = *settings_text(request->server->settings, "server.tls_cert") != '\0';
    g_autofree char *cookie =
        g_strdup_printf("%s=%s; Path=/; Max-Age=%" G_GINT64_FORMAT "; HttpOnly; SameSite=Strict%s",
                        SESSION_COOKIE, value, seconds, tls ? "; Secure" : "");
    http_set_header(reply, MHD_HTTP_HEADER_SET_COOKIE, cookie);
}

typedef enum { SIGN_IN_DONE, SIGN_IN_UNKNOWN, SIGN_IN_EXPIRED, SIGN_IN_FAILED } SignIn;

/* What the secret is good for. SIGN_IN_DONE: it is *token. */
static SignIn credential_find(Service *service, const char *secret, bool with_link, Token **token,
                              GError **error)
{
    TokenState state;
    GError *failure = NULL;
    g_autoptr(Token) found = token_of_secret(service->db, secret, clock_now_ms(), &state, &failure);
    if (failure) {
        g_propagate_error(error, failure);
        return SIGN_IN_FAILED;
    }
    bool fits = found && (with_link ? found->kind == TOKEN_LINK
                                    : found->kind == TOKEN_USER || found->kind == TOKEN_API);
    if (!fits || (state != TOKEN_GOOD && state != TOKEN_EXPIRED))
        return SIGN_IN_UNKNOWN;
    *token = g_steal_pointer(&found);
    return state == TOKEN_EXPIRED ? SIGN_IN_EXPIRED : SIGN_IN_DONE;
}

/* One transaction: a link that two browsers send at once signs one of them in. It is looked at
 * before as well, so that who guesses does not keep others from writing. */
static SignIn sign_in(Service *service, const char *secret, bool with_link, char **cookie,
                      Token **session, GError **error)
{
    g_autoptr(Token) seen = NULL;
    g_autoptr(Token) token = NULL;
    SignIn found = credential_find(service, secret, with_link, &seen, error);
    if (found != SIGN_IN_DONE)
        return found;
    g_autoptr(DbTransaction) transaction = db_transaction(service->db, error);
    found =
        transaction ? credential_find(service, secret, with_link, &token, error) : SIGN_IN_FAILED;
    if (found != SIGN_IN_DONE)
        return found;
    if (with_link && !token_revoke(service->db, token->id, error))
        return SIGN_IN_FAILED;
    *cookie = session_make(service, token, session, error);
    return *cookie && db_commit(service->db, error) ? SIGN_IN_DONE : SIGN_IN_FAILED;
}

/* -- with a link -- */

/* A person reads it. */
static HttpReply used_up(const HttpRequest *request)
{
    const char *text =
        http_wants_chinese(request)
            ? "此登录链接已被使用或已过期(15 分钟)。`waybill token link` 可生成新的链接。\n"
            : "This link was used, or its 15 minutes are over. `waybill token link` makes "
              "another one.\n";
    return http_text(MHD_HTTP_UNAUTHORIZED, "text/plain; charset=utf-8", g_strdup(text),
                     strlen(text));
}

HttpReply sign_in_with_link(HttpRequest *request)
{
    HttpReply reply;
    g_autoptr(GError) error = NULL;
    g_autoptr(Token) session = NULL;
    g_autofree char *cookie = NULL;
    const char *code = http_query(request, "code");
    if (strcmp(request->method, "HEAD") == 0) /* what looks a link up must not use it up */
        return http_text(MHD_HTTP_OK, "text/plain; charset=utf-8", g_strdup(""), 0);
    Service *service = api_service(request, &reply);
    if (!service)
        return reply;
    SignIn done = sign_in(service, code ? code : "", true, &cookie, &session, &error);
    if (done == SIGN_IN_FAILED)
        return api_failed(error);
    if (done != SIGN_IN_DONE) {
        access_audit_refusal(request, "sign-in");
        return access_login_failed(request, &reply) ? reply : used_up(request);
    }
    reply = http_text(MHD_HTTP_SEE_OTHER, "text/plain; charset=utf-8", g_strdup(""), 0);
    http_set_header(&reply, MHD_HTTP_HEADER_LOCATION, "/");
    http_set_header(&reply, "Referrer-Policy", "no-referrer");
    set_cookie(request, &reply, cookie, SESSION_SECONDS);
    return reply;
}

/* -- with a token -- */

static HttpReply foreign_origin(void)
{
    return http_error(MHD_HTTP_FORBIDDEN, "ModelArts.0108",
                      "requests of another origin are refused");
}

static HttpReply sign_in_answer(HttpRequest *request, Service *service, const char *secret)
{
    HttpReply reply;
    g_autoptr(GError) error = NULL;
    g_autoptr(Token) session = NULL;
    g_autofree char *cookie = NULL;
    SignIn done = sign_in(service, secret, false, &cookie, &session, &error);
    if (done == SIGN_IN_FAILED)
        return api_failed(error);
    if (done != SIGN_IN_DONE) {
        bool expired = done == SIGN_IN_EXPIRED;
        access_audit_refusal(request, "sign-in");
        if (access_login_failed(request, &reply))
            return reply;
        return http_error(MHD_HTTP_UNAUTHORIZED, expired ? "ModelArts.0202" : "ModelArts.0203",
                          expired ? "the token has expired"
                                  : "the token is none, or it was revoked");
    }
    reply =
        http_json(MHD_HTTP_OK, json_pack("{s:s, s:s, s:s, s:I}", "user", session->user, "project",
                                         session->project, "role", role_name(session->role),
                                         "expires_at", (json_int_t)session->expires_at));
    set_cookie(request, &reply, cookie, (session->expires_at - clock_now_ms()) / 1000);
    return reply;
}

HttpReply sign_in_with_token(HttpRequest *request)
{
    HttpReply reply;
    if (!access_is_own_origin(request))
        return foreign_origin();
    Service *service = api_service(request, &reply);
    json_t *body = service ? api_body(request, &reply) : NULL;
    if (!body)
        return reply;
    const char *secret = json_string_value(json_object_get(body, "token"));
    reply = secret ? sign_in_answer(request, service, secret)
                   : http_error(MHD_HTTP_BAD_REQUEST, API_PARAMETER,
                                "token is missing; expected {\"token\": \"wb_…\"}");
    json_decref(body);
    return reply;
}

/* -- out again, and who -- */

static bool session_end(Service *service, const char *cookie, GError **error)
{
    TokenState state;
    GError *failure = NULL;
    g_autoptr(DbTransaction) transaction = db_transaction(service->db, error);
    if (!transaction)
        return false;
    g_autoptr(Token) session =
        token_of_secret(service->db, cookie, clock_now_ms(), &state, &failure);
    if (failure) {
        g_propagate_error(error, failure);
        return false;
    }
    if (!session || session->kind != TOKEN_SESSION || state != TOKEN_GOOD)
        return true;
    g_free(service->credential);
    service->credential = g_strdup(session->id);
    return token_revoke(service->db, session->id, error) &&
           service_audit(service, session->user, session->project, "sign-out", session->id,
                         error) &&
           db_commit(service->db, error);
}

HttpReply sign_out(HttpRequest *request)
{
    HttpReply reply;
    g_autoptr(GError) error = NULL;
    const char *cookie =
        MHD_lookup_connection_value(request->connection, MHD_COOKIE_KIND, SESSION_COOKIE);
    if (cookie && (!http_header(request, MHD_HTTP_HEADER_ORIGIN) || !access_is_own_origin(request)))
        return foreign_origin();
    Service *service = api_service(request, &reply);
    if (!service)
        return reply;
    if (cookie && !session_end(service, cookie, &error))
        return api_failed(error);
    reply = http_json(MHD_HTTP_OK, json_object());
    set_cookie(request, &reply, "", 0);
    return reply;
}

HttpReply whoami_get(HttpRequest *request)
{
    const Caller *caller = request->caller;
    return http_json(MHD_HTTP_OK, json_pack("{s:s, s:s, s:s, s:b}", "user", caller->user, "project",
                                            caller->project, "role", role_name(caller->role),
                                            "open", access_is_open(request->server->access, NULL)));
}
