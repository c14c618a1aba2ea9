#include "server/frames.h"

#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "server/api.h"

#define BEAT_MS      15000
#define UNSENT_BYTES (64 << 10)
#define BLOCK_BYTES  256 /* with chunks, libmicrohttpd uses the connection's own memory instead */

static void frames_free(void *data)
{
    Frames *stream = data;
    hub_leave(stream->server->hub, &stream->follower);
    if (stream->sent)
        g_bytes_unref(stream->sent);
    stream->free(stream);
}

static GBytes *last_comment(Frames *stream, const char *text)
{
    stream->said_end = true;
    return g_bytes_new_static(text, strlen(text));
}

/* Whether the reader still may, asked now and then. */
static bool may_read(Frames *stream)
{
    const int64_t now = clock_monotonic_ms();
    if (now < stream->look)
        return true;
    stream->look = now + BEAT_MS;
    return access_still_admits(stream->request);
}

/* NULL: the stream waits now, or (*error) cannot go on. */
static GBytes *frames_next(Frames *stream, GError **error)
{
    GError *failure = NULL;
    if (!may_read(stream))
        return last_comment(stream, ": the token is worth nothing any more\n\n");
    GBytes *frame = stream->next(stream, &failure);
    if (failure)
        g_propagate_error(error, failure);
    if (frame || failure)
        return frame;
    if (hub_is_closed(stream->server->hub))
        return last_comment(stream, ": the server stops\n\n");
    if (clock_monotonic_ms() < stream->beat)
        return NULL;
    stream->beat = clock_monotonic_ms() + BEAT_MS;
    return g_bytes_new_static(":\n\n", 3);
}

static ssize_t frames_read(void *data, uint64_t position, char *buffer, size_t size)
{
    Frames *stream = data;
    g_autoptr(GError) error = NULL;
    if (!stream->sent && stream->said_end)
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (!stream->sent) {
        stream->sent = frames_next(stream, &error);
        stream->at = 0;
    }
    if (error) {
        g_warning("a stream is cut: %s", error->message); /* its client reconnects */
        return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    if (!stream->sent) {
        hub_wait(stream->server->hub, &stream->follower, stream->seen, stream->beat);
        return 0;
    }
    gsize length;
    const char *bytes = g_bytes_get_data(stream->sent, &length);
    gsize take = MIN(size, length - stream->at);
    memcpy(buffer, bytes + stream->at, take);
    stream->at += take;
    if (stream->at == length)
        g_clear_pointer(&stream->sent, g_bytes_unref);
    return (ssize_t)take;
}

/* What a client does not take stays in the kernel: megabytes of it, where nothing limits them. */
static void limit_unsent(const HttpRequest *request)
{
    int bytes = UNSENT_BYTES;
    int fd =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
}

HttpReply frames_reply(HttpRequest *request, Frames *stream)
{
    HttpReply reply = {MHD_HTTP_OK,
                       MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES, frames_read,
                                                         stream, frames_free)};
    stream->request = request;
    stream->beat = stream->look = clock_monotonic_ms() + BEAT_MS;
    request->is_stream = true;
    limit_unsent(request);
    http_set_header(&reply, MHD_HTTP_HEADER_CONTENT_TYPE, "text/event-stream; charset=utf-8");
    http_set_header(&reply, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    http_set_header(&reply, "X-Accel-Buffering", "no");
    return reply;
}
