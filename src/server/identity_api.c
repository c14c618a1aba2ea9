/* What clients of ModelArts ask its identity service at their start, as Keystone answers it
 * (Identity API v3): a token for a user and a password, and which projects and domains there are.
 * The user is a token's id, the password the token. There is one domain. */
#include <stdarg.h>
#include <string.h>

#include "base/clock.h"
#include "model/model.h"
#include "server/api.h"
#include "store/projects.h"

#define DOMAIN_NAME "default" /* and its id */
#define TOKEN_MS    (INT64_C(24) * 3600 * 1000)

HttpReply identity_error(unsigned status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *message = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_autofree char *text = g_utf8_make_valid(message, -1);
    return http_json(status,
                     json_pack("{s:{s:i, s:s, s:s}}", "error", "code", (int)status, "message", text,
                               "title", MHD_get_reason_phrase_for(status)));
}

/* As the client reached us. The caller frees it. */
static char *base_url(const HttpRequest *request)
{
    const char *host = http_header(request, MHD_HTTP_HEADER_HOST);
    bool tls = *settings_text(request->server->settings, "server.tls_cert") != '\0';
    if (!host || !*host || !g_utf8_validate(host, -1, NULL))
        return g_strdup(server_address(request->server));
    return g_strdup_printf("%s://%s", tls ? "https" : "http", host);
}

static json_t *links_of(const HttpRequest *request, const char *path)
{
    g_autofree char *base = base_url(request);
    g_autofree char *self = g_strconcat(base, path, NULL);
    return json_pack("{s:s, s:n, s:n}", "self", self, "next", "previous");
}

HttpReply identity_version(HttpRequest *request)
{
    g_autofree char *base = base_url(request);
    g_autofree char *self = g_strconcat(base, "/v3/", NULL);
    return http_json(MHD_HTTP_OK, json_pack("{s:{s:s, s:s, s:s, s:[{s:s, s:s}], s:[{s:s, s:s}]}}",
                                            "version", "id", "v3.14", "status", "stable", "updated",
                                            "2020-04-07T00:00:00Z", "links", "rel", "self", "href",
                                            self, "media-types", "base", "application/json", "type",
                                            "application/vnd.openstack.identity-v3+json"));
}

/* -- projects, domains, the catalogue -- */

static json_t *domain_json(void)
{
    return json_pack("{s:s, s:s}", "id", DOMAIN_NAME, "name", DOMAIN_NAME);
}

static json_t *project_json(const HttpRequest *request, const char *id)
{
    g_autofree char *escaped = g_uri_escape_string(id, NULL, FALSE);
    g_autofree char *path = g_strconcat("/v3/projects/", escaped, NULL);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:b, s:o}", "id", id, "name", id, "domain_id",
                     DOMAIN_NAME, "parent_id", DOMAIN_NAME, "description", "", "enabled", true,
                     "is_domain", false, "links", links_of(request, path));
}

HttpReply identity_projects(HttpRequest *request)
{
    HttpReply reply;
    g_autoptr(GError) error = NULL;
    const char *name = http_query(request, "name");
    Service *service = api_service(request, &reply);
    if (!service)
        return reply;
    g_autoptr(GPtrArray) ids = projects_list(service->db, &error);
    if (!ids)
        return api_failed(error);
    json_t *items = json_array();
    for (guint i = 0; i < ids->len; i++)
        if (caller_may_see(request->caller, ids->pdata[i]) &&
            (!name || strcmp(name, ids->pdata[i]) == 0))
            json_array_append_new(items, project_json(request, ids->pdata[i]));
    return http_json(MHD_HTTP_OK, json_pack("{s:o, s:o}", "projects", items, "links",
                                            links_of(request, "/v3/projects")));
}

HttpReply identity_domains(HttpRequest *request)
{
    json_t *domain = json_pack("{s:s, s:s, s:s, s:b, s:o}", "id", DOMAIN_NAME, "name", DOMAIN_NAME,
                               "description", "", "enabled", true, "links",
                               links_of(request, "/v3/domains/" DOMAIN_NAME));
    return http_json(MHD_HTTP_OK, json_pack("{s:[o], s:o}", "domains", domain, "links",
                                            links_of(request, "/v3/auth/domains")));
}

