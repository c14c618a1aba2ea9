/* Any bytes as the head of a request to a build's proxy: what is taken names one host and one port,
 * in one spelling, and passes no field on that is the connection's. */
#include <stdint.h>
#include <string.h>

#include "build/proxy_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The list of allowed hosts is compared with it as a whole. */
static void assert_host(const ProxyRequest *request)
{
    g_autofree char *lower = g_ascii_strdown(request->name, -1);
    g_autofree char *host = g_strdup_printf(strchr(request->name, ':') ? "[%s]:%s" : "%s:%s",
                                            request->name, request->port);
    g_assert(*request->name && !strpbrk(request->name, " /@\\"));
    g_assert(*request->port && strspn(request->port, "0123456789") == strlen(request->port));
    g_assert_cmpstr(request->name, ==, lower);
    g_assert_cmpstr(request->host, ==, host);
}

static void assert_fields(const ProxyRequest *request)
{
    g_auto(GStrv) lines = g_strsplit(request->fields, "\r\n", -1);
    for (char **line = lines; *line; line++) {
        g_assert(!strpbrk(*line, "\r\n"));
        g_assert(g_ascii_strncasecmp(*line, "Host:", 5) != 0);
        g_assert(g_ascii_strncasecmp(*line, "Proxy-", 6) != 0 ||
                 (g_ascii_strncasecmp(*line, "Proxy-Connection:", 17) != 0 &&
                  g_ascii_strncasecmp(*line, "Proxy-Authorization:", 20) != 0));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *head = g_strndup((const char *)data, size);
    g_auto(ProxyRequest) request = {0};
    if (!proxy_request_parse(head, &request)) {
        g_assert(!request.host && !request.fields);
        return 0;
    }
    assert_host(&request);
    assert_fields(&request);
    g_assert(request.connect == (strcmp(request.method, "CONNECT") == 0));
    g_assert(request.connect ? !request.path : request.path[0] == '/');
    return 0;
}
