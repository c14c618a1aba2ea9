#include "server/asset.h"

#include <string.h>

#include "base/digest.h"

void asset_set(Asset *asset, const char *text, gsize length)
{
    g_autofree char *digest = digest_of(text, length);
    asset->text = text;
    asset->length = length;
    g_snprintf(asset->tag, sizeof asset->tag, "\"%.32s\"", digest_hex(digest));
}

/* Whoever names gzip with q=0, which nobody does, gets what it said it does not want. */
static bool takes_gzip(const HttpRequest *request)
{
    const char *accepted = http_header(request, MHD_HTTP_HEADER_ACCEPT_ENCODING);
    return accepted && strstr(accepted, "gzip");
}

HttpReply asset_reply(const HttpRequest *request, const Asset *asset)
{
    const char *known = http_header(request, MHD_HTTP_HEADER_IF_NONE_MATCH);
    const bool is_known = known && strstr(known, asset->tag);
    const bool is_packed = asset->packed && !is_known && takes_gzip(request);
    const char *text = is_packed ? asset->packed : asset->text;
    const gsize length = is_known ? 0 : is_packed ? asset->packed_length : asset->length;
    HttpReply reply = {is_known ? MHD_HTTP_NOT_MODIFIED : MHD_HTTP_OK,
                       MHD_create_response_from_buffer(length, (void *)text,
                                                       MHD_RESPMEM_PERSISTENT)};
    http_set_header(&reply, MHD_HTTP_HEADER_CONTENT_TYPE, asset->media_type);
    http_set_header(&reply, MHD_HTTP_HEADER_ETAG, asset->tag);
    http_set_header(&reply, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache");
    http_set_header(&reply, "X-Content-Type-Options", "nosniff");
    if (asset->packed)
        http_set_header(&reply, MHD_HTTP_HEADER_VARY, MHD_HTTP_HEADER_ACCEPT_ENCODING);
    if (is_packed)
        http_set_header(&reply, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip");
    return reply;
}