static json_t *catalog_entry(const char *type, const char *url)
{
    return json_pack("{s:s, s:s, s:s, s:[{s:s, s:s, s:s, s:s, s:s}]}", "id", type, "type", type,
                     "name", type, "endpoints", "id", type, "interface", "public", "region", "*",
                     "region_id", "*", "url", url);
}

/* project NULL: the endpoint without one. */
static json_t *catalog_json(const HttpRequest *request, const char *project)
{
    g_autofree char *base = base_url(request);
    g_autofree char *escaped = project ? g_uri_escape_string(project, NULL, FALSE) : NULL;
    g_autofree char *identity = g_strconcat(base, "/v3", NULL);
    g_autofree char *modelarts =
        escaped ? g_strconcat(base, "/v1/", escaped, NULL) : g_strconcat(base, "/v1", NULL);
    return json_pack("[o, o]", catalog_entry("identity", identity),
                     catalog_entry("modelarts", modelarts));
}

/* A caller of every project has no endpoint of one. */
static const char *one_project(const char *project)
{
    return strcmp(project, CALLER_EVERY_PROJECT) == 0 ? NULL : project;
}

HttpReply identity_catalog(HttpRequest *request)
{
    return http_json(MHD_HTTP_OK,
                     json_pack("{s:o, s:o}", "catalog",
                               catalog_json(request, one_project(request->caller->project)),
                               "links", links_of(request, "/v3/auth/catalog")));
}

/* -- POST /v3/auth/tokens -- */

/* What the body asks for; borrowed from it. */
typedef struct {
    const char *user, *password;
    const char *project;
    bool of_domain;
} Wish;

