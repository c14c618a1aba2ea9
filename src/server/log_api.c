/* A model's build log as text: whole or behind a line, a range of its bytes, or followed to the
 * import's end. */
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "server/api.h"
#include "server/byte_range.h"

#define LOOK_MS     500 /* how often a followed log is looked at: its lines come without events */
#define RIGHTS_MS   15000
#define BLOCK_BYTES 4096

/* "2026-11-22T19:44:54.751Z  TEXT" a line, those after *line. */
static bool append_lines(Db *db, const char *model_id, int attempt, int64_t *line, GString *text,
                         GError **error)
{
    g_autoptr(DbRows) rows = db_query(db, error,
                                      "SELECT line, time, text FROM build_log WHERE model_id = $1 "
                                      "AND attempt = $2 AND line > $3 ORDER BY line",
                                      "sii", model_id, (int64_t)attempt, *line);
    GError *failure = NULL;
    while (rows && db_next(rows, &failure)) {
        int64_t ms = db_int(rows, 1);
        g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(ms / 1000);
        g_autofree char *when = g_date_time_format(time, "%Y-%m-%dT%H:%M:%S");
        g_string_append_printf(text, "%s.%03dZ  %s\n", when, (int)(ms % 1000), db_text(rows, 2));
        *line = db_int(rows, 0);
    }
    if (failure)
        g_propagate_error(error, failure);
    return rows && !failure;
}

/* -- a range -- */

static HttpReply range_reply(const HttpRequest *request, GString *text)
{
    ByteRange range;
    const gsize size = text->len;
    ByteRangeKind kind =
        byte_range_read(http_header(request, MHD_HTTP_HEADER_RANGE), (int64_t)size, &range);
    if (kind == BYTE_RANGE_OUTSIDE) {
        HttpReply reply = http_error(MHD_HTTP_RANGE_NOT_SATISFIABLE, API_PARAMETER,
                                     "the log has %" G_GSIZE_FORMAT " bytes", size);
        byte_range_set(&reply, kind, &range, (int64_t)size);
        g_string_free(text, TRUE);
        return reply;
    }
    if (kind == BYTE_RANGE_PART)
        g_string_erase(g_string_truncate(text, (gsize)(range.from + range.length)), 0,
                       (gssize)range.from);
    HttpReply reply =
        http_text(kind == BYTE_RANGE_PART ? MHD_HTTP_PARTIAL_CONTENT : MHD_HTTP_OK,
                  "text/plain; charset=utf-8", g_string_free(text, FALSE), (gsize)range.length);
    byte_range_set(&reply, kind, &range, (int64_t)size);
    return reply;
}

/* -- following -- */

typedef struct {
    Server *server;
    const HttpRequest *request; /* who reads; there as long as the log is read */
    int64_t look;               /* monotonic ms: when it is asked whether they still may */
    HubFollower follower;
    char *model_id;
    int attempt;
    int64_t line; /* every line up to it was taken for sending */
    GString *text;
    gsize at;
} Tail;

static void tail_free(void *data)
{
    Tail *tail = data;
    hub_leave(tail->server->hub, &tail->follower);
    g_string_free(tail->text, TRUE);
    g_free(tail->model_id);
    g_free(tail);
}

/* Reads what is new. *ended: there will be no more; looked at first, so that nothing falls between.
 */
static bool tail_fill(Tail *tail, bool *ended)
{
    g_autoptr(GError) error = NULL;
    Service *service = server_service(tail->server, &error);
    g_autoptr(Attempt) attempt =
        service ? attempt_load(service->db, tail->model_id, tail->attempt, &error) : NULL;
    g_string_truncate(tail->text, 0);
    tail->at = 0;
    /* Without a row it was deleted long ago. */
    *ended = !attempt || strcmp(attempt->outcome, "running") != 0;
    if (attempt)
        append_lines(service->db, tail->model_id, tail->attempt, &tail->line, tail->text, &error);
    if (error)
        g_warning("a log that is followed is cut: %s", error->message);
    return !error;
}

static bool tail_may_go_on(Tail *tail)
{
    int64_t now = clock_monotonic_ms();
    if (now < tail->look)
        return true;
    tail->look = now + RIGHTS_MS;
    return access_still_admits(tail->request);
}

static ssize_t tail_read(void *data, uint64_t position, char *buffer, size_t size)
{
    Tail *tail = data;
    bool ended = false;
    Hub *hub = tail->server->hub;
    if (tail->at == tail->text->len && (!tail_may_go_on(tail) || !tail_fill(tail, &ended)))
        return MHD_CONTENT_READER_END_WITH_ERROR;
    if (tail->at == tail->text->len && (ended || hub_is_closed(hub)))
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (tail->at == tail->text->len) {
        hub_sleep(hub, &tail->follower, clock_monotonic_ms() + LOOK_MS);
        return 0;
    }
    gsize take = MIN(size, tail->text->len - tail->at);
    memcpy(buffer, tail->text->str + tail->at, take);
    tail->at += take;
    return (ssize_t)take;
}

static HttpReply tail_reply(HttpRequest *request, const Model *model, int attempt, int64_t line)
{
    Tail *tail = g_new0(Tail, 1);
    tail->server = request->server;
    tail->request = request;
    tail->look = clock_monotonic_ms() + RIGHTS_MS;
    tail->model_id = g_strdup(model->id);
    tail->attempt = attempt;
    tail->line = line;
    tail->text = g_string_new(NULL);
    request->is_stream = true;
    hub_follow(tail->server->hub, &tail->follower, request->connection, model->id);
    HttpReply reply = {MHD_HTTP_OK, MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES,
                                                                      tail_read, tail, tail_free)};
    http_set_header(&reply, MHD_HTTP_HEADER_CONTENT_TYPE, "text/plain; charset=utf-8");
    http_set_header(&reply, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    return reply;
}

HttpReply log_get(HttpRequest *request)
{
    HttpReply reply;
    int64_t attempt, line;
    g_autoptr(GError) error = NULL;
    Service *service = api_service(request, &reply);
    g_autoptr(Model) model = service ? api_model(request, service, &reply) : NULL;
    if (!model || !api_number(request, "attempt", model->attempt, &attempt, &reply) ||
        !api_number(request, "after", 0, &line, &reply))
        return reply;
    if (attempt < 1 || attempt > model->attempt)
        return http_error(MHD_HTTP_NOT_FOUND, API_PARAMETER, "%s:%s has attempts 1 to %d",
                          model->name, model->version, model->attempt);
    if (g_strcmp0(http_query(request, "follow"), "1") == 0)
        return tail_reply(request, model, (int)attempt, line);
    GString *text = g_string_new(NULL);
    if (append_lines(service->db, model->id, (int)attempt, &line, text, &error))
        return range_reply(request, text);
    g_string_free(text, TRUE);
    return api_failed(error);
}
