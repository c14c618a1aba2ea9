#include "build/lines.h"

#include <stdbool.h>

static void line_done(Lines *lines, LineFunc call, const char *stream, gpointer data)
{
    g_autofree char *text = g_utf8_make_valid(lines->text->str, (gssize)lines->text->len);
    g_string_truncate(lines->text, 0);
    for (char *at = text; *at; at++)
        if ((guchar)*at < 0x20 && *at != '\t')
            *at = '?';
    if (call)
        call(data, stream, text);
}

void lines_add(Lines *lines, const char *bytes, gsize size, LineFunc call, const char *stream,
               gpointer data)
{
    if (!lines->text)
        lines->text = g_string_new(NULL);
    for (gsize i = 0; i < size; i++) {
        char byte = bytes[i];
        bool ends = byte == '\n' ? lines->text->len > 0 || !lines->returned
                                 : byte == '\r' && lines->text->len > 0;
        if (ends)
            line_done(lines, call, stream, data);
        else if (byte != '\0' && byte != '\r' && byte != '\n' && lines->text->len < LINE_BYTES)
            g_string_append_c(lines->text, byte);
        lines->returned = byte == '\r';
    }
}

void lines_end(Lines *lines, LineFunc call, const char *stream, gpointer data)
{
    if (lines->text && lines->text->len > 0)
        line_done(lines, call, stream, data);
}

void lines_clear(Lines *lines)
{
    if (lines->text)
        g_string_free(lines->text, TRUE);
    lines->text = NULL;
}
