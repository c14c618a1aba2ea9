/* Maintenance over HTTP: GET /v1/maintenance, and POST {on, message, until}. */
#include <string.h>

#include "base/clock.h"
#include "base/instant.h"
#include "import/hold.h"
#include "server/api.h"

static HttpReply reply_of(Service *service)
{
    g_autoptr(GError) error = NULL;
    json_t *state = maintenance_json(service, &error);
    return state ? http_json(MHD_HTTP_OK, state) : api_failed(error);
}

HttpReply maintenance_get(HttpRequest *request)
{
    HttpReply reply;
    Service *service = api_service(request, &reply);
    return service ? reply_of(service) : reply;
}

static HttpReply refuse(const char *format, ...) G_GNUC_PRINTF(1, 2);
static HttpReply refuse(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *message = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    return http_error(MHD_HTTP_BAD_REQUEST, API_PARAMETER, "%s", message);
}

/* A number is ms since 1970, as times are everywhere in the API. False: *reply. */
static bool read_until(const json_t *value, MaintenanceWish *wish, HttpReply *reply)
{
    int64_t now = clock_now_ms();
    bool read = !value || json_is_null(value);
    if (json_is_integer(value)) {
        wish->until = json_integer_value(value);
        read = wish->until != 0;
    } else if (json_is_string(value)) {
        read = instant_parse(json_string_value(value), now, &wish->until);
    }
    if (!read)
        *reply = refuse("until: expected ms since 1970, or %s", INSTANT_RULE);
    else if (wish->until && (wish->until <= now || wish->until > INSTANT_LAST_MS))
        *reply = refuse("until is no time in the future");
    else
        return true;
    return false;
}

static bool read_message(const json_t *value, MaintenanceWish *wish, HttpReply *reply)
{
    const char *text = json_string_value(value);
    wish->message = text && *text ? text : NULL;
    if (value && !text && !json_is_null(value))
        *reply = refuse("message must be a string");
    else if (text && g_utf8_strlen(text, -1) > MAINTENANCE_MESSAGE_CHARACTERS)
        *reply = refuse("message has more than %d characters", MAINTENANCE_MESSAGE_CHARACTERS);
    else
        return true;
    return false;
}

static bool read_wish(json_t *body, MaintenanceWish *wish, HttpReply *reply)
{
    const char *name;
    json_t *value;
    json_object_foreach (body, name, value)
        if (strcmp(name, "on") != 0 && strcmp(name, "message") != 0 && strcmp(name, "until") != 0) {
            *reply = refuse("%s is not a field of this version; expected on, message, until", name);
            return false;
        }
    const json_t *on = json_object_get(body, "on");
    wish->on = json_is_true(on);
    if (!json_is_boolean(on)) {
        *reply = refuse(on ? "on must be true or false" : "on is missing: true or false");
        return false;
    }
    return read_message(json_object_get(body, "message"), wish, reply) &&
           read_until(json_object_get(body, "until"), wish, reply);
}

HttpReply maintenance_set(HttpRequest *request)
{
    HttpReply reply;
    g_autoptr(GError) error = NULL;
    MaintenanceWish wish = {0};
    bool was_on;
    Service *service = api_service(request, &reply);
    json_auto_t *body = service ? api_body(request, &reply) : NULL;
    if (!body || !read_wish(body, &wish, &reply))
        return reply;
    if (!maintenance_switch(service, &wish, request->actor, &was_on, &error))
        return api_failed(error);
    workers_wake(request->server->workers);
    return reply_of(service);
}
