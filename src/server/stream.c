/* A model's timeline as server-sent events: from the start or from Last-Event-ID, then live. */
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "event/timeline.h"
#include "server/api.h"

#define BEAT_MS      15000
#define UNSENT_BYTES (64 << 10)
#define BLOCK_BYTES  256 /* with chunks, libmicrohttpd uses the connection's own memory instead */

typedef struct {
    Server *server;
    const HttpRequest *request; /* who reads; there as long as the stream is read */
    HubFollower follower;
    char *model_id;
    int64_t seen;  /* every event up to it was taken for sending */
    GBytes *frame; /* what is being sent */
    gsize at;      /* how much of it */
    int64_t beat;  /* monotonic ms: when a comment is due */
    int64_t look;  /* and when it is asked whether the reader still may */
    bool said_end;
} Stream;

static void stream_free(void *data)
{
    Stream *stream = data;
    hub_leave(stream->server->hub, &stream->follower);
    if (stream->frame)
        g_bytes_unref(stream->frame);
    g_free(stream->model_id);
    g_free(stream);
}

/* The event after the last one, from the store. NULL with *error unset: there is none yet. */
static GBytes *frame_of_store(Stream *stream, GError **error)
{
    Service *service = server_service(stream->server, error);
    if (!service)
        return NULL;
    g_autoptr(DbRows) rows =
        db_query(service->db, error,
                 "SELECT event_type, event FROM events WHERE model_id = $1 AND seq = $2", "si",
                 stream->model_id, stream->seen + 1);
    return rows && db_next(rows, error)
               ? hub_frame_new(stream->seen + 1, db_text(rows, 0), db_text(rows, 1))
               : NULL;
}

static GBytes *comment(const char *text)
{
    return g_bytes_new_static(text, strlen(text));
}

/* The last comment before the end. NULL: the stream goes on. */
static GBytes *stream_end(Stream *stream)
{
    int64_t now = clock_monotonic_ms();
    if (now >= stream->look) {
        stream->look = now + BEAT_MS;
        if (!access_still_admits(stream->request)) {
            stream->said_end = true;
            return comment(": the token is worth nothing any more\n\n");
        }
    }
    return NULL;
}

/* What is sent next. NULL: the stream waits now, or (*error) cannot go on. */
static GBytes *stream_next(Stream *stream, GError **error)
{
    GError *failure = NULL;
    Hub *hub = stream->server->hub;
    GBytes *frame = stream_end(stream);
    if (frame)
        return frame;
    frame = hub_frame(hub, &stream->follower, stream->seen + 1);
    if (!frame && !hub_is_current(hub, &stream->follower, stream->seen))
        frame = frame_of_store(stream, &failure);
    if (failure) {
        g_propagate_error(error, failure);
        return NULL;
    }
    if (frame) {
        stream->seen++;
        return frame;
    }
    frame = hub_progress(hub, &stream->follower, stream->seen);
    if (frame)
        return frame;
    if (hub_is_closed(hub)) {
        stream->said_end = true;
        return comment(": the server stops\n\n");
    }
    if (clock_monotonic_ms() >= stream->beat) {
        stream->beat = clock_monotonic_ms() + BEAT_MS;
        return comment(":\n\n");
    }
    return NULL;
}

static ssize_t stream_read(void *data, uint64_t position, char *buffer, size_t size)
{
    Stream *stream = data;
    g_autoptr(GError) error = NULL;
    if (!stream->frame && stream->said_end)
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (!stream->frame) {
        stream->frame = stream_next(stream, &error);
        stream->at = 0;
    }
    if (error) {
        g_warning("a stream is cut: %s", error->message); /* its client reconnects */
        return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    if (!stream->frame) {
        hub_wait(stream->server->hub, &stream->follower, stream->seen, stream->beat);
        return 0;
    }
    gsize length;
    const char *bytes = g_bytes_get_data(stream->frame, &length);
    gsize take = MIN(size, length - stream->at);
    memcpy(buffer, bytes + stream->at, take);
    stream->at += take;
    if (stream->at == length)
        g_clear_pointer(&stream->frame, g_bytes_unref);
    return (ssize_t)take;
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

/* What a client does not take stays in the kernel: megabytes of it, where nothing limits them. */
static void limit_unsent(const HttpRequest *request)
{
    int bytes = UNSENT_BYTES;
    int fd =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
}

HttpReply stream_reply(HttpRequest *request, MHD_ContentReaderCallback read, void *stream,
                       MHD_ContentReaderFreeCallback free_stream)
{
    HttpReply reply = {MHD_HTTP_OK, MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES,
                                                                      read, stream, free_stream)};
    request->is_stream = true;
    limit_unsent(request);
    http_set_header(&reply, MHD_HTTP_HEADER_CONTENT_TYPE, "text/event-stream; charset=utf-8");
    http_set_header(&reply, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    http_set_header(&reply, "X-Accel-Buffering", "no");
    return reply;
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
    stream->server = request->server;
    stream->model_id = g_strdup(model->id);
    stream->seen = MIN(after, model->last_seq);
    stream->request = request;
    stream->beat = stream->look = clock_monotonic_ms() + BEAT_MS;
    hub_follow(stream->server->hub, &stream->follower, request->connection, model->id);
    stream->follower.wants_progress = true;
    return stream_reply(request, stream_read, stream, stream_free);
}
