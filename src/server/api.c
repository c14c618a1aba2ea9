/* What the API's handlers share. */
#include "server/api.h"

#include <string.h>

#include "base/clock.h"
#include "import/import.h"

#define MOST_WAIT_SECONDS 60

HttpReply api_failed(const GError *error)
{
    if (g_error_matches(error, IMPORT_ERROR, IMPORT_ERROR_CONFLICT) ||
        g_error_matches(error, IMPORT_ERROR, IMPORT_ERROR_TAKEN))
        return http_error(MHD_HTTP_CONFLICT, "ModelArts.3002", "%s", error->message);
    if (g_error_matches(error, IMPORT_ERROR, IMPORT_ERROR_BUILDING))
        return http_error(MHD_HTTP_INTERNAL_SERVER_ERROR, "ModelArts.3065", "%s", error->message);
    if (g_error_matches(error, IMPORT_ERROR, IMPORT_ERROR_USAGE))
        return http_error(MHD_HTTP_BAD_REQUEST, API_PARAMETER, "%s", error->message);
    if (g_error_matches(error, IMPORT_ERROR, IMPORT_ERROR_SOURCE))
        return http_error(MHD_HTTP_BAD_REQUEST, "ModelArts.3017", "%s", error->message);
    g_warning("%s", error->message); /* the client sees no path of the server's disk */
    if (db_error_passes(error))
        return http_again(http_error(MHD_HTTP_SERVICE_UNAVAILABLE, "ModelArts.0010", "%s",
                                     HTTP_STORE_AWAY),
                          1);
    return http_error(MHD_HTTP_INTERNAL_SERVER_ERROR, "ModelArts.0010",
                      "the server could not do this; its log says why");
}

HttpReply api_login_refused(const HttpRequest *request, int retry_after)
{
    return http_again(http_refuse(request, MHD_HTTP_TOO_MANY_REQUESTS, "ModelArts.0203",
                                  "too many failed logins: try again in %d s", retry_after),
                      retry_after);
}

Service *api_service(const HttpRequest *request, HttpReply *reply)
{
    g_autoptr(GError) error = NULL;
    Service *service = server_service(request->server, &error);
    if (!service) {
        *reply = api_failed(error);
        return NULL;
    }
    g_free(service->credential);
    g_free(service->request_id);
    service->credential = request->caller ? g_strdup(request->caller->credential) : NULL;
    service->request_id = g_strdup(request->id);
    return service;
}

/* "application/json", with parameters or without. */
static bool is_json(const HttpRequest *request)
{
    const char *type = http_header(request, MHD_HTTP_HEADER_CONTENT_TYPE);
    static const char JSON[] = "application/json";
    const gsize length = sizeof JSON - 1;
    return type && g_ascii_strncasecmp(type, JSON, length) == 0 &&
           (!type[length] || strchr("; \t", type[length]));
}

json_t *api_body(const HttpRequest *request, HttpReply *reply)
{
    json_error_t fault;
    if (!request->body)
        return json_object();
    if (!is_json(request)) {
        *reply = http_error(MHD_HTTP_UNSUPPORTED_MEDIA_TYPE, API_PARAMETER,
                            "the body must be application/json");
        return NULL;
    }
    json_t *body = json_loadb((const char *)request->body->data, request->body->len,
                              JSON_REJECT_DUPLICATES, &fault);
    if (json_is_object(body))
        return body;
    if (body)
        *reply = http_error(MHD_HTTP_BAD_REQUEST, API_PARAMETER, "the body must be a JSON object");
    else
        *reply = http_error(MHD_HTTP_BAD_REQUEST, API_PARAMETER,
                            "the body is not JSON: line %d, column %d: %s", fault.line,
                            fault.column, fault.text);
    json_decref(body);
    return NULL;
}

bool api_number(const HttpRequest *request, const char *name, int64_t otherwise, int64_t *value,
                HttpReply *reply)
{
    const char *text = http_query(request, name);
    guint64 number = 0;
    bool good = !text || g_ascii_string_to_unsigned(text, 10, 0, G_MAXINT64, &number, NULL);
    *value = text ? (int64_t)number : otherwise;
    if (!good)
        *reply = http_error(MHD_HTTP_BAD_REQUEST, API_PARAMETER,
                            "%s is \"%s\"; expected a whole number, 0 or more", name, text);
    return good;
}

bool api_flag(const HttpRequest *request, const char *name, bool *value, HttpReply *reply)
{
    const char *text = http_query(request, name);
    *value = text && strcmp(text, "true") == 0;
    if (!text || *value || strcmp(text, "false") == 0)
        return true;
    *reply = http_error(MHD_HTTP_BAD_REQUEST, API_PARAMETER, "%s is \"%s\"; expected true or false",
                        name, text);
    return false;
}

static Model *model_of(const HttpRequest *request, Service *service, bool deleted, HttpReply *reply)
{
    g_autoptr(GError) error = NULL;
    const char *id = request->arguments[1];
    g_autoptr(Model) model = model_load(service->db, id, &error);
    if (error)
        *reply = api_failed(error);
    else if (!model || (model->deleted_at != 0) != deleted ||
             strcmp(model->project, request->arguments[0]) != 0)
        *reply = http_error(MHD_HTTP_NOT_FOUND, "ModelArts.3001", "there is no%s model %s",
                            deleted ? " deleted" : "", id);
    else
        return g_steal_pointer(&model);
    return NULL;
}

Model *api_model(const HttpRequest *request, Service *service, HttpReply *reply)
{
    return model_of(request, service, false, reply);
}

Model *api_model_deleted(const HttpRequest *request, Service *service, HttpReply *reply)
{
    return model_of(request, service, true, reply);
}

typedef struct {
    Hub *hub;
    HubFollower follower;
} Waiting;

static void waiting_free(void *data)
{
    Waiting *waiting = data;
    hub_leave(waiting->hub, &waiting->follower);
    g_free(waiting);
}

bool api_wait(HttpRequest *request, const char *model_id, int64_t seen, bool *go_on,
              HttpReply *reply)
{
    int64_t seconds;
    Hub *hub = request->server->hub;
    if (!api_number(request, "wait", 0, &seconds, reply))
        return true;
    int64_t deadline = request->began + MIN(seconds, MOST_WAIT_SECONDS) * 1000;
    *go_on = clock_monotonic_ms() < deadline && !hub_is_closed(hub);
    if (!*go_on)
        return false;
    if (!request->state) {
        Waiting *waiting = g_new0(Waiting, 1);
        waiting->hub = hub;
        hub_follow(hub, &waiting->follower, request->connection, model_id);
        request->state = waiting;
        request->state_free = waiting_free;
    }
    *reply = HTTP_WAITS;
    return hub_wait(hub, &((Waiting *)request->state)->follower, seen, deadline);
}
