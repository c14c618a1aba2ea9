#include "server/access.h"

#include <string.h>

#include "base/clock.h"
#include "model/model.h"
#include "server/api.h"
#include "server/registry.h"
#include "server/signed.h"

/* -- open mode -- */

/* A name that only this machine can mean: what a web page elsewhere resolves to loopback is none.
 */
static bool is_loopback_name(const char *host)
{
    g_autofree char *name = g_ascii_strdown(host, -1);
    char *colon = strrchr(name, ':');
    if (colon && strspn(colon + 1, "0123456789") == strlen(colon + 1))
        *colon = '\0';
    return strcmp(name, "localhost") == 0 || strcmp(name, "127.0.0.1") == 0 ||
           strcmp(name, "[::1]") == 0;
}

/* Browsers send Origin with every request that could change something. */
bool access_is_own_origin(const HttpRequest *request)
{
    const char *origin = http_header(request, MHD_HTTP_HEADER_ORIGIN);
    const char *host = http_header(request, MHD_HTTP_HEADER_HOST);
    const char *authority = origin ? strstr(origin, "://") : NULL;
    return !origin || (authority && host && g_ascii_strcasecmp(authority + 3, host) == 0);
}

/* In open mode too, web pages can reach loopback: Host must be a loopback name, Origin our own. */
static bool is_of_this_machine(const HttpRequest *request, HttpReply *refusal)
{
    const char *host = http_header(request, MHD_HTTP_HEADER_HOST);
    const char *wrong = NULL;
    if (!host || !is_loopback_name(host))
        wrong = "Host must be a loopback name while no token exists";
    else if (!access_is_own_origin(request))
        wrong = "requests of another origin are refused";
    if (wrong)
        *refusal = http_refuse(request, MHD_HTTP_FORBIDDEN, "ModelArts.0108", "%s", wrong);
    return !wrong;
}

/* -- who asks -- */

typedef enum {
    ASKED_BY_NOBODY, /* nothing says who */
    ASKED_BY_CALLER,
    ASKED_WITH_UNKNOWN,
    ASKED_WITH_EXPIRED,
    ASKED_BY_ODD_PROXY,
    ASKED_BY_FOREIGN_PAGE,
    ASKED_IN_VAIN, /* the store does not answer */
} Asked;

static const char *bearer_of(const HttpRequest *request)
{
    static const char SCHEME[] = "Bearer ";
    const char *text = http_header(request, MHD_HTTP_HEADER_AUTHORIZATION);
    return text && g_ascii_strncasecmp(text, SCHEME, strlen(SCHEME)) == 0 ? text + strlen(SCHEME)
                                                                          : NULL;
}

/* Clients of registries send a token as a password (RFC 7617); whose name stands before it does not
 * matter, the token says who it is. The caller frees it. */
static char *basic_of(const HttpRequest *request)
{
    static const char SCHEME[] = "Basic ";
    gsize length;
    const char *text = http_header(request, MHD_HTTP_HEADER_AUTHORIZATION);
    if (!request->error || !text || g_ascii_strncasecmp(text, SCHEME, strlen(SCHEME)) != 0)
        return NULL;
    g_autofree guchar *decoded = g_base64_decode(text + strlen(SCHEME), &length);
    g_autofree char *pair = g_strndup((const char *)decoded, length);
    const char *colon = strchr(pair, ':');
    return colon ? g_strdup(colon + 1) : g_strdup("");
}

static bool changes_something(const HttpRequest *request)
{
    return strcmp(request->method, "GET") != 0 && strcmp(request->method, "HEAD") != 0;
}

