#include "server/byte_range.h"

#include <inttypes.h>
#include <string.h>

/* Digits alone, up to `end`. */
static bool number_read(const char *text, const char *end, int64_t *number)
{
    guint64 value;
    g_autofree char *digits = g_strndup(text, (gsize)(end - text));
    if (!g_ascii_string_to_unsigned(digits, 10, 0, G_MAXINT64 - 1, &value, NULL))
        return false;
    *number = (int64_t)value;
    return true;
}

ByteRangeKind byte_range_read(const char *text, int64_t size, ByteRange *range)
{
    static const char UNIT[] = "bytes=";
    int64_t from = 0, to = 0;
    *range = (ByteRange){0, size};
    const char *dash = text && g_str_has_prefix(text, UNIT) ? strchr(text, '-') : NULL;
    if (!dash)
        return BYTE_RANGE_WHOLE;
    const char *begin = text + strlen(UNIT), *end = dash + 1 + strlen(dash + 1);
    bool has_from = begin < dash, has_to = dash + 1 < end;
    if ((!has_from && !has_to) || (has_from && !number_read(begin, dash, &from)) ||
        (has_to && !number_read(dash + 1, end, &to)) || (has_from && has_to && to < from))
        return BYTE_RANGE_WHOLE;
    if (!has_from) {
        range->length = MIN(to, size);
        range->from = size - range->length;
        return range->length > 0 ? BYTE_RANGE_PART : BYTE_RANGE_OUTSIDE;
    }
    if (from >= size)
        return BYTE_RANGE_OUTSIDE;
    *range = (ByteRange){from, (has_to ? MIN(to + 1, size) : size) - from};
    return BYTE_RANGE_PART;
}

void byte_range_set(HttpReply *reply, ByteRangeKind kind, const ByteRange *range, int64_t size)
{
    g_autofree char *text =
        kind == BYTE_RANGE_PART
            ? g_strdup_printf("bytes %" PRId64 "-%" PRId64 "/%" PRId64, range->from,
                              range->from + range->length - 1, size)
            : g_strdup_printf("bytes */%" PRId64, size);
    if (kind != BYTE_RANGE_WHOLE)
        http_set_header(reply, MHD_HTTP_HEADER_CONTENT_RANGE, text);
    if (kind != BYTE_RANGE_OUTSIDE)
        http_set_header(reply, MHD_HTTP_HEADER_ACCEPT_RANGES, "bytes");
}

bool byte_range_of_chunk(const char *text, ByteRange *range)
{
    int64_t from, to;
    const char *dash = strchr(text, '-');
    if (!dash || !number_read(text, dash, &from) ||
        !number_read(dash + 1, dash + strlen(dash), &to) || to < from)
        return false;
    *range = (ByteRange){from, to - from + 1};
    return true;
}
