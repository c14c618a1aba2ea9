/* What handlers read of a request and answer it with. */
#include <netdb.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>

#include "server/http.h"

const char *http_header(const HttpRequest *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

const char *http_query(const HttpRequest *request, const char *name)
{
    return target_query(request->target, name);
}

char *http_client_address(const HttpRequest *request)
{
    char host[NI_MAXHOST];
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *address = info ? info->client_addr : NULL;
    socklen_t length = address && address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                                                 : sizeof(struct sockaddr_in);
    if (!address || getnameinfo(address, length, host, sizeof host, NULL, 0, NI_NUMERICHOST) != 0)
        return g_strdup("unknown");
    return g_strdup(host);
}

bool http_wants_chinese(const HttpRequest *request)
{
    const char *language = http_header(request, "X-Language");
    if (!language)
        language = http_header(request, MHD_HTTP_HEADER_ACCEPT_LANGUAGE);
    return language && g_ascii_strncasecmp(language, "zh", 2) == 0;
}

void http_set_header(HttpReply *reply, const char *name, const char *value)
{
    MHD_add_response_header(reply->response, name, value);
}

HttpReply http_again(HttpReply reply, int seconds)
{
    g_autofree char *text = g_strdup_printf("%d", seconds);
    http_set_header(&reply, MHD_HTTP_HEADER_RETRY_AFTER, text);
    return reply;
}

HttpReply http_text(unsigned status, const char *media_type, char *text, gsize length)
{
    HttpReply reply = {status,
                       MHD_create_response_from_buffer_with_free_callback(length, text, g_free)};
    http_set_header(&reply, MHD_HTTP_HEADER_CONTENT_TYPE, media_type);
    http_set_header(&reply, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    http_set_header(&reply, "X-Content-Type-Options", "nosniff");
    return reply;
}

HttpReply http_json(unsigned status, json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    char *copy = g_strdup(text);
    free(text);
    return http_text(status, "application/json; charset=utf-8", copy, strlen(copy));
}

static char *error_text(const char *format, va_list arguments) G_GNUC_PRINTF(1, 0);
static char *error_text(const char *format, va_list arguments)
{
    g_autofree char *message = g_strdup_vprintf(format, arguments);
    return g_utf8_make_valid(message, -1);
}

static HttpReply error_json(unsigned status, const char *code, const char *text)
{
    return http_json(status, json_pack("{s:s, s:s}", "error_code", code, "error_msg", text));
}

HttpReply http_error(unsigned status, const char *code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *text = error_text(format, arguments);
    va_end(arguments);
    return error_json(status, code, text);
}

HttpReply http_refuse(const HttpRequest *request, unsigned status, const char *code,
                      const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *text = error_text(format, arguments);
    va_end(arguments);
    return request->error ? request->error(status, text) : error_json(status, code, text);
}
