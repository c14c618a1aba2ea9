#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "event/timeline_search.h"
#include "server/api.h"

#define PAGE_ITEMS   1000
#define ANSWER_BYTES (32 << 10) /* of most timelines: what is longer grows */

bool api_event_types(const HttpRequest *request, bool *normal, bool *abnormal, bool *hint,
                     HttpReply *reply)
{
    const char *text = http_query(request, "event_type");
    g_auto(GStrv) types = g_strsplit(text ? text : "", ",", -1);
    for (char **type = types; *type; type++) {
        if (strcmp(*type, "normal") == 0)
            *normal = true;
        else if (strcmp(*type, "abnormal") == 0)
            *abnormal = true;
        else if (strcmp(*type, "hint") == 0)
            *hint = true;
        else {
            *reply = http_error(MHD_HTTP_BAD_REQUEST, API_PARAMETER,
                                "event_type is \"%s\"; expected normal, abnormal or hint", text);
            return false;
        }
    }
    return true;
}

/* One of the values; NULL: the first. */
static bool read_choice(const HttpRequest *request, const char *name, const char *first,
                        const char *second, bool *is_second, HttpReply *reply)
{
    const char *text = http_query(request, name);
    *is_second = text && strcmp(text, second) == 0;
    if (!text || *is_second || strcmp(text, first) == 0)
        return true;
    *reply = http_error(MHD_HTTP_BAD_REQUEST, API_PARAMETER, "%s is \"%s\"; expected %s or %s",
                        name, text, first, second);
    return false;
}

static bool read_search(const HttpRequest *request, TimelineSearch *search, HttpReply *reply)
{
    int64_t attempt;
    bool unused;
    search->info = http_query(request, "event_info");
    search->reason = http_query(request, "reason");
    search->stage = http_query(request, "stage");
    if (!api_event_types(request, &search->normal, &search->abnormal, &search->hint, reply) ||
        !api_number(request, "attempt", 0, &attempt, reply) ||
        !api_number(request, "after", 0, &search->after, reply) ||
        !api_number(request, "before", 0, &search->before, reply) ||
        !api_number(request, "start_time", 0, &search->start_time, reply) ||
        !api_number(request, "end_time", 0, &search->end_time, reply) ||
        !api_number(request, "offset", 0, &search->offset, reply) ||
        !api_number(request, "limit", PAGE_ITEMS, &search->limit, reply) ||
        !read_choice(request, "order", "asc", "desc", &search->descending, reply) ||
        !read_choice(request, "sort_by", "occur_time", "seq", &unused, reply))
        return false;
    search->attempt = (int)MIN(attempt, G_MAXINT);
    search->limit = MIN(search->limit, PAGE_ITEMS);
    return true;
}

/* Puts what comes before the events before them, and ends the answer. Takes the text over. */
static HttpReply list_reply(const char *model_id, const TimelineHead *head,
                            const TimelineFound *found, GString *text)
{
    g_autofree char *before =
        g_strdup_printf("{\"model_id\":\"%s\",\"model_name\":\"%s\",\"total_count\":%" PRId64
                        ",\"count\":%" PRId64 ",\"last_seq\":%" PRId64 ",\"events\":[",
                        model_id, head->model_name, found->total, found->count, head->last_seq);
    g_string_prepend(text, before);
    g_string_append(text, "]}");
    gsize length = text->len;
    return http_text(MHD_HTTP_OK, "application/json; charset=utf-8", g_string_free(text, FALSE),
                     length);
}

/* The rows are joined as they are: building JSON anew for each request costs twenty times as much.
 */
static bool read_rows(const HttpRequest *request, const TimelineSearch *search, TimelineHead *head,
                      GString *rows, TimelineFound *found, HttpReply *reply)
{
    g_autoptr(GError) error = NULL;
    bool deleted;
    Service *service = api_service(request, reply);
    if (!service || !api_flag(request, "deleted", &deleted, reply))
        return false;
    g_autoptr(DbSnapshot) snapshot = db_snapshot(service->db, &error);
    bool is_there =
        snapshot &&
        timeline_head(service->db, request->arguments[0], search->model_id, head, &error) &&
        head->deleted == deleted;
    if (is_there && timeline_search(service->db, search, rows, found, &error))
        return true;
    *reply = error ? api_failed(error)
                   : http_error(MHD_HTTP_NOT_FOUND, "ModelArts.3001", "there is no%s model %s",
                                deleted ? " deleted" : "", search->model_id);
    return false;
}

HttpReply events_list(HttpRequest *request)
{
    HttpReply reply;
    TimelineFound found;
    TimelineSearch search = {.model_id = request->arguments[1]};
    g_auto(TimelineHead) head = {0};
    g_autoptr(GString) rows = g_string_sized_new(ANSWER_BYTES);
    if (!read_search(request, &search, &reply))
        return reply;
    for (bool go_on = true; go_on;) {
        if (!read_rows(request, &search, &head, rows, &found, &reply))
            return reply;
        go_on = found.count == 0 && !head.deleted;
        if (go_on && api_wait(request, search.model_id, head.last_seq, &go_on, &reply))
            return reply;
    }
    return list_reply(search.model_id, &head, &found, g_steal_pointer(&rows));
}

HttpReply events_catalog(HttpRequest *request)
{
    json_t *rows = json_array();
    for (int i = 0; i < EVENT_COUNT; i++)
        json_array_append_new(rows, catalog_row_json(catalog_row((EventReason)i)));
    return http_json(MHD_HTTP_OK,
                     json_pack("{s:i, s:o}", "count", (int)json_array_size(rows), "events", rows));
}
