#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "event/timeline_search.h"
#include "server/api.h"

#define PAGE_ITEMS 1000

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

static HttpReply list_reply(const Model *model, const TimelineFound *found, const GString *rows)
{
    GString *text = g_string_sized_new(rows->len + 256);
    g_string_append_printf(text,
                           "{\"model_id\":\"%s\",\"model_name\":\"%s\",\"total_count\":%" PRId64
                           ",\"count\":%" PRId64 ",\"last_seq\":%" PRId64 ",\"events\":[",
                           model->id, model->name, found->total, found->count, model->last_seq);
    g_string_append_len(text, rows->str, (gssize)rows->len);
    g_string_append(text, "]}");
    gsize length = text->len;
    return http_text(MHD_HTTP_OK, "application/json; charset=utf-8", g_string_free(text, FALSE),
                     length);
}

/* The rows are joined as they are: building JSON anew for each request costs twenty times as much.
 */
HttpReply events_list(HttpRequest *request)
{
    HttpReply reply;
    g_autoptr(GError) error = NULL;
    TimelineFound found = {0};
    TimelineSearch search = {0};
    g_autoptr(Model) model = NULL;
    bool deleted;
    g_autoptr(GString) rows = g_string_sized_new(16 << 10);
    Service *service = api_service(request, &reply);
    if (!service || !api_flag(request, "deleted", &deleted, &reply))
        return reply;
    for (bool go_on = true; go_on;) {
        g_clear_pointer(&model, model_free);
        model = deleted ? api_model_deleted(request, service, &reply)
                        : api_model(request, service, &reply);
        if (!model || !read_search(request, &search, &reply))
            return reply;
        search.model_id = model->id;
        if (!timeline_search(service->db, &search, rows, &found, &error))
            return api_failed(error);
        go_on = found.count == 0 && !deleted;
        if (go_on && api_wait(request, model->id, model->last_seq, &go_on, &reply))
            return reply;
    }
    return list_reply(model, &found, rows);
}

HttpReply events_catalog(HttpRequest *request)
{
    json_t *rows = json_array();
    for (int i = 0; i < EVENT_COUNT; i++)
        json_array_append_new(rows, catalog_row_json(catalog_row((EventReason)i)));
    return http_json(MHD_HTTP_OK,
                     json_pack("{s:i, s:o}", "count", (int)json_array_size(rows), "events", rows));
}
