/* The models of a project as they change, as server-sent events: one stream a browser tab.
 *
 * `id:` is EPOCH-NUMBER of a change (store/model_changes.h). A client that comes with one gets what
 * changed since; one that comes with none, or with that of a store that is no more, gets `reset`,
 * after which every model follows. `synced` says that it has all there is. */
#include <inttypes.h>
#include <string.h>

#include "server/api.h"
#include "server/frames.h"
#include "store/model_changes.h"

/* seen: the number of the change that was taken last. */
typedef struct {
    Frames frames;
    char *project, *epoch;
    int64_t known; /* the newest change when it began: what was deleted before was never sent */
    bool says_reset, said_synced;
    GPtrArray *next; /* ModelFrame: read, not yet sent; may be NULL */
    guint next_at;
} ProjectStream;

static void stream_free(Frames *frames)
{
    ProjectStream *stream = (ProjectStream *)frames;
    model_frames_leave(frames->server->model_frames, stream->project);
    g_clear_pointer(&stream->next, g_ptr_array_unref);
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
        Service *service = server_service(stream->frames.server, error);
        stream->next = service ? model_frames_after(stream->frames.server->model_frames, service,
                                                    stream->project, stream->epoch,
                                                    stream->frames.seen, stream->known, error)
                               : NULL;
        stream->next_at = 0;
    }
    if (!stream->next || stream->next->len == 0)
        return NULL;
    const ModelFrame *frame = stream->next->pdata[stream->next_at++];
    stream->frames.seen = frame->number;
    return g_bytes_ref(frame->bytes);
}

static GBytes *synced(ProjectStream *stream)
{
    stream->said_synced = true;
    stream->frames.seen = MAX(stream->frames.seen, stream->known);
    g_autofree char *text = g_strdup_printf("id: %s-%" PRId64 "\nevent: synced\ndata: {}\n\n",
                                            stream->epoch, stream->frames.seen);
    return text_frame(text);
}

static GBytes *stream_next(Frames *frames, GError **error)
{
    GError *failure = NULL;
    ProjectStream *stream = (ProjectStream *)frames;
    if (stream->says_reset) {
        stream->says_reset = false;
        return text_frame("event: reset\ndata: {}\n\n");
    }
    GBytes *frame = change_next(stream, &failure);
    if (failure)
        g_propagate_error(error, failure);
    if (frame || failure)
        return frame;
    return stream->said_synced ? NULL : synced(stream);
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
    if (!now && !place_read(since, &epoch, &stream->frames.seen)) {
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
        stream->frames.seen = stream->known;
    } else if (g_strcmp0(epoch, stream->epoch) != 0 || stream->frames.seen > stream->known) {
        stream->frames.seen = 0;
        stream->says_reset = true;
    }
    if (!stream->says_reset)
        stream->known = stream->frames.seen; /* the client may have what was deleted since */
    return true;
}

HttpReply project_stream(HttpRequest *request)
{
    HttpReply reply;
    Service *service = api_service(request, &reply);
    ProjectStream begun = {
        .frames = {.server = request->server, .next = stream_next, .free = stream_free}};
    if (!service || !stream_begin(&begun, request, service, &reply)) {
        g_free(begun.epoch);
        return reply;
    }
    ProjectStream *stream = g_new(ProjectStream, 1);
    *stream = begun;
    stream->project = g_strdup(request->arguments[0]);
    model_frames_join(request->server->model_frames, stream->project);
    hub_follow_project(request->server->hub, &stream->frames.follower, request->connection,
                       stream->project);
    return frames_reply(request, &stream->frames);
}
