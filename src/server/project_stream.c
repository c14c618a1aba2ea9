/* The models of a project as they change, as server-sent events: one stream a browser tab.
 *
 * `id:` is EPOCH-NUMBER of a change (store/model_changes.h). A client that comes with one gets what
 * changed since; one that comes with none, or with that of a store that is no more, gets `reset`,
 * after which every model follows. `synced` says that it has all there is. */
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "server/api.h"
#include "store/model_changes.h"

#define BEAT_MS 15000

typedef struct {
    Server *server;
    HubFollower follower;
    char *project, *epoch;
    int64_t seen;  /* every change up to it was taken for sending */
    int64_t known; /* the newest change when it began: what was deleted before was never sent */
    bool says_reset, said_synced, said_end;
    GPtrArray *next; /* ModelFrame: read, not yet sent; may be NULL */
    guint next_at;
    GBytes *frame; /* what is being sent */
    gsize at;      /* how much of it */
    int64_t beat;  /* monotonic ms: when a comment is due */
} ProjectStream;

static void stream_free(void *data)
{
    ProjectStream *stream = data;
    hub_leave(stream->server->hub, &stream->follower);
    model_frames_leave(stream->server->model_frames, stream->project);
    g_clear_pointer(&stream->next, g_ptr_array_unref);
    g_clear_pointer(&stream->frame, g_bytes_unref);
    g_free(stream->project);
    g_free(stream->epoch);
    g_free(stream);
}

static GBytes *text_frame(const char *text)
{
    return g_bytes_new(text, strlen(text));
}

/* The next change. NULL with *error unset: there is none yet. */
static GBytes *change_next(ProjectStream *stream, GError **error)
{
    if (stream->next && stream->next_at == stream->next->len)
        g_clear_pointer(&stream->next, g_ptr_array_unref);
    if (!stream->next) {
        Service *service = server_service(stream->server, error);
        stream->next =
            service ? model_frames_after(stream->server->model_frames, service, stream->project,
                                         stream->epoch, stream->seen, stream->known, error)
                    : NULL;
        stream->next_at = 0;
    }
    if (!stream->next || stream->next->len == 0)
        return NULL;
    const ModelFrame *frame = stream->next->pdata[stream->next_at++];
    stream->seen = frame->number;
    return g_bytes_ref(frame->bytes);
}

static GBytes *synced(ProjectStream *stream)
{
    stream->said_synced = true;
    stream->seen = MAX(stream->seen, stream->known);
    g_autofree char *text = g_strdup_printf("id: %s-%" PRId64 "\nevent: synced\ndata: {}\n\n",
                                            stream->epoch, stream->seen);
    return text_frame(text);
}

/* What is sent next. NULL: the stream waits now, or (*error) cannot go on. */
static GBytes *stream_next(ProjectStream *stream, GError **error)
{
    GError *failure = NULL;
    if (stream->says_reset) {
        stream->says_reset = false;
        return text_frame("event: reset\ndata: {}\n\n");
    }
    GBytes *frame = change_next(stream, &failure);
    if (failure)
        g_propagate_error(error, failure);
    if (frame || failure)
        return frame;
    if (!stream->said_synced)
        return synced(stream);
    if (hub_is_closed(stream->server->hub)) {
        stream->said_end = true;
        return text_frame(": the server stops\n\n");
    }
    if (clock_monotonic_ms() < stream->beat)
        return NULL;
    stream->beat = clock_monotonic_ms() + BEAT_MS;
    return text_frame(":\n\n");
}

static ssize_t stream_read(void *data, uint64_t position, char *buffer, size_t size)
{
    ProjectStream *stream = data;
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

/* "EPOCH-NUMBER", "now", or nothing. Sets epoch and number of it; false: it is none of them. */
static bool place_read(const char *text, char **epoch, int64_t *number)
{
    const char *dash = text ? strchr(text, '-') : NULL;
    guint64 value;
    if (!text)
        return true;
    if (!dash || dash == text ||
        !g_ascii_string_to_unsigned(dash + 1, 10, 0, G_MAXINT64, &value, NULL))
        return false;
    *epoch = g_strndup(text, (gsize)(dash - text));
    *number = (int64_t)value;
    return true;
}

/* Where the stream begins. */
static bool stream_begin(ProjectStream *stream, const HttpRequest *request, Service *service,
                         HttpReply *reply)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *epoch = NULL;
    const char *last = http_header(request, "Last-Event-ID");
    const char *since = last ? last : http_query(request, "since");
    const bool now = !last && g_strcmp0(since, "now") == 0;
    if (!now && !place_read(since, &epoch, &stream->seen)) {
        *reply = http_error(MHD_HTTP_BAD_REQUEST, API_PARAMETER,
                            "%s is \"%s\"; expected an id of this stream%s",
                            last ? "Last-Event-ID" : "since", since, last ? "" : ", or now");
        return false;
    }
    stream->epoch = model_changes_epoch(service->db, &error);
    if (!stream->epoch || !model_changes_last(service->db, &stream->known, &error)) {
        *reply = api_failed(error);
        return false;
    }
    if (now) {
        stream->seen = stream->known;
    } else if (g_strcmp0(epoch, stream->epoch) != 0 || stream->seen > stream->known) {
        stream->seen = 0;
        stream->says_reset = true;
    }
    if (!stream->says_reset)
        stream->known = stream->seen; /* the client may have what was deleted since */
    return true;
}

HttpReply project_stream(HttpRequest *request)
{
    HttpReply reply;
    Service *service = api_service(request, &reply);
    ProjectStream begun = {.server = request->server};
    if (!service || !stream_begin(&begun, request, service, &reply)) {
        g_free(begun.epoch);
        return reply;
    }
    ProjectStream *stream = g_new(ProjectStream, 1);
    *stream = begun;
    stream->project = g_strdup(request->arguments[0]);
    stream->beat = clock_monotonic_ms() + BEAT_MS;
    model_frames_join(stream->server->model_frames, stream->project);
    hub_follow_project(stream->server->hub, &stream->follower, request->connection,
                       stream->project);
    return stream_reply(request, stream_read, stream, stream_free);
}