static const char *text_at(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

/* NULL, or what is wrong with it. */
static const char *wish_read(const json_t *body, Wish *wish)
{
    const json_t *auth = json_object_get(body, "auth");
    const json_t *identity = json_object_get(auth, "identity");
    const json_t *methods = json_object_get(identity, "methods");
    const json_t *user = json_object_get(json_object_get(identity, "password"), "user");
    const json_t *scope = json_object_get(auth, "scope");
    const json_t *project = json_object_get(scope, "project");
    if (json_array_size(methods) != 1 ||
        g_strcmp0(json_string_value(json_array_get(methods, 0)), "password") != 0)
        return "auth.identity.methods: expected [\"password\"]";
    wish->user = text_at(user, "name") ? text_at(user, "name") : text_at(user, "id");
    wish->password = text_at(user, "password");
    if (!wish->user || !wish->password)
        return "auth.identity.password.user: expected a token's id as name, the token as password";
    wish->project = text_at(project, "id") ? text_at(project, "id") : text_at(project, "name");
    if (project && !wish->project)
        return "auth.scope.project: expected id or name";
    wish->of_domain = !project && json_object_get(scope, "domain");
    return NULL;
}

/* Whether the token may act in the project that is wished for, which must be there. */
static bool may_scope(Service *service, const Token *token, const char *project, bool *may,
                      GError **error)
{
    *may = !project || strcmp(token->project, project) == 0;
    if (*may || strcmp(token->project, CALLER_EVERY_PROJECT) != 0)
        return true;
    g_autoptr(GPtrArray) ids = projects_list(service->db, error);
    for (guint i = 0; ids && i < ids->len; i++)
        *may = *may || strcmp(ids->pdata[i], project) == 0;
    return ids != NULL;
}

static Token *api_token_of(const Token *token, const char *project)
{
    Token *made = g_new0(Token, 1);
    made->kind = TOKEN_API;
    made->user = g_strdup(token->user);
    made->project = g_strdup(project ? project : token->project);
    made->role = token->role;
    made->parent = g_strdup(token->id);
    made->expires_at = clock_now_ms() + TOKEN_MS;
    if (token->expires_at)
        made->expires_at = MIN(made->expires_at, token->expires_at);
    return made;
}

/* NULL with *error unset: user and password, or the project, are refused. */
static Token *credential_find(Service *service, const Wish *wish, GError **error)
{
    bool may;
    TokenState state;
    g_autoptr(Token) token =
        token_of_secret(service->db, wish->password, clock_now_ms(), &state, error);
    return token && state == TOKEN_GOOD && token->kind == TOKEN_USER &&
                   strcmp(token->id, wish->user) == 0 &&
                   may_scope(service, token, wish->project, &may, error) && may
               ? g_steal_pointer(&token)
               : NULL;
}

/* One transaction, after a first look, so that who guesses does not keep others from writing. */
static char *issue(Service *service, const Wish *wish, Token **made, GError **error)
{
    g_autoptr(Token) seen = credential_find(service, wish, error);
    g_autoptr(DbTransaction) transaction = seen ? db_transaction(service->db, error) : NULL;
    g_autoptr(Token) token = transaction ? credential_find(service, wish, error) : NULL;
    if (!token)
        return NULL;
    g_free(service->credential);
    service->credential = g_strdup(token->id);
    *made = api_token_of(token, wish->project);
    g_autofree char *secret = token_insert(service->db, *made, error);
    bool done = secret &&
                service_audit(service, (*made)->user, (*made)->project, "token.issue", (*made)->id,
                              error) &&
                db_commit(service->db, error);
    return done ? g_steal_pointer(&secret) : NULL;
}

static json_t *time_json(int64_t ms)
{
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(ms / 1000);
    g_autofree char *seconds = g_date_time_format(time, "%Y-%m-%dT%H:%M:%S");
    return json_sprintf("%s.%03d000Z", seconds, (int)(ms % 1000));
}

static json_t *token_json(const HttpRequest *request, const Wish *wish, const Token *token)
{
    const char *project = one_project(token->project), *role = role_name(token->role);
    json_t *body =
        json_pack("{s:[s], s:o, s:o, s:o, s:[{s:s, s:s}], s:{s:s, s:s, s:o}}", "methods",
                  "password", "issued_at", time_json(token->created_at), "expires_at",
                  time_json(token->expires_at), "catalog", catalog_json(request, project), "roles",
                  "id", role, "name", role, "user", "id", wish->user, "name", token->user, "domain",
                  domain_json());
    if (wish->of_domain)
        json_object_set_new(body, "domain", domain_json());
    else if (project)
        json_object_set_new(body, "project",
                            json_pack("{s:s, s:s, s:o}", "id", project, "name", project, "domain",
                                      domain_json()));
    return json_pack("{s:o}", "token", body);
}

static HttpReply answer(HttpRequest *request, Service *service, const json_t *body)
{
    Wish wish = {0};
    HttpReply reply;
    g_autoptr(GError) error = NULL;
    g_autoptr(Token) made = NULL;
    const char *wrong = wish_read(body, &wish);
    if (wrong)
        return identity_error(MHD_HTTP_BAD_REQUEST, "%s", wrong);
    g_autofree char *secret = issue(service, &wish, &made, &error);
    if (error) {
        g_warning("%s", error->message);
        if (db_error_passes(error))
            return http_again(identity_error(MHD_HTTP_SERVICE_UNAVAILABLE, "%s", HTTP_STORE_AWAY),
                              1);
        return identity_error(MHD_HTTP_INTERNAL_SERVER_ERROR,
                              "the server could not do this; its log says why");
    }
    if (!secret) {
        access_audit_refusal(request, "token.issue");
        if (access_login_failed(request, &reply))
            return reply;
        return identity_error(MHD_HTTP_UNAUTHORIZED,
                              "the user is no token's id, the password is not that token, or the "
                              "project is not one of its own");
    }
    reply = http_json(MHD_HTTP_CREATED, token_json(request, &wish, made));
    http_set_header(&reply, "X-Subject-Token", secret);
    return reply;
}

HttpReply identity_token_create(HttpRequest *request)
{
    HttpReply reply;
    if (!access_is_own_origin(request))
        return identity_error(MHD_HTTP_FORBIDDEN, "requests of another origin are refused");
    Service *service = api_service(request, &reply);
    if (!service)
        return reply;
    json_t *body = api_body(request, &reply);
    if (!body) {
        unsigned status = reply.status;
        MHD_destroy_response(reply.response);
        return identity_error(status, "the body must be a JSON object, as application/json");
    }
    reply = answer(request, service, body);
    json_decref(body);
    return reply;
}
