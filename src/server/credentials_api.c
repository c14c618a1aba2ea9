/* A project's credentials for registries and object stores. No answer has a secret. */
#include <string.h>

#include "server/api.h"
#include "store/credentials.h"

static bool is_admin(const HttpRequest *request, HttpReply *reply)
{
    if (request->caller && request->caller->role == ROLE_ADMIN)
        return true;
    *reply = http_error(MHD_HTTP_FORBIDDEN, "ModelArts.0108",
                        "only an admin of project %s may see or change its credentials",
                        request->arguments[0]);
    return false;
}

static json_t *credential_json(const Credential *credential)
{
    return json_pack("{s:s, s:s, s:s, s:I}", "for", credential->kind, "host", credential->host,
                     "user", credential->user, "created_at", (json_int_t)credential->created_at);
}

HttpReply credentials_get(HttpRequest *request)
{
    HttpReply reply;
    g_autoptr(GError) error = NULL;
    Service *service = is_admin(request, &reply) ? api_service(request, &reply) : NULL;
    if (!service)
        return reply;
    g_autoptr(GPtrArray) list = credentials_list(service->db, request->arguments[0], &error);
    if (!list)
        return api_failed(error);
    json_t *items = json_array();
    for (guint i = 0; i < list->len; i++)
        json_array_append_new(items, credential_json(list->pdata[i]));
    return http_json(MHD_HTTP_OK,
                     json_pack("{s:i, s:o}", "count", (int)list->len, "credentials", items));
}

/* NULL, or what is wrong: only these members, all text. The value is never repeated. */
static char *members_check(json_t *body)
{
    static const char *const NAMES[] = {"for", "host", "user", "secret", NULL};
    const char *name;
    json_t *value;
    json_object_foreach (body, name, value) {
        if (!g_strv_contains(NAMES, name))
            return g_strdup_printf("%s is not a field here; expected for, host, user, secret",
                                   name);
        if (!json_is_string(value))
            return g_strdup_printf("%s must be a string", name);
    }
    for (int i = 0; NAMES[i]; i++)
        if (strcmp(NAMES[i], "user") != 0 && !json_object_get(body, NAMES[i]))
            return g_strdup_printf("%s is missing", NAMES[i]);
    return NULL;
}

static const char *text_of(const json_t *body, const char *name)
{
    const char *text = json_string_value(json_object_get(body, name));
    return text ? text : "";
}

static HttpReply put(const HttpRequest *request, Service *service, json_t *body)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *wrong = members_check(body);
    if (wrong)
        return http_error(MHD_HTTP_BAD_REQUEST, API_PARAMETER, "%s", wrong);
    g_autoptr(Credential) credential = g_new0(Credential, 1);
    credential->project = g_strdup(request->arguments[0]);
    credential->kind = g_strdup(text_of(body, "for"));
    credential->host = g_strdup(text_of(body, "host"));
    credential->user = g_strdup(text_of(body, "user"));
    g_autofree char *fault = credential_check(credential, text_of(body, "secret"));
    if (fault)
        return http_error(MHD_HTTP_BAD_REQUEST, API_PARAMETER, "%s", fault);
    const SealKey *key = service_key(service, true, &error);
    if (!key || !credential_put(service->db, key, credential, text_of(body, "secret"), &error))
        return api_failed(error);
    return http_json(MHD_HTTP_OK, credential_json(credential));
}

HttpReply credentials_post(HttpRequest *request)
{
    HttpReply reply;
    Service *service = is_admin(request, &reply) ? api_service(request, &reply) : NULL;
    json_t *body = service ? api_body(request, &reply) : NULL;
    if (!body)
        return reply;
    reply = put(request, service, body);
    json_decref(body);
    return reply;
}

/* ?for=registry&host=HOST */
HttpReply credentials_delete(HttpRequest *request)
{
    HttpReply reply;
    bool found;
    g_autoptr(GError) error = NULL;
    const char *kind = http_query(request, "for"), *host = http_query(request, "host");
    Service *service = is_admin(request, &reply) ? api_service(request, &reply) : NULL;
    if (!service)
        return reply;
    if (!kind || !host)
        return http_error(MHD_HTTP_BAD_REQUEST, API_PARAMETER,
                          "for and host are missing; expected ?for=registry&host=HOST");
    if (!credential_remove(service->db, request->arguments[0], kind, host, &found, &error))
        return api_failed(error);
    if (!found)
        return http_error(MHD_HTTP_NOT_FOUND, API_PARAMETER,
                          "project %s has no credential for %s %s", request->arguments[0], kind,
                          host);
    return http_json(MHD_HTTP_OK, json_pack("{s:s, s:s}", "for", kind, "host", host));
}
