/* The console (console/), embedded: one page, its script, its style and its icon. Everything else
 * of it is behind the page's fragment (#/PROJECT/models/…), which no browser sends. */
#include <gio/gio.h>
#include <pthread.h>
#include <string.h>

#include "config.h"
#include "server/api.h"
#include "server/asset.h"

#ifdef WAYBILL_CONSOLE

#include "server/console-resource.h"

/* What the page may do: nothing but what came with it from here, and asking this server. */
#define POLICY                                                                          \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "   \
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " \
    "require-trusted-types-for 'script'"

typedef struct {
    const char *path, *name;
    Asset asset;
} ConsoleFile;

static ConsoleFile console_files[] = {
    {"/", "index.html", {.media_type = "text/html; charset=utf-8"}},
    {"/console.js", "console.js", {.media_type = "text/javascript; charset=utf-8"}},
    {"/console.css", "console.css", {.media_type = "text/css; charset=utf-8"}},
    {"/favicon.svg", "favicon.svg", {.media_type = "image/svg+xml"}},
};

static const char *console_text(const char *name, const char *suffix, gsize *length)
{
    g_autofree char *path = g_strconcat("/waybill/console/", name, suffix, NULL);
    g_autoptr(GBytes) bytes = g_resource_lookup_data(console_get_resource(), path, 0, NULL);
    g_assert(bytes);
    return g_bytes_get_data(bytes, length); /* static */
}

static void console_make(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(console_files); i++) {
        gsize length;
        ConsoleFile *file = &console_files[i];
        const char *text = console_text(file->name, "", &length);
        asset_set(&file->asset, text, length);
        file->asset.packed = console_text(file->name, ".gz", &file->asset.packed_length);
    }
}

static const Asset *console_asset(const char *path)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, console_make);
    for (size_t i = 0; i < G_N_ELEMENTS(console_files); i++)
        if (strcmp(console_files[i].path, path) == 0)
            return &console_files[i].asset;
    g_assert_not_reached();
}

HttpReply console_get(HttpRequest *request)
{
    HttpReply reply = asset_reply(request, console_asset(request->route->path));
    http_set_header(&reply, "Content-Security-Policy", POLICY);
    http_set_header(&reply, "Referrer-Policy", "no-referrer");
    http_set_header(&reply, "Cross-Origin-Opener-Policy", "same-origin");
    return reply;
}

#else

/* Built with -Dconsole=disabled: a person lands here all the same. */
HttpReply console_get(HttpRequest *request)
{
    const char *text =
        http_wants_chinese(request)
            ? "Waybill " WAYBILL_VERSION
              "。此版本没有控制台。API 说明见 /openapi.json,当前用户见 /v1/whoami。\n"
            : "Waybill " WAYBILL_VERSION ". This version has no console. The API is "
              "described at /openapi.json, and /v1/whoami says who you are.\n";
    const bool is_front = strcmp(request->route->path, "/") == 0;
    return http_text(is_front ? MHD_HTTP_OK : MHD_HTTP_NOT_FOUND, "text/plain; charset=utf-8",
                     g_strdup(text), strlen(text));
}

#endif
