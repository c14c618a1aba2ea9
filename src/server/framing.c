#include "server/framing.h"

#include <string.h>

typedef struct {
    int hosts, lengths, codings;
    const char *coding;
    bool odd; /* a name or a value that no header has */
} Head;

/* RFC 9110, 5.6.2. */
static bool is_token(const char *name, size_t size)
{
    bool good = size > 0;
    for (size_t i = 0; good && i < size; i++)
        good = g_ascii_isalnum(name[i]) || (name[i] && strchr("!#$%&'*+-.^_`|~", name[i]));
    return good;
}

static enum MHD_Result head_take(void *data, enum MHD_ValueKind kind, const char *name,
                                 size_t name_size, const char *value, size_t value_size)
{
    Head *head = data;
    head->odd |= !is_token(name, name_size) ||
                 (value && (memchr(value, '\0', value_size) || memchr(value, '\r', value_size)));
    if (head->odd)
        return MHD_NO;
    head->hosts += g_ascii_strcasecmp(name, MHD_HTTP_HEADER_HOST) == 0;
    head->lengths += g_ascii_strcasecmp(name, MHD_HTTP_HEADER_CONTENT_LENGTH) == 0;
    if (g_ascii_strcasecmp(name, MHD_HTTP_HEADER_TRANSFER_ENCODING) == 0) {
        head->codings++;
        head->coding = value ? value : "";
    }
    return MHD_YES;
}

static HttpReply refuse(unsigned status, const char *why)
{
    HttpReply reply = http_error(status, "ModelArts.0104", "%s", why);
    http_set_header(&reply, MHD_HTTP_HEADER_CONNECTION, "close");
    return reply;
}

HttpReply framing_check(const HttpRequest *request, const char *version)
{
    Head head = {0};
    MHD_get_connection_values_n(request->connection, MHD_HEADER_KIND, head_take, &head);
    if (head.odd)
        return refuse(MHD_HTTP_BAD_REQUEST, "a header has a name or a value that none can have");
    if (head.hosts == 0 && strcmp(version, MHD_HTTP_VERSION_1_1) == 0)
        return refuse(MHD_HTTP_BAD_REQUEST, "Host is missing");
    if (head.hosts > 1)
        return refuse(MHD_HTTP_BAD_REQUEST, "Host is given more than once");
    if (head.lengths > 1)
        return refuse(MHD_HTTP_BAD_REQUEST, "Content-Length is given more than once");
    if (head.codings && head.lengths)
        return refuse(MHD_HTTP_BAD_REQUEST,
                      "Content-Length and Transfer-Encoding exclude each other");
    if (head.codings && strcmp(version, MHD_HTTP_VERSION_1_0) == 0)
        return refuse(MHD_HTTP_BAD_REQUEST, "HTTP/1.0 has no Transfer-Encoding");
    if (head.codings && (head.codings > 1 || g_ascii_strcasecmp(head.coding, "chunked") != 0))
        return refuse(MHD_HTTP_NOT_IMPLEMENTED, "the only Transfer-Encoding is chunked");
    return HTTP_WAITS;
}
