#include "image/image_push.h"

#include <gio/gio.h>
#include <pthread.h>
#include <string.h>

#include "base/digest.h"
#include "base/io.h"
#include "image/image_private.h"
#include "image/registry_private.h"
#include "image/registry_push.h"

#define CHUNK_BYTES  ((size_t)256 << 10)
#define MAX_PARALLEL 16

/* The layers, shared out among the threads. */
typedef struct {
    const ImagePush *push;
    pthread_mutex_t lock; /* of what follows */
    guint next;
    ImagePushed pushed;
    GError *error;    /* the first one */
    Registry *failed; /* whose it is */
} Pushing;

/* One blob, by one thread. */
typedef struct {
    Pushing *pushing;
    Registry *to;
    const Descriptor *blob;
    ImagePushed pushed;
} BlobPush;

static bool has_failed(Pushing *pushing)
{
    pthread_mutex_lock(&pushing->lock);
    bool failed = pushing->error != NULL;
    pthread_mutex_unlock(&pushing->lock);
    return failed;
}

static void note_source(BlobPush *push, const char *found)
{
    push->pushed.source_failed = true;
    pthread_mutex_lock(&push->pushing->lock);
    image_fault_set(push->pushing->push->fault, push->blob->digest, g_strdup(found));
    pthread_mutex_unlock(&push->pushing->lock);
}

static bool fail_damaged(BlobPush *push, const char *found, GError **error)
{
    const ImagePush *whole = push->pushing->push;
    g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_DAMAGED,
                "blob %s in %s is damaged: its bytes hash to %s", push->blob->digest,
                whole->from->name, found);
    note_source(push, found);
    return false;
}

/* Reads the blob, all of it for its digest, into the upload from where that goes on; *done: how
 * many bytes. */
static bool stream(BlobPush *push, RegistryUpload *upload, int64_t *done, GError **error)
{
    const ImagePush *whole = push->pushing->push;
    const Descriptor *blob = push->blob;
    const int64_t from = registry_upload_offset(upload);
    g_autoptr(BlobReader) reader = whole->from->open(whole->from, blob, error);
    g_autoptr(Digest) digest = digest_new();
    g_autofree char *chunk = g_malloc(CHUNK_BYTES);
    ssize_t got = reader ? 1 : -1;
    while (got > 0 && (got = reader->read(reader, chunk, CHUNK_BYTES, error)) > 0) {
        if (progress_stopped(whole->progress) || has_failed(push->pushing)) {
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED, "stopped while pushing %s",
                        blob->digest);
            return false;
        }
        if (got > blob->size - *done)
            return fail_damaged(push, "more bytes than it has", error);
        digest_update(digest, chunk, (size_t)got);
        int64_t skip = CLAMP(from - *done, 0, got);
        *done += got;
        progress_add(whole->progress, got);
        if (got > skip && !registry_upload_write(upload, chunk + skip, (size_t)(got - skip), error))
            return false;
    }
    if (got < 0) {
        note_source(push, NULL);
        return false;
    }
    g_autofree char *found = digest_finish(digest);
    return strcmp(found, blob->digest) == 0 || fail_damaged(push, found, error);
}

static bool send_once(BlobPush *push, GError **error)
{
    const ImagePush *whole = push->pushing->push;
    g_autoptr(RegistryUpload) upload = registry_upload_new(push->to, push->blob->size, error);
    bool sent = false, torn = upload != NULL;
    pthread_mutex_lock(&push->pushing->lock); /* one writer at a time */
    progress_file(whole->progress, push->blob->digest);
    pthread_mutex_unlock(&push->pushing->lock);
    while (torn && !sent) {
        int64_t done = 0;
        g_autoptr(GError) failure = NULL;
        sent = stream(push, upload, &done, &failure) &&
               registry_upload_commit(upload, push->blob->digest, &failure);
        torn = g_error_matches(failure, REGISTRY_ERROR, REGISTRY_ERROR_UPLOAD_TORN);
        if (!sent)
            progress_add(whole->progress, -done);
        if (!sent && !torn)
            g_propagate_error(error, g_steal_pointer(&failure));
    }
    push->pushed.wire += upload ? registry_upload_sent(upload) : 0;
    push->pushed.sent += sent ? push->blob->size : 0;
    return sent;
}

/* A registry that forgot a torn upload gets the blob again; it may also have it by now. */
static bool send_blob(BlobPush *push, GError **error)
{
    for (int tries = 0;; tries++) {
        g_autoptr(GError) failure = NULL;
        if (send_once(push, &failure))
            return true;
        bool there = false;
        bool lost = g_error_matches(failure, REGISTRY_ERROR, REGISTRY_ERROR_UPLOAD_LOST);
        if (lost && !registry_has_blob(push->to, push->blob->digest, &there, error))
            return false;
        if (!there && lost && tries < push->to->retries)
            continue;
        if (there)
            progress_add(push->pushing->push->progress, push->blob->size);
        else
            g_propagate_error(error, g_steal_pointer(&failure));
        return there;
    }
}