static Asked ask_store(HttpRequest *request, const char *secret, bool is_cookie)
{
    g_autoptr(GError) error = NULL;
    TokenState state;
    Service *service = server_service(request->server, &error);
    g_autoptr(Token) token =
        service ? token_of_secret(service->db, secret, clock_now_ms(), &state, &error) : NULL;
    if (error) {
        g_warning("a token could not be looked up: %s", error->message);
        return ASKED_IN_VAIN;
    }
    bool fits = token && (is_cookie ? token->kind == TOKEN_SESSION
                                    : token->kind == TOKEN_USER || token->kind == TOKEN_API);
    if (!fits || (state != TOKEN_GOOD && state != TOKEN_EXPIRED))
        return ASKED_WITH_UNKNOWN;
    if (state == TOKEN_EXPIRED)
        return ASKED_WITH_EXPIRED;
    request->caller = caller_new(token->user, token->project, token->role, token->id);
    access_note_use(request->server->access, token->id);
    return ASKED_BY_CALLER;
}

/* A browser sends its cookie whoever made it ask, so that what changes something must come from
 * our own pages. */
static Asked ask_cookie(HttpRequest *request, const char *cookie)
{
    if (changes_something(request) &&
        (!http_header(request, MHD_HTTP_HEADER_ORIGIN) || !access_is_own_origin(request)))
        return ASKED_BY_FOREIGN_PAGE;
    return ask_store(request, cookie, true);
}

/* So does it with what it signed in at the proxy with. */
static Asked ask_proxy(HttpRequest *request)
{
    switch (proxies_caller(access_proxies(request->server->access), request, &request->caller)) {
    case PROXY_SILENT:
        return ASKED_BY_NOBODY;
    case PROXY_ODD:
        return ASKED_BY_ODD_PROXY;
    case PROXY_NAMES:
        return changes_something(request) && !access_is_own_origin(request) ? ASKED_BY_FOREIGN_PAGE
                                                                            : ASKED_BY_CALLER;
    }
    g_assert_not_reached();
}

/* What a client says on purpose counts before what its browser or a proxy adds. */
static Asked who_asks(HttpRequest *request)
{
    const char *token = http_header(request, "X-Auth-Token");
    const char *cookie =
        MHD_lookup_connection_value(request->connection, MHD_COOKIE_KIND, SESSION_COOKIE);
    if (!token || !*token)
        token = bearer_of(request);
    if (token && *token)
        return ask_store(request, token, false);
    g_autofree char *password = basic_of(request);
    if (password)
        return ask_store(request, password, false);
    if (cookie && *cookie)
        return ask_cookie(request, cookie);
    return ask_proxy(request);
}

/* -- refusals -- */

static HttpReply refuse(const HttpRequest *request, unsigned status, const char *code,
                        const char *message)
{
    HttpReply reply = g_str_has_prefix(request->route->path, "/v3")
                          ? identity_error(status, "%s", message)
                          : http_refuse(request, status, code, "%s", message);
    if (status == MHD_HTTP_UNAUTHORIZED && !request->error)
        http_set_header(&reply, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
    return reply;
}

bool access_login_failed(HttpRequest *request, HttpReply *reply)
{
    int retry_after;
    LoginLimit *logins = request->server->logins;
    const int64_t now = clock_monotonic_ms();
    g_autofree char *address = http_client_address(request);
    if (login_limit_check(logins, address, NULL, now, &retry_after)) {
        login_limit_failed(logins, address, NULL, now);
        return false;
    }
    *reply = api_login_refused(request, retry_after);
    return true;
}

static HttpReply refuse_asked(HttpRequest *request, Asked asked)
{
    HttpReply reply;
    if (asked == ASKED_WITH_UNKNOWN && access_login_failed(request, &reply))
        return reply;
    switch (asked) {
    case ASKED_BY_NOBODY:
        return refuse(request, MHD_HTTP_UNAUTHORIZED, "ModelArts.0201",
                      "there is no token: send X-Auth-Token, or Authorization: Bearer");
    case ASKED_WITH_EXPIRED:
        return refuse(request, MHD_HTTP_UNAUTHORIZED, "ModelArts.0202", "the token has expired");
    case ASKED_WITH_UNKNOWN:
        return refuse(request, MHD_HTTP_UNAUTHORIZED, "ModelArts.0203",
                      "the token is none, or it was revoked");
    case ASKED_BY_ODD_PROXY:
        return refuse(request, MHD_HTTP_UNAUTHORIZED, "ModelArts.0203",
                      "the proxy's header names no user");
    case ASKED_BY_FOREIGN_PAGE:
        return refuse(request, MHD_HTTP_FORBIDDEN, "ModelArts.0108",
                      "Origin must be this server's own where a browser's sign-in is used");
    case ASKED_IN_VAIN:
    case ASKED_BY_CALLER:
        break;
    }
    return http_again(refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, "ModelArts.0010",
                             HTTP_STORE_AWAY),
                      1);
}

