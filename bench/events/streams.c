/* bench-streams DATA ADDRESS MODEL STREAMS EVENTS: so many streams on one model, from one process.
 *
 * Says "open" when each has sent what the timeline held; goes on when a line comes in. Then it
 * appends events to the store as another process beside the server does, one after the other, and
 * prints for each the milliseconds from its commit until half of the streams and until the last
 * one have it whole. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "client.h"
#include "event/timeline.h"
#include "sample.h"
#include "store/data.h"
#include "store/models.h"

#define PAUSE_US   20000
#define HEAD_BYTES 2048
#define WAIT_MS    20000

typedef enum { HEAD, CHUNK_SIZE, CHUNK, CHUNK_END } Part;

typedef struct {
    int fd;
    Part part;
    size_t chunk; /* size of the chunk, then what is left of it */
    char last;    /* byte of the head, or of the events */
    int in_row;   /* ends of lines in a row */
    int at_field; /* how much of "id: " this line began with; -1: it is another */
    int64_t id;   /* of the frame that is coming in */
    int64_t seen; /* of the last whole one */
    int head_at;
    char head[HEAD_BYTES + 1];
} Stream;

typedef struct {
    Stream *streams;
    int count, epoll;
    int64_t wanted;     /* seq */
    int have;           /* streams that have seen it */
    int64_t half, last; /* ns: when half and all of them had */
} Streams;

static void fail(const char *what, const char *text)
{
    fprintf(stderr, "bench-streams: %s\n%s\n", what, text);
    exit(1);
}

static void stream_frame(Streams *all, Stream *stream)
{
    if (!stream->id)
        return; /* a comment */
    if (stream->id != stream->seen + 1)
        fail("an event was lost or doubled", "");
    stream->seen = stream->id;
    stream->id = 0;
    if (stream->seen != all->wanted)
        return;
    all->have++;
    if (all->have == (all->count + 1) / 2)
        all->half = client_now_ns();
    if (all->have == all->count)
        all->last = client_now_ns();
}

static void stream_byte(Streams *all, Stream *stream, char byte)
{
    static const char FIELD[] = "id: ";
    if (byte == '\n') {
        stream->at_field = 0;
        if (++stream->in_row == 2)
            stream_frame(all, stream);
        return;
    }
    stream->in_row = 0;
    if (stream->at_field == 4 && byte >= '0' && byte <= '9')
        stream->id = 10 * stream->id + (byte - '0');
    else if (stream->at_field >= 0 && stream->at_field < 4)
        stream->at_field = byte == FIELD[stream->at_field] ? stream->at_field + 1 : -1;
}

static void stream_head(Stream *stream, char byte)
{
    if (stream->head_at == HEAD_BYTES)
        fail("a head without an end", stream->head);
    stream->head[stream->head_at++] = byte;
    if (!g_str_has_suffix(stream->head, "\r\n\r\n"))
        return;
    if (!g_str_has_prefix(stream->head, "HTTP/1.1 200") || !strstr(stream->head, "chunked"))
        fail("not a stream", stream->head);
    stream->part = CHUNK_SIZE;
}

/* Without the bytes of the chunks' frames. */
static size_t stream_take_some(Streams *all, Stream *stream, const char *bytes, size_t length)
{
    if (stream->part == HEAD) {
        stream_head(stream, *bytes);
        return 1;
    }
    if (stream->part == CHUNK) {
        size_t take = MIN(length, stream->chunk);
        for (size_t i = 0; i < take; i++)
            stream_byte(all, stream, bytes[i]);
        stream->chunk -= take;
        if (!stream->chunk)
            stream->part = CHUNK_END;
        return take;
    }
    if (stream->part == CHUNK_SIZE && g_ascii_isxdigit(*bytes))
        stream->chunk = 16 * stream->chunk + (size_t)g_ascii_xdigit_value(*bytes);
    if (*bytes == '\n')
        stream->part = stream->part == CHUNK_SIZE ? CHUNK : CHUNK_SIZE;
    return 1;
}

static void streams_pump(Streams *all, int timeout_ms)
{
    static char block[64 << 10];
    struct epoll_event ready[256];
    int found = epoll_wait(all->epoll, ready, G_N_ELEMENTS(ready), timeout_ms);
    for (int i = 0; i < found; i++) {
        Stream *stream = ready[i].data.ptr;
        ssize_t length = recv(stream->fd, block, sizeof block, 0);
        if (length <= 0)
            client_die("a stream ended");
        for (size_t at = 0; at < (size_t)length;)
            at += stream_take_some(all, stream, block + at, (size_t)length - at);
    }
}

static void streams_wait(Streams *all)
{
    int64_t end = client_now_ns() + (int64_t)WAIT_MS * 1000000;
    while (all->have < all->count) {
        streams_pump(all, 100);
        if (client_now_ns() > end)
            fail("an event did not come to every stream in time", "");
    }
}

static void streams_open(Streams *all, const char *address, const char *model, int64_t last_seq)
{
    g_autofree char *path =
        g_strdup_printf("/v1/%s/models/%s/events/stream", PROJECT_DEFAULT, model);
    all->streams = g_new0(Stream, all->count);
    all->epoll = epoll_create1(EPOLL_CLOEXEC);
    all->wanted = last_seq;
    for (int i = 0; i < all->count; i++) {
        Stream *stream = &all->streams[i];
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = stream};
        stream->fd = client_connect(address);
        epoll_ctl(all->epoll, EPOLL_CTL_ADD, stream->fd, &event);
        client_send_get(stream->fd, address, path);
        streams_pump(all, 0);
    }
    streams_wait(all);
}

static int64_t append(Db *db, const char *model, const SampleEvent *sample, GError **error)
{
    int64_t seq = 0;
    bool done = db_begin(db, error) &&
                timeline_append(db, model, 1, sample->stage, sample->event, &seq, error) &&
                db_commit(db, error);
    return done ? seq : 0;
}

static bool streams_measure(Streams *all, Db *db, const char *model, int events, GError **error)
{
    const SampleEvent *samples = sample_timeline();
    for (int i = 0; i < events; i++) {
        /* Nothing is taken in before the clock begins: `wanted` is the next seq. */
        all->wanted++;
        all->have = 0;
        if (append(db, model, &samples[i % SAMPLE_EVENTS], error) != all->wanted)
            return false;
        int64_t began = client_now_ns();
        streams_wait(all);
        printf("%.3f %.3f\n", (double)(all->half - began) / 1e6, (double)(all->last - began) / 1e6);
        g_usleep(PAUSE_US + (gulong)g_random_int_range(0, PAUSE_US));
    }
    return true;
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fprintf(stderr, "usage: bench-streams DATA ADDRESS MODEL STREAMS EVENTS\n");
        return 2;
    }
    g_autoptr(GError) error = NULL;
    Streams all = {.count = atoi(argv[4])};
    client_lift_limit();
    DataDirectory *data = data_open(argv[1], false, 1000, &error);
    Db *db = data ? data_open_store(data, &error) : NULL;
    Model *model = db ? model_load(db, argv[3], &error) : NULL;
    if (model) {
        streams_open(&all, argv[2], model->id, model->last_seq);
        printf("open\n");
        fflush(stdout);
        while (getchar() != '\n' && !feof(stdin))
            ;
        streams_measure(&all, db, model->id, atoi(argv[5]), &error);
    }
    if (error || !model)
        fprintf(stderr, "bench-streams: %s\n", error ? error->message : "no such model");
    bool done = model && !error;
    model_free(model);
    db_free(db);
    data_free(data);
    g_free(all.streams);
    return done ? 0 : 1;
}
