/* Who may touch what:
 *
 *   chunks[hashed … filled-1]   the hash thread: full, being hashed or waiting for it
 *   chunks[filled]              the caller's thread, which fills it
 *
 * (indices modulo CHUNK_COUNT). The caller hands a chunk over by `filled`++ and gets it back when
 * `hashed` has passed it, both under the lock. It writes the chunk to the disk after handing it
 * over: both threads then only read it, and the caller has written it before it asks for it again.
 *
 * pthread's locks, not GLib's: TSan can see those. */
#include "image/blob_pipe.h"

#include <pthread.h>
#include <string.h>

#include "base/digest.h"
#include "base/io.h"

#define CHUNK_SIZE  ((size_t)1 << 20)
#define CHUNK_COUNT 8

/* The part of a file that lies in one chunk. */
typedef struct {
    size_t start, size;
    bool ends; /* it is the file's last */
} Span;

typedef struct {
    unsigned char *data;
    size_t used;
    GArray *spans; /* of Span */
} Chunk;

struct BlobPipe {
    BlobSink *sink;
    int64_t size;
    char *digest; /* once finished */
    bool in_file;
    size_t file_start; /* in the chunk that is being filled */
    Chunk chunks[CHUNK_COUNT];

    pthread_t thread;
    bool running;
    pthread_mutex_t lock; /* of these four */
    pthread_cond_t changed;
    unsigned filled, hashed;
    bool closed, dropped;

    /* The hash thread's until it has been joined. */
    Digest *blob_digest, *file_digest;
    GPtrArray *file_digests;
};

static Chunk *current_chunk(BlobPipe *pipe)
{
    return &pipe->chunks[pipe->filled % CHUNK_COUNT];
}

static void hash_chunk(BlobPipe *pipe, const Chunk *chunk)
{
    digest_update(pipe->blob_digest, chunk->data, chunk->used);
    for (guint i = 0; i < chunk->spans->len; i++) {
        const Span *span = &g_array_index(chunk->spans, Span, i);
        if (!pipe->file_digest)
            pipe->file_digest = digest_new();
        digest_update(pipe->file_digest, chunk->data + span->start, span->size);
        if (!span->ends)
            continue;
        g_ptr_array_add(pipe->file_digests, digest_finish(pipe->file_digest));
        g_clear_pointer(&pipe->file_digest, digest_free);
    }
}

/* NULL: there is none and there will be none. */
static const Chunk *wait_for_filled(BlobPipe *pipe)
{
    pthread_mutex_lock(&pipe->lock);
    while (pipe->hashed == pipe->filled && !pipe->closed)
        pthread_cond_wait(&pipe->changed, &pipe->lock);
    bool any = pipe->hashed != pipe->filled && !pipe->dropped;
    const Chunk *chunk = &pipe->chunks[pipe->hashed % CHUNK_COUNT];
    pthread_mutex_unlock(&pipe->lock);
    return any ? chunk : NULL;
}

static void *hash_thread(void *data)
{
    BlobPipe *pipe = data;
    const Chunk *chunk;
    while ((chunk = wait_for_filled(pipe))) {
        hash_chunk(pipe, chunk);
        pthread_mutex_lock(&pipe->lock);
        pipe->hashed++;
        pthread_cond_signal(&pipe->changed);
        pthread_mutex_unlock(&pipe->lock);
    }
    return NULL;
}

static void end_thread(BlobPipe *pipe, bool drop)
{
    if (!pipe->running)
        return;
    pthread_mutex_lock(&pipe->lock);
    pipe->closed = true;
    pipe->dropped = drop;
    pthread_cond_signal(&pipe->changed);
    pthread_mutex_unlock(&pipe->lock);
    pthread_join(pipe->thread, NULL);
    pipe->running = false;
}

BlobPipe *blob_pipe_new(BlobSink *sink, GError **error)
{
    g_autoptr(BlobPipe) pipe = g_new0(BlobPipe, 1);
    pipe->sink = sink;
    pthread_mutex_init(&pipe->lock, NULL);
    pthread_cond_init(&pipe->changed, NULL);
    pipe->blob_digest = digest_new();
    pipe->file_digests = g_ptr_array_new_with_free_func(g_free);
    for (int i = 0; i < CHUNK_COUNT; i++) {
        pipe->chunks[i].data = g_malloc(CHUNK_SIZE);
        pipe->chunks[i].spans = g_array_new(FALSE, FALSE, sizeof(Span));
    }
    int code = pthread_create(&pipe->thread, NULL, hash_thread, pipe);
    if (code != 0) {
        io_fail(error, code, "starting the hash thread");
        return NULL;
    }
    pipe->running = true;
    return g_steal_pointer(&pipe);
}