static bool push_blob(BlobPush *push, GError **error)
{
    const ImagePush *whole = push->pushing->push;
    bool there = false, mounted = false;
    if (!registry_has_blob(push->to, push->blob->digest, &there, error) ||
        (!there && whole->mount_from &&
         !registry_mount(push->to, push->blob->digest, whole->mount_from, &mounted, error)))
        return false;
    if (!there && !mounted)
        return send_blob(push, error);
    *(there ? &push->pushed.present : &push->pushed.mounted) += push->blob->size;
    progress_add(whole->progress, push->blob->size);
    return true;
}

/* -- the threads -- */

/* NULL: there is none left, or another thread failed. */
static const Descriptor *take_layer(Pushing *pushing)
{
    const GPtrArray *layers = pushing->push->image->layers;
    pthread_mutex_lock(&pushing->lock);
    const Descriptor *layer =
        !pushing->error && pushing->next < layers->len ? layers->pdata[pushing->next++] : NULL;
    pthread_mutex_unlock(&pushing->lock);
    return layer;
}

/* Takes the error over. */
static void note_end(Pushing *pushing, const BlobPush *push, GError *error)
{
    ImagePushed *sum = &pushing->pushed;
    pthread_mutex_lock(&pushing->lock);
    sum->sent += push->pushed.sent;
    sum->mounted += push->pushed.mounted;
    sum->present += push->pushed.present;
    sum->wire += push->pushed.wire;
    bool first = error && !pushing->error;
    if (first) {
        pushing->error = error;
        pushing->failed = push->to;
        sum->source_failed = push->pushed.source_failed;
    }
    pthread_mutex_unlock(&pushing->lock);
    if (error && !first)
        g_error_free(error);
}

static void push_layers(Pushing *pushing, Registry *to)
{
    const Descriptor *layer;
    while ((layer = take_layer(pushing))) {
        GError *error = NULL;
        BlobPush push = {.pushing = pushing, .to = to, .blob = layer};
        push_blob(&push, &error);
        note_end(pushing, &push, error);
    }
}

typedef struct {
    Pushing *pushing;
    Registry *to;
    pthread_t thread;
} PushThread;

static void *push_thread(void *data)
{
    PushThread *thread = data;
    push_layers(thread->pushing, thread->to);
    return NULL;
}

/* With a registry handle of its own. */
static bool start_thread(PushThread *thread, Pushing *pushing)
{
    *thread = (PushThread){.pushing = pushing, .to = registry_clone(pushing->push->to, NULL)};
    if (thread->to && pthread_create(&thread->thread, NULL, push_thread, thread) == 0)
        return true;
    registry_free(thread->to);
    return false;
}

/* The caller's thread is one of them. */
static void push_all_layers(Pushing *pushing)
{
    PushThread threads[MAX_PARALLEL];
    const ImagePush *push = pushing->push;
    int wanted = push->from->shared ? MIN(push->parallel, (int)push->image->layers->len) : 1;
    int count = 0;
    while (count < MIN(wanted, MAX_PARALLEL) - 1 && start_thread(&threads[count], pushing))
        count++;
    push_layers(pushing, push->to);
    for (int i = 0; i < count; i++)
        pthread_join(threads[i].thread, NULL);
    if (pushing->failed && pushing->failed != push->to)
        registry_take_failure(push->to, pushing->failed);
    while (count > 0)
        registry_free(threads[--count].to);
}

/* -- the rest -- */

static bool push_config(Pushing *pushing, GError **error)
{
    BlobPush push = {.pushing = pushing,
                     .to = pushing->push->to,
                     .blob = pushing->push->image->config};
    bool done = push_blob(&push, error);
    note_end(pushing, &push, NULL);
    pushing->pushed.source_failed = push.pushed.source_failed;
    return done;
}

static bool push_manifest(Pushing *pushing, GError **error)
{
    const ImagePush *push = pushing->push;
    const Descriptor *manifest = push->image->manifest;
    g_autoptr(GBytes) content = push->from->read(push->from, manifest, false, error);
    pushing->pushed.source_failed = !content;
    if (!content || !registry_put_manifest(push->to, content, manifest->media_type,
                                           manifest->digest, push->tag, NULL, error))
        return false;
    progress_add(push->progress, manifest->size);
    ImageSource *there = registry_source(push->to);
    g_autoptr(GBytes) again = there->read(there, manifest, false, error);
    return again != NULL;
}

bool image_push(const ImagePush *push, ImagePushed *pushed, GError **error)
{
    Pushing pushing = {.push = push};
    bool there;
    *pushed = (ImagePushed){0};
    /* The login happens here, once, and not in every thread. */
    if (!registry_has_blob(push->to, push->image->config->digest, &there, error))
        return false;
    pthread_mutex_init(&pushing.lock, NULL);
    push_all_layers(&pushing);
    bool done = !pushing.error && push_config(&pushing, error) && push_manifest(&pushing, error);
    if (pushing.error)
        g_propagate_error(error, pushing.error);
    pthread_mutex_destroy(&pushing.lock);
    *pushed = pushing.pushed;
    pushed->sent += done ? push->image->manifest->size : 0;
    return done;
}
