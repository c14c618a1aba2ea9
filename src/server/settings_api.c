/* Settings of the store over HTTP: GET /v1/settings, and PATCH {KEY: value, or null}. */
#include "import/setting_change.h"
#include "server/api.h"

static HttpReply reply_of(Service *service)
{
    g_autoptr(GError) error = NULL;
    json_t *settings = settings_held_json(service, &error);
    return settings ? http_json(MHD_HTTP_OK, json_pack("{s:I, s:o}", "count",
                                                       (json_int_t)json_array_size(settings),
                                                       "settings", settings))
                    : api_failed(error);
}

HttpReply settings_get(HttpRequest *request)
{
    HttpReply reply;
    Service *service = api_service(request, &reply);
    return service ? reply_of(service) : reply;
}

/* A number and true or false as they would stand in waybill.conf. NULL: it is none of them. */
static char *text_of(const json_t *value)
{
    if (json_is_string(value))
        return g_strdup(json_string_value(value));
    if (!json_is_number(value) && !json_is_boolean(value))
        return NULL;
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
    char *copy = g_strdup(text);
    free(text);
    return copy;
}

/* values owns what the changes borrow. False: *reply. */
static bool read_changes(json_t *body, GArray *changes, GPtrArray *values, HttpReply *reply)
{
    const char *key;
    json_t *value;
    json_object_foreach (body, key, value) {
        char *text = text_of(value);
        const SettingChange change = {key, text};
        if (text)
            g_ptr_array_add(values, text);
        g_autofree char *fault =
            text || json_is_null(value)
                ? setting_change_fault(&change)
                : g_strdup_printf("%s must be text, a number, true, false or null", key);
        if (fault) {
            *reply = http_error(MHD_HTTP_BAD_REQUEST, API_PARAMETER, "%s", fault);
            return false;
        }
        g_array_append_val(changes, change);
    }
    return true;
}

HttpReply settings_patch(HttpRequest *request)
{
    HttpReply reply;
    g_autoptr(GError) error = NULL;
    g_autoptr(GArray) changes = g_array_new(FALSE, FALSE, sizeof(SettingChange));
    g_autoptr(GPtrArray) values = g_ptr_array_new_with_free_func(g_free);
    Service *service = api_service(request, &reply);
    json_auto_t *body = service ? api_body(request, &reply) : NULL;
    if (!body || !read_changes(body, changes, values, &reply))
        return reply;
    const SettingChange *all = (const SettingChange *)(const void *)changes->data;
    if (!settings_change(service, all, changes->len, request->actor, &error))
        return api_failed(error);
    return reply_of(service);
}
