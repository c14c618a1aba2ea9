/* Files that the program carries: the Python client, and the description of the API. */
#include <gio/gio.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "server/api.h"
#include "server/asset.h"
#include "server/assets-resource.h"

static Asset client = {.media_type = "text/x-python; charset=utf-8"};
static Asset openapi = {.media_type = "application/json; charset=utf-8"};

static const char *resource_text(const char *name, gsize *length)
{
    g_autofree char *path = g_strconcat("/waybill/server/", name, NULL);
    g_autoptr(GBytes) bytes = g_resource_lookup_data(assets_get_resource(), path, 0, NULL);
    g_assert(bytes);
    return g_bytes_get_data(bytes, length); /* static */
}

/* {path...}, the rest of a path, is {path} to OpenAPI. */
static char *openapi_path(const char *path)
{
    g_auto(GStrv) parts = g_strsplit(path, "...}", -1);
    return g_strjoinv("}", parts);
}

/* The operations of the routes that there are; the source may describe more. */
static json_t *openapi_paths(const json_t *described)
{
    json_t *paths = json_object();
    for (const HttpRoute *route = API_ROUTES; route->method; route++) {
        g_autofree char *name = openapi_path(route->path);
        g_autofree char *method = g_ascii_strdown(route->method, -1);
        const json_t *source = json_object_get(described, name);
        json_t *operation = json_object_get(source, method), *path = json_object_get(paths, name);
        if (!operation)
            continue;
        if (!path) {
            json_t *parameters = json_object_get(source, "parameters");
            path = json_object();
            if (parameters)
                json_object_set(path, "parameters", parameters);
            json_object_set_new(paths, name, path);
        }
        json_object_set(path, method, operation);
    }
    return paths;
}

static json_t *reasons(void)
{
    json_t *names = json_array();
    for (int i = 0; i < EVENT_COUNT; i++)
        json_array_append_new(names, json_string(catalog_row((EventReason)i)->reason));
    return names;
}

static void openapi_make(void)
{
    gsize length;
    const char *text = resource_text("openapi.json", &length);
    json_t *document = json_loadb(text, length, 0, NULL);
    g_assert(document);
    json_object_set_new(json_object_get(document, "info"), "version", json_string(WAYBILL_VERSION));
    json_object_set_new(document, "paths", openapi_paths(json_object_get(document, "paths")));
    json_t *schemas = json_object_get(json_object_get(document, "components"), "schemas");
    json_object_set_new(json_object_get(schemas, "Reason"), "enum", reasons());
    char *made = json_dumps(document, JSON_INDENT(2));
    json_decref(document);
    asset_set(&openapi, made, strlen(made));
}

static void assets_make(void)
{
    gsize length;
    const char *text = resource_text("waybill.py", &length);
    asset_set(&client, text, length);
    openapi_make();
}

static pthread_once_t assets_once = PTHREAD_ONCE_INIT;

HttpReply client_get(HttpRequest *request)
{
    pthread_once(&assets_once, assets_make);
    return asset_reply(request, &client);
}

HttpReply openapi_get(HttpRequest *request)
{
    pthread_once(&assets_once, assets_make);
    return asset_reply(request, &openapi);
}
