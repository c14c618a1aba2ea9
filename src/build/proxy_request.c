#include "build/proxy_request.h"

#include <string.h>

void proxy_request_clear(ProxyRequest *request)
{
    g_free(request->host);
    g_free(request->name);
    g_free(request->port);
    g_free(request->url);
    g_free(request->path);
    g_free(request->method);
    g_free(request->fields);
    *request = (ProxyRequest){0};
}

static bool set_host(ProxyRequest *request, const char *name, const char *port)
{
    if (!name || !*name || strpbrk(name, " /@\\") || strspn(port, "0123456789") != strlen(port) ||
        !*port)
        return false;
    request->name = g_ascii_strdown(name, -1);
    request->port = g_strdup(port);
    request->host = g_strdup_printf(strchr(name, ':') ? "[%s]:%s" : "%s:%s", request->name, port);
    return true;
}

/* HOST:PORT or [HOST]:PORT; without a port `otherwise`. */
static bool take_authority(ProxyRequest *request, const char *text, const char *otherwise)
{
    g_autofree char *copy = g_strdup(text);
    char *name = copy, *end = *copy == '[' ? strchr(copy, ']') : strrchr(copy, ':');
    const char *port = otherwise;
    if (*copy == '[' && end) {
        name++;
        port = end[1] == ':' ? end + 2 : otherwise;
        *end = '\0';
    } else if (end) {
        port = end + 1;
        *end = '\0';
    }
    return port && set_host(request, name, port);
}

static bool take_target(ProxyRequest *request, const char *target)
{
    request->connect = strcmp(request->method, "CONNECT") == 0;
    if (request->connect)
        return take_authority(request, target, NULL);
    if (!g_str_has_prefix(target, "http://"))
        return false;
    const char *authority = target + strlen("http://"), *slash = strpbrk(authority, "/?#");
    g_autofree char *host =
        slash ? g_strndup(authority, (gsize)(slash - authority)) : g_strdup(authority);
    const char *user = strrchr(host, '@');
    request->url = g_strdup(target);
    request->path = g_strconcat(slash && *slash == '/' ? "" : "/", slash, NULL);
    return take_authority(request, user ? user + 1 : host, "80");
}

static bool is_ours(const char *field)
{
    static const char *const NAMES[] = {
        "Host:",    "Connection:", "Proxy-Connection:", "Proxy-Authorization:", "Keep-Alive:",
        "Upgrade:", "TE:"};
    for (size_t i = 0; i < G_N_ELEMENTS(NAMES); i++)
        if (g_ascii_strncasecmp(field, NAMES[i], strlen(NAMES[i])) == 0)
            return true;
    return false;
}

bool proxy_request_parse(const char *head, ProxyRequest *request)
{
    *request = (ProxyRequest){0};
    g_auto(GStrv) lines = g_strsplit(head, "\r\n", -1);
    g_auto(GStrv) words = g_strsplit(lines[0] ? lines[0] : "", " ", -1);
    g_autoptr(GString) fields = g_string_new(NULL);
    if (g_strv_length(words) != 3 || !g_str_has_prefix(words[2], "HTTP/1."))
        return false;
    for (int i = 1; lines[i]; i++)
        if (strpbrk(lines[i], "\r\n"))
            return false;
        else if (*lines[i] && !is_ours(lines[i]))
            g_string_append_printf(fields, "%s\r\n", lines[i]);
    request->method = g_strdup(words[0]);
    request->fields = g_string_free(g_steal_pointer(&fields), FALSE);
    if (take_target(request, words[1]))
        return true;
    proxy_request_clear(request);
    return false;
}
