/* The events of all models of a project: what happens now, and how often. */
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/duration.h"
#include "event/timeline_all.h"
#include "server/api.h"

#define PAGE_ITEMS   100
#define PAGE_MAXIMUM 1000

/* ms since 1970, or how long ago: "1h". */
static bool read_time(const HttpRequest *request, const char *name, int64_t *time, HttpReply *reply)
{
    int64_t ago;
    guint64 number;
    const char *text = http_query(request, name);
    if (!text)
        return true;
    if (g_ascii_string_to_unsigned(text, 10, 0, G_MAXINT64, &number, NULL))
        *time = (int64_t)number;
    else if (duration_parse(text, &ago))
        *time = clock_now_ms() - ago;
    else {
        *reply = http_error(MHD_HTTP_BAD_REQUEST, API_PARAMETER,
                            "%s is \"%s\"; expected ms since 1970, or how long ago: "
                            "" DURATION_RULE,
                            name, text);
        return false;
    }
    return true;
}

/* "TIME.MODEL.SEQ", base64url: nobody is to build one. *model: the caller frees it. */
static char *cursor_new(const TimelineAllRow *row)
{
    g_autofree char *text =
        g_strdup_printf("%" PRId64 ".%s.%" PRId64, row->time, row->model_id, row->seq);
    char *cursor = g_base64_encode((const guchar *)text, strlen(text));
    return g_strdelimit(g_strdelimit(g_strdelimit(cursor, "+", '-'), "/", '_'), "=", '.');
}

static bool cursor_parse(const char *cursor, TimelineAll *search, char **model)
{
    guint64 time, seq;
    gsize length;
    g_autofree char *plain = g_strdup(cursor);
    g_strdelimit(g_strdelimit(g_strdelimit(plain, "-", '+'), "_", '/'), ".", '=');
    g_autofree guchar *bytes = g_base64_decode(plain, &length);
    g_autofree char *text = g_strndup((const char *)bytes, length);
    g_auto(GStrv) parts = g_strsplit(text, ".", -1);
    if (g_strv_length(parts) != 3 || !g_utf8_validate(parts[1], -1, NULL) || !*parts[1] ||
        !g_ascii_string_to_unsigned(parts[0], 10, 0, G_MAXINT64, &time, NULL) ||
        !g_ascii_string_to_unsigned(parts[2], 10, 0, G_MAXINT64, &seq, NULL))
        return false;
    search->behind_time = (int64_t)time;
    search->behind_seq = (int64_t)seq;
    search->behind_model = *model = g_strdup(parts[1]);
    return true;
}

static bool read_cursor(const HttpRequest *request, TimelineAll *search, char **model,
                        HttpReply *reply)
{
    const char *cursor = http_query(request, "cursor");
    if (!cursor || cursor_parse(cursor, search, model))
        return true;
    *reply = http_error(MHD_HTTP_BAD_REQUEST, API_PARAMETER,
                        "cursor is \"%s\"; expected the `next` of a page before", cursor);
    return false;
}

static bool read_search(const HttpRequest *request, TimelineAll *search, char **model,
                        HttpReply *reply)
{
    search->project = request->arguments[0];
    search->reason = http_query(request, "reason");
    search->kind = http_query(request, "kind");
    search->stage = http_query(request, "stage");
    if (!api_event_types(request, &search->normal, &search->abnormal, &search->hint, reply) ||
        !read_time(request, "since", &search->since, reply) ||
        !read_time(request, "until", &search->until, reply) ||
        !api_number(request, "limit", PAGE_ITEMS, &search->limit, reply) ||
        !read_cursor(request, search, model, reply))
        return false;
    search->limit = CLAMP(search->limit, 1, PAGE_MAXIMUM);
    return true;
}

typedef struct {
    GString *rows; /* comma-separated */
    int64_t count;
    char *cursor; /* of the last row */
} Page;

static void page_add(const TimelineAllRow *row, gpointer data)
{
    Page *page = data;
    g_autofree char *event = timeline_all_json(row);
    if (page->count++)
        g_string_append_c(page->rows, ',');
    g_string_append(page->rows, event);
    g_free(page->cursor);
    page->cursor = cursor_new(row);
}

HttpReply project_events(HttpRequest *request)
{
    HttpReply reply;
    bool more;
    int64_t events, models;
    TimelineAll search = {0};
    g_autofree char *behind = NULL;
    g_autoptr(GError) error = NULL;
    Service *service = api_service(request, &reply);
    if (!service || !read_search(request, &search, &behind, &reply))
        return reply;
    g_autoptr(GString) rows = g_string_sized_new(16 << 10);
    Page page = {.rows = rows};
    bool done = timeline_all_count(service->db, &search, &events, &models, &error) &&
                timeline_all_each(service->db, &search, page_add, &page, &more, &error);
    g_autofree char *cursor = page.cursor;
    if (!done)
        return api_failed(error);
    GString *text = g_string_sized_new(rows->len + 256);
    g_string_append_printf(text,
                           "{\"total_count\":%" PRId64 ",\"model_count\":%" PRId64
                           ",\"count\":%" PRId64 ",",
                           events, models, page.count);
    if (more)
        g_string_append_printf(text, "\"next\":\"%s\",", cursor);
    g_string_append_printf(text, "\"events\":[%s]}", rows->str);
    gsize length = text->len;
    return http_text(MHD_HTTP_OK, "application/json; charset=utf-8", g_string_free(text, FALSE),
                     length);
}
