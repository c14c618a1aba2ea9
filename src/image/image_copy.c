#include <gio/gio.h>
#include <string.h>

#include "base/digest.h"
#include "base/io.h"
#include "image/blob_pipe.h"
#include "image/image_private.h"
#include "image/layout_private.h"

#define VERIFY_CHUNK ((size_t)256 << 10) /* bytes */

/* A copy that is under way. */
typedef struct {
    ImageSource *from;
    Layout *to;
    Progress *progress;
    ImageFault *fault; /* or NULL */
} ImageCopy;

/* A blob of the source that is being read: what its descriptor says, and what was read. */
typedef struct {
    const ImageCopy *copy;
    const Descriptor *descriptor;
    BlobReader *reader;
    int64_t done; /* bytes */
} BlobSource;

/* The next bytes, 0 at the end, -1 on failure. One byte more than the descriptor's size ends it
 * too: it shows that there are more. */
static ssize_t source_read(BlobSource *source, void *data, size_t size, GError **error)
{
    const Descriptor *descriptor = source->descriptor;
    if (progress_stopped(source->copy->progress)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED, "stopped while copying %s",
                    descriptor->digest);
        return -1;
    }
    if (source->done > descriptor->size)
        return 0;
    uint64_t left = (uint64_t)(descriptor->size - source->done) + 1;
    ssize_t got = source->reader->read(source->reader, data, MIN(size, left), error);
    if (got < 0) {
        image_fault_set(source->copy->fault, descriptor->digest, NULL);
        return -1;
    }
    source->done += got;
    progress_add(source->copy->progress, got);
    return got;
}

static bool source_check(const BlobSource *source, const char *found, GError **error)
{
    const Descriptor *descriptor = source->descriptor;
    if (source->done == descriptor->size && strcmp(found, descriptor->digest) == 0)
        return true;
    bool larger = source->done > descriptor->size; /* and so not read to its end */
    g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_DAMAGED,
                "blob %s in %s is damaged: found %s%" G_GINT64_FORMAT " bytes that hash to %s, "
                "expected %" G_GINT64_FORMAT " bytes",
                descriptor->digest, source->copy->from->name, larger ? "more than " : "",
                larger ? descriptor->size : source->done, found, descriptor->size);
    image_fault_set(source->copy->fault, descriptor->digest, larger ? NULL : g_strdup(found));
    return false;
}

static bool copy_blob(BlobSource *source, GError **error)
{
    g_autoptr(BlobSink) sink = layout_sink(source->copy->to, error);
    g_autoptr(BlobPipe) pipe = sink ? blob_pipe_new(sink, error) : NULL;
    if (!pipe)
        return false;
    for (;;) {
        size_t room;
        void *data = blob_pipe_room(pipe, &room);
        ssize_t got = source_read(source, data, room, error);
        if (got < 0 || !blob_pipe_advance(pipe, (size_t)got, error))
            return false;
        if (got == 0)
            break;
    }
    g_autofree char *found = blob_pipe_finish(pipe, error);
    bool existed;
    return found && source_check(source, found, error) && blob_pipe_commit(pipe, &existed, error);
}

static bool verify_blob(BlobSource *source, GError **error)
{
    g_autoptr(Digest) digest = digest_new();
    g_autofree char *chunk = g_malloc(VERIFY_CHUNK);
    ssize_t got;
    while ((got = source_read(source, chunk, VERIFY_CHUNK, error)) > 0)
        digest_update(digest, chunk, (size_t)got);
    if (got < 0)
        return false;
    g_autofree char *found = digest_finish(digest);
    return source_check(source, found, error);
}

static BlobReader *open_source(const ImageCopy *copy, const Descriptor *descriptor, GError **error)
{
    BlobReader *reader = copy->from->open(copy->from, descriptor, error);
    if (!reader)
        image_fault_set(copy->fault, descriptor->digest, NULL);
    return reader;
}

static bool take_blob(const ImageCopy *copy, const Descriptor *descriptor, int64_t *copied,
                      int64_t *reused, GError **error)
{
    bool present = layout_stores(copy->to, descriptor->digest, descriptor->size);
    progress_file(copy->progress, descriptor->digest);
    if (present && copy->from->spares) {
        progress_add(copy->progress, descriptor->size);
        *reused += descriptor->size;
        return true;
    }
    g_autoptr(BlobReader) reader = open_source(copy, descriptor, error);
    if (!reader)
        return false;
    BlobSource source = {copy, descriptor, reader, 0};
    if (!(present ? verify_blob(&source, error) : copy_blob(&source, error)))
        return false;
    *(present ? reused : copied) += descriptor->size;
    return true;
}

/* A manifest is small, and in a registry no blob. */
static bool take_manifest(const ImageCopy *copy, const Descriptor *descriptor, int64_t *copied,
                          int64_t *reused, GError **error)
{
    g_autoptr(GBytes) content = copy->from->read(copy->from, descriptor, false, error);
    if (!content) {
        image_fault_set(copy->fault, descriptor->digest,
                        copy->from->rehash(copy->from, descriptor));
        return false;
    }
    gsize size;
    const void *data = g_bytes_get_data(content, &size);
    bool present = layout_stores(copy->to, descriptor->digest, descriptor->size);
    g_autofree char *digest = layout_put(copy->to, data, size, error);
    *(present ? reused : copied) += descriptor->size;
    progress_add(copy->progress, descriptor->size);
    return digest != NULL;
}

bool image_copy(ImageSource *from, const Image *image, Layout *to, Progress *progress,
                int64_t *copied, int64_t *reused, ImageFault *fault, GError **error)
{
    ImageCopy copy = {from, to, progress, fault};
    *copied = *reused = 0;
    for (guint i = 0; i < image->layers->len; i++)
        if (!take_blob(&copy, image->layers->pdata[i], copied, reused, error))
            return false;
    return take_blob(&copy, image->config, copied, reused, error) &&
           take_manifest(&copy, image->manifest, copied, reused, error) &&
           io_sync_directory(to->blobs, error); /* also for those that others wrote just now */
}

bool image_copy_blob(ImageSource *from, const Descriptor *blob, Layout *to, Progress *progress,
                     ImageFault *fault, GError **error)
{
    ImageCopy copy = {from, to, progress, fault};
    int64_t copied = 0, reused = 0;
    return take_blob(&copy, blob, &copied, &reused, error);
}

bool image_verify_blob(ImageSource *source, const Descriptor *blob, Progress *progress,
                       ImageFault *fault, GError **error)
{
    ImageCopy copy = {source, NULL, progress, fault};
    g_autoptr(BlobReader) reader = open_source(&copy, blob, error);
    BlobSource verified = {&copy, blob, reader, 0};
    return reader && verify_blob(&verified, error);
}
