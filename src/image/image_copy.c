#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <string.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/io.h"
#include "image/blob_pipe.h"
#include "image/image_private.h"
#include "image/layout_private.h"

#define VERIFY_CHUNK ((size_t)256 << 10) /* bytes */

/* A copy that is under way. */
typedef struct {
    Layout *from, *to;
    Progress *progress;
    ImageFault *fault; /* or NULL */
} ImageCopy;

/* A blob of the source that is being read: what its descriptor says, and what was read. */
typedef struct {
    const ImageCopy *copy;
    const Descriptor *descriptor;
    int fd;
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
    ssize_t got;
    do
        got = read(source->fd, data, MIN(size, left));
    while (got < 0 && errno == EINTR);
    if (got < 0) {
        io_fail(error, errno, "blob %s in %s", descriptor->digest,
                layout_directory(source->copy->from));
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
                descriptor->digest, layout_directory(source->copy->from),
                larger ? "more than " : "", larger ? descriptor->size : source->done, found,
                descriptor->size);
    image_fault_set(source->copy->fault, descriptor->digest, larger ? NULL : g_strdup(found));
    return false;
}

static bool copy_blob(BlobSource *source, GError **error)
{
    g_autoptr(BlobPipe) pipe = blob_pipe_new(source->copy->to, error);
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

static int open_source(const ImageCopy *copy, const Descriptor *descriptor, GError **error)
{
    g_autoptr(GError) cause = NULL;
    int fd = layout_open_blob(copy->from, descriptor->digest, &cause);
    if (fd >= 0) {
        posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
        return fd;
    }
    image_fault_set(copy->fault, descriptor->digest, NULL);
    g_propagate_error(error, g_steal_pointer(&cause));
    return -1;
}

static bool take_blob(const ImageCopy *copy, const Descriptor *descriptor, int64_t *copied,
                      int64_t *reused, GError **error)
{
    autofd fd = open_source(copy, descriptor, error);
    if (fd < 0)
        return false;
    BlobSource source = {copy, descriptor, fd, 0};
    progress_file(copy->progress, descriptor->digest);
    bool present = layout_stores(copy->to, descriptor->digest, descriptor->size);
    if (!(present ? verify_blob(&source, error) : copy_blob(&source, error)))
        return false;
    *(present ? reused : copied) += descriptor->size;
    return true;
}

bool image_copy(Layout *from, const Image *image, Layout *to, Progress *progress, int64_t *copied,
                int64_t *reused, ImageFault *fault, GError **error)
{
    ImageCopy copy = {from, to, progress, fault};
    *copied = *reused = 0;
    for (guint i = 0; i < image->layers->len; i++)
        if (!take_blob(&copy, image->layers->pdata[i], copied, reused, error))
            return false;
    return take_blob(&copy, image->config, copied, reused, error) &&
           take_blob(&copy, image->manifest, copied, reused, error) &&
           io_sync_directory(to->blobs, error); /* also for those that others wrote just now */
}

bool image_copy_blob(Layout *from, const Descriptor *blob, Layout *to, Progress *progress,
                     ImageFault *fault, GError **error)
{
    ImageCopy copy = {from, to, progress, fault};
    int64_t copied = 0, reused = 0;
    return take_blob(&copy, blob, &copied, &reused, error);
}

bool image_verify_blob(Layout *layout, const Descriptor *blob, Progress *progress,
                       ImageFault *fault, GError **error)
{
    ImageCopy copy = {layout, NULL, progress, fault};
    autofd fd = open_source(&copy, blob, error);
    BlobSource source = {&copy, blob, fd, 0};
    return fd >= 0 && verify_blob(&source, error);
}
