/* A layout as a source of images (source.h). */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/io.h"
#include "image/layout_private.h"

/* The source is the layout's first member. */
static Layout *layout_of(ImageSource *source)
{
    return (Layout *)source;
}

static char **source_tags(ImageSource *source, GError **error)
{
    return layout_tags(layout_of(source), error);
}

static json_t *source_resolve(ImageSource *source, const char *tag, const char *digest,
                              GError **error)
{
    return tag ? layout_resolve(layout_of(source), tag, error)
               : layout_resolve_digest(layout_of(source), digest, error);
}

static GBytes *source_read(ImageSource *source, const Descriptor *descriptor, bool is_blob,
                           GError **error)
{
    return layout_read_blob(layout_of(source), descriptor->digest, error);
}

static char *source_rehash(ImageSource *source, const Descriptor *descriptor)
{
    char *found = NULL;
    layout_verify_blob(layout_of(source), descriptor->digest, -1, &found, NULL);
    return found;
}

/* -- blobs -- */

typedef struct {
    BlobReader reader;
    const Layout *layout;
    char *digest;
    int fd;
} LayoutReader;

static ssize_t reader_read(BlobReader *base, void *data, size_t size, GError **error)
{
    LayoutReader *reader = (LayoutReader *)base;
    ssize_t got;
    do
        got = read(reader->fd, data, size);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        io_fail(error, errno, "blob %s in %s", reader->digest, reader->layout->directory);
    return got;
}

static void reader_free(BlobReader *base)
{
    LayoutReader *reader = (LayoutReader *)base;
    io_close(&reader->fd);
    g_free(reader->digest);
    g_free(reader);
}

static BlobReader *source_open(ImageSource *source, const Descriptor *blob, GError **error)
{
    Layout *layout = layout_of(source);
    int fd = layout_open_blob(layout, blob->digest, error);
    if (fd < 0)
        return NULL;
    posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    LayoutReader *reader = g_new0(LayoutReader, 1);
    reader->reader = (BlobReader){reader_read, reader_free};
    reader->layout = layout;
    reader->digest = g_strdup(blob->digest);
    reader->fd = fd;
    return &reader->reader;
}

void layout_become_source(Layout *layout)
{
    layout->source = (ImageSource){.name = layout->directory,
                                   .shared = true,
                                   .tags = source_tags,
                                   .resolve = source_resolve,
                                   .read = source_read,
                                   .rehash = source_rehash,
                                   .open = source_open};
}

ImageSource *layout_source(Layout *layout)
{
    return &layout->source;
}