void blob_pipe_free(BlobPipe *pipe)
{
    if (!pipe)
        return;
    end_thread(pipe, true);
    for (int i = 0; i < CHUNK_COUNT; i++) {
        g_free(pipe->chunks[i].data);
        g_array_unref(pipe->chunks[i].spans);
    }
    g_clear_pointer(&pipe->file_digests, g_ptr_array_unref);
    digest_free(pipe->blob_digest);
    digest_free(pipe->file_digest);
    pthread_cond_destroy(&pipe->changed);
    pthread_mutex_destroy(&pipe->lock);
    g_free(pipe->digest);
    g_free(pipe);
}

static void add_span(BlobPipe *pipe, bool ends)
{
    Chunk *chunk = current_chunk(pipe);
    Span span = {pipe->file_start, chunk->used - pipe->file_start, ends};
    g_array_append_val(chunk->spans, span);
}

/* Hands the current chunk over, writes it, and waits until the next one is free. */
static bool flush_chunk(BlobPipe *pipe, GError **error)
{
    Chunk *full = current_chunk(pipe);
    if (pipe->in_file)
        add_span(pipe, false);
    pthread_mutex_lock(&pipe->lock);
    pipe->filled++;
    pthread_cond_signal(&pipe->changed);
    pthread_mutex_unlock(&pipe->lock);

    bool written = pipe->sink->write(pipe->sink, full->data, full->used, error);

    pthread_mutex_lock(&pipe->lock);
    while (pipe->filled - pipe->hashed == CHUNK_COUNT)
        pthread_cond_wait(&pipe->changed, &pipe->lock);
    pthread_mutex_unlock(&pipe->lock);
    Chunk *next = current_chunk(pipe);
    next->used = 0;
    g_array_set_size(next->spans, 0);
    pipe->file_start = 0;
    return written;
}

void *blob_pipe_room(BlobPipe *pipe, size_t *size)
{
    Chunk *chunk = current_chunk(pipe);
    *size = CHUNK_SIZE - chunk->used;
    return chunk->data + chunk->used;
}

bool blob_pipe_advance(BlobPipe *pipe, size_t size, GError **error)
{
    Chunk *chunk = current_chunk(pipe);
    chunk->used += size;
    pipe->size += (int64_t)size;
    return chunk->used < CHUNK_SIZE || flush_chunk(pipe, error);
}

bool blob_pipe_append(BlobPipe *pipe, const void *data, size_t size, GError **error)
{
    const char *at = data;
    while (size > 0) {
        size_t room;
        void *to = blob_pipe_room(pipe, &room);
        size_t part = MIN(room, size);
        memcpy(to, at, part);
        if (!blob_pipe_advance(pipe, part, error))
            return false;
        at += part;
        size -= part;
    }
    return true;
}

int64_t blob_pipe_size(const BlobPipe *pipe)
{
    return pipe->size;
}

void blob_pipe_begin_file(BlobPipe *pipe)
{
    pipe->in_file = true;
    pipe->file_start = current_chunk(pipe)->used;
}

void blob_pipe_end_file(BlobPipe *pipe)
{
    add_span(pipe, true);
    pipe->in_file = false;
}

char *blob_pipe_finish(BlobPipe *pipe, GError **error)
{
    if (!flush_chunk(pipe, error))
        return NULL;
    end_thread(pipe, false);
    pipe->digest = digest_finish(pipe->blob_digest);
    return g_strdup(pipe->digest);
}

GPtrArray *blob_pipe_take_file_digests(BlobPipe *pipe)
{
    return g_steal_pointer(&pipe->file_digests);
}

bool blob_pipe_commit(BlobPipe *pipe, bool *existed, GError **error)
{
    return pipe->sink->commit(pipe->sink, pipe->digest, existed, error);
}
