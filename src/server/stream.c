/* A model's timeline as server-sent events: from the start or from Last-Event-ID, then live. */
#include "event/timeline.h"
#include "server/api.h"
#include "server/frames.h"

/* seen: the seq of the event that was taken last. */
typedef struct {
    Frames frames;
    char *model_id;
} Stream;

static void stream_free(Frames *frames)
{
    Stream *stream = (Stream *)frames;
    g_free(stream->model_id);
    g_free(stream);
}

/* The event after the last one, from the store. NULL with *error unset: there is none yet. */
static GBytes *frame_of_store(Stream *stream, GError **error)
{
    const int64_t seq = stream->frames.seen + 1;
    Service *service = server_service(stream->frames.server, error);
    if (!service)
        return NULL;
    g_autoptr(DbRows) rows =
        db_query(service->db, error,
                 "SELECT event_type, event FROM events WHERE model_id = $1 AND seq = $2", "si",
                 stream->model_id, seq);
    return rows && db_next(rows, error) ? hub_frame_new(seq, db_text(rows, 0), db_text(rows, 1))
                                        : NULL;
}

/* The next event, else how far the import is. */
static GBytes *stream_next(Frames *frames, GError **error)
{
    GError *failure = NULL;
    Hub *hub = frames->server->hub;
    GBytes *frame = hub_frame(hub, &frames->follower, frames->seen + 1);
    if (!frame && !hub_is_current(hub, &frames->follower, frames->seen))
        frame = frame_of_store((Stream *)frames, &failure);
    if (failure) {
        g_propagate_error(error, failure);
        return NULL;
    }
    if (!frame)
        return hub_progress(hub, &frames->follower, frames->seen);
    frames->seen++;
    return frame;
}

/* Where the stream begins: a browser that reconnects says what it has seen in a header. */
static bool stream_begin(const HttpRequest *request, int64_t *after, HttpReply *reply)
{
    const char *last = http_header(request, "Last-Event-ID");
    guint64 number;
    if (!last)
        return api_number(request, "after", 0, after, reply);
    if (!g_ascii_string_to_unsigned(last, 10, 0, G_MAXINT64, &number, NULL)) {
        *reply = http_error(MHD_HTTP_BAD_REQUEST, API_PARAMETER,
                            "Last-Event-ID is not a number of an event");
        return false;
    }
    *after = (int64_t)number;
    return true;
}

HttpReply events_stream(HttpRequest *request)
{
    HttpReply reply;
    int64_t after;
    Service *service = api_service(request, &reply);
    g_autoptr(Model) model = service ? api_model(request, service, &reply) : NULL;
    if (!model || !stream_begin(request, &after, &reply))
        return reply;
    Stream *stream = g_new0(Stream, 1);
    stream->frames = (Frames){.server = request->server,
                              .seen = MIN(after, model->last_seq),
                              .next = stream_next,
                              .free = stream_free};
    stream->model_id = g_strdup(model->id);
    hub_follow(request->server->hub, &stream->frames.follower, request->connection, model->id);
    stream->frames.follower.wants_progress = true;
    return frames_reply(request, &stream->frames);
}
