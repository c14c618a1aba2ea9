#include <string.h>

#include "server/api.h"
#include "store/audit.h"

#define USUAL_ROWS 100
#define MOST_ROWS  1000

static void take_row(int64_t id, int64_t time, const AuditRow *row, const char *model,
                     gpointer data)
{
    json_array_append_new(data,
                          json_pack("{s:I, s:I, s:s, s:s?, s:s?, s:s, s:s?, s:s?, s:s, s:s?}", "id",
                                    (json_int_t)id, "time", (json_int_t)time, "actor", row->actor,
                                    "credential", row->credential, "project", row->project,
                                    "action", row->action, "object", row->object, "model", model,
                                    "outcome", row->outcome, "request_id", row->request_id));
}

/* The administrator of one project sees the rows of that one. */
HttpReply audit_get(HttpRequest *request)
{
    HttpReply reply;
    g_autoptr(GError) error = NULL;
    const char *own = request->caller->project;
    AuditSearch search = {.project = http_query(request, "project"),
                          .actor = http_query(request, "actor"),
                          .action = http_query(request, "action")};
    if (search.project && !caller_may_see(request->caller, search.project))
        return http_error(MHD_HTTP_FORBIDDEN, "ModelArts.0108", "%s may not see project %s",
                          request->caller->user, search.project);
    if (strcmp(own, CALLER_EVERY_PROJECT) != 0)
        search.project = own;
    Service *service = api_service(request, &reply);
    if (!service || !api_number(request, "before", 0, &search.before, &reply) ||
        !api_number(request, "limit", USUAL_ROWS, &search.limit, &reply))
        return reply;
    search.limit = CLAMP(search.limit, 1, MOST_ROWS);
    json_t *rows = json_array();
    if (!audit_search(service->db, &search, take_row, rows, &error)) {
        json_decref(rows);
        return api_failed(error);
    }
    size_t count = json_array_size(rows);
    const json_t *last = count ? json_array_get(rows, count - 1) : NULL;
    json_t *next =
        (int64_t)count == search.limit ? json_incref(json_object_get(last, "id")) : json_null();
    return http_json(MHD_HTTP_OK, json_pack("{s:I, s:o, s:o}", "count", (json_int_t)count, "next",
                                            next, "entries", rows));
}