/* -- what one may -- */

static Role least_role(HttpAccess access)
{
    switch (access) {
    case HTTP_PUBLIC:
    case HTTP_READER:
        return ROLE_READER;
    case HTTP_WRITER:
        return ROLE_WRITER;
    case HTTP_ADMIN:
    case HTTP_OPERATOR:
        return ROLE_ADMIN;
    }
    return ROLE_ADMIN;
}

static HttpReply check_project(const HttpRequest *request, const char *project)
{
    const Caller *caller = request->caller;
    if (!caller_may_see(caller, project))
        return http_error(MHD_HTTP_FORBIDDEN, "ModelArts.0108", "%s may not use project %s",
                          caller->user, project);
    if (model_rule_name(project))
        return http_error(MHD_HTTP_BAD_REQUEST, API_PARAMETER, "project_id is \"%s\"; expected %s",
                          project, model_rule_name(project));
    return HTTP_WAITS;
}

/* A reply without a response: it may go on. */
static HttpReply check_rights(const HttpRequest *request)
{
    const Caller *caller = request->caller;
    const HttpRoute *route = request->route;
    HttpReply refusal = HTTP_WAITS;
    Role least = least_role(route->access);
    if (g_str_has_prefix(route->path, "/v1/{project_id}"))
        refusal = check_project(request, request->arguments[0]);
    else if (g_str_has_prefix(route->path, REGISTRY_NAME))
        refusal = registry_check_name(request);
    if (refusal.response)
        return refusal;
    if (caller->role < least)
        return http_refuse(request, MHD_HTTP_FORBIDDEN, "ModelArts.0108",
                           "this needs the role %s; %s has the role %s", role_name(least),
                           caller->user, role_name(caller->role));
    if (route->access == HTTP_OPERATOR && strcmp(caller->project, CALLER_EVERY_PROJECT) != 0)
        return http_error(MHD_HTTP_FORBIDDEN, "ModelArts.0108",
                          "this concerns every project, %s is of project %s", caller->user,
                          caller->project);
    return HTTP_WAITS;
}

HttpReply access_admit(HttpRequest *request)
{
    HttpReply refusal;
    bool known;
    bool open = access_is_open(request->server->access, &known);
    /* What is signed cannot come from a web page: its host and origin do not matter. */
    bool is_signed = signed_is_meant(request);
    if (open && !is_signed && !is_of_this_machine(request, &refusal))
        return refusal;
    if (request->route->access == HTTP_PUBLIC)
        return HTTP_WAITS;
    if (is_signed) {
        g_autofree char *address = http_client_address(request);
        refusal = signed_admit(request, address);
        if (refusal.response)
            return refusal;
        refusal = check_rights(request);
        if (signed_is_verified(request))
            return refusal;
        request->denied = refusal; /* which names the key's user */
        return HTTP_WAITS;
    }
    Asked asked = who_asks(request);
    /* Clients that cannot do without send any token; what names somebody is heard all the same. */
    if (open && asked != ASKED_BY_CALLER) {
        caller_free(request->caller);
        request->caller = caller_new("api", CALLER_EVERY_PROJECT, ROLE_ADMIN, NULL);
        asked = ASKED_BY_CALLER;
    }
    if (asked == ASKED_BY_NOBODY && !known) /* a token may not be needed */
        asked = ASKED_IN_VAIN;
    if (asked != ASKED_BY_CALLER)
        return refuse_asked(request, asked);
    request->actor = request->caller->user;
    return check_rights(request);
}
