/* Pieces of a document as people are shown them: a value found, the lines around a place. */
#include "model/document.h"

#include <string.h>

#define SNIPPET_BEFORE  2   /* lines */
#define SNIPPET_AFTER   2   /* lines */
#define SNIPPET_COLUMNS 200 /* code points of a line, "…" not counted */
#define SNIPPET_LEAD    100 /* code points shown before a place far to the right */

static const char CUT[] = "…";

typedef struct {
    gunichar character; /* 0: a byte that is no UTF-8, or a NUL */
    size_t length;
} Step;

static Step step_at(const char *at, const char *end)
{
    gunichar character = g_utf8_get_char_validated(at, end - at);
    if (character == 0 || character >= (gunichar)-2)
        return (Step){0, 1};
    return (Step){character, g_utf8_next_char(at) - at};
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Whether a terminal shows it as itself: no control, no direction mark, no space that looks like
 * another. */
static bool prints(gunichar character)
{
    return character == ' ' || g_unichar_isgraph(character);
}

static void append_escaped(GString *text, const char *at, Step step)
{
    if (prints(step.character))
        g_string_append_len(text, at, step.length);
    else if (step.character < ' ' || step.character == 0x7F)
        g_string_append_printf(text, "\\x%02x", (unsigned char)*at);
    else if (step.character < 0x10000)
        g_string_append_printf(text, "\\u%04x", step.character);
    else
        g_string_append_printf(text, "\\u%04x\\u%04x", 0xD800 + ((step.character - 0x10000) >> 10),
                               0xDC00 + ((step.character - 0x10000) & 0x3FF));
}

char *document_found(const char *bytes, size_t size)
{
    g_autoptr(GString) text = g_string_new(NULL);
    const char *at = bytes, *end = bytes + size;
    bool in_string = false, escaped = false;
    size_t edge = 0; /* where a cut leaves room for its mark */
    while (at < end && text->len <= DOCUMENT_MAX_FOUND) {
        if (text->len + strlen(CUT) <= DOCUMENT_MAX_FOUND)
            edge = text->len;
        if (!in_string && is_blank(*at)) {
            while (at < end && is_blank(*at))
                at++;
            g_string_append_c(text, ' ');
            continue;
        }
        Step step = step_at(at, end);
        append_escaped(text, at, step);
        if (*at == '"' && !escaped)
            in_string = !in_string;
        escaped = in_string && *at == '\\' && !escaped;
        at += step.length;
    }
    if (at < end || text->len > DOCUMENT_MAX_FOUND) {
        g_string_truncate(text, edge);
        g_string_append(text, CUT);
    }
    return g_string_free(g_steal_pointer(&text), FALSE);
}

char *node_found(const Document *document, const Node *node)
{
    return document_found(document->text + node->start, node->length);
}

/* A line without its end. */
typedef struct {
    const char *start, *end;
} Line;

static Line line_around(const char *text, const char *end, const char *at)
{
    const char *before = at > text ? memrchr(text, '\n', at - text) : NULL;
    const char *after = at < end ? memchr(at, '\n', end - at) : NULL;
    Line line = {before ? before + 1 : text, after ? after : end};
    if (line.end > line.start && line.end[-1] == '\r')
        line.end--;
    return line;
}

/* At most SNIPPET_COLUMNS characters from `from` on, one for one. */
static json_t *line_shown(Line line, const char *from)
{
    g_autoptr(GString) text = g_string_new(from > line.start ? CUT : NULL);
    const char *at = from;
    for (int column = 0; at < line.end && column < SNIPPET_COLUMNS; column++) {
        Step step = step_at(at, line.end);
        if (prints(step.character))
            g_string_append_len(text, at, step.length);
        else
            g_string_append(text, *at == '\t' ? " " : "\xEF\xBF\xBD");
        at += step.length;
    }
    if (at < line.end)
        g_string_append(text, CUT);
    return json_stringn(text->str, text->len);
}

static int characters(const char *at, const char *end)
{
    int count = 0;
    for (; at < end; at += step_at(at, end).length)
        count++;
    return count;
}

/* Where the shown part of the line of a place begins: its start, unless the place is far from it.
 */
static const char *window_start(Line line, const char *place)
{
    const char *at = place;
    int back = 0;
    for (; at > line.start && back < SNIPPET_COLUMNS - SNIPPET_LEAD / 2; back++) {
        do
            at--;
        while (at > line.start && (*at & 0xC0) == 0x80);
    }
    if (at == line.start)
        return at;
    const char *from = place;
    for (int i = 0; i < SNIPPET_LEAD; i++) {
        do
            from--;
        while ((*from & 0xC0) == 0x80);
    }
    return from;
}

json_t *document_snippet(const Document *document, int line_number, size_t start, size_t length)
{
    size_t size = MIN(document->size, DOCUMENT_MAX_BYTES);
    const char *text = document->text + (document->byte_order_mark ? 3 : 0);
    const char *end = document->text + size, *place = document->text + MIN(start, size);
    if (place < text)
        place = text;

    Line line = line_around(text, end, place);
    const char *from = window_start(line, place);
    json_t *lines = json_array();
    json_array_append_new(lines, line_shown(line, from));

    int first_line = line_number;
    for (Line before = line; before.start > text && line_number - first_line < SNIPPET_BEFORE;) {
        before = line_around(text, end, before.start - 1);
        json_array_insert_new(lines, 0, line_shown(before, before.start));
        first_line--;
    }
    const char *next = memchr(line.end, '\n', end - line.end);
    for (int i = 0; i < SNIPPET_AFTER && next && next + 1 < end; i++) {
        Line after = line_around(text, end, next + 1);
        json_array_append_new(lines, line_shown(after, after.start));
        next = memchr(after.end, '\n', end - after.end);
    }

    int column = characters(from, place) + 1 + (from > line.start ? 1 : 0);
    int room = SNIPPET_COLUMNS - characters(from, place);
    const char *last = place + MIN(length, (size_t)(MAX(line.end, place) - place));
    int marked = 0;
    for (const char *at = place; at < last && marked < room; at += step_at(at, last).length)
        marked++;
    return json_pack("{s:i, s:o, s:i, s:i}", "first_line", first_line, "lines", lines, "column",
                     column, "length", MAX(marked, 1));
}
