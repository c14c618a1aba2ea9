#include "image/image_archive.h"

#include <gio/gio.h>
#include <string.h>

#include "base/digest.h"
#include "base/io.h"
#include "image/image_private.h"
#include "image/layout.h"
#include "image/tar.h"

#define CHUNK_BYTES ((size_t)256 << 10)
#define BLOBS       "blobs/sha256/"

typedef struct {
    ImageSource *from;
    int fd;
    Progress *progress;
    ImageFault *fault;
    GHashTable *written; /* digests: an image may name a layer twice */
} Archive;

static bool write_header(const Archive *archive, const char *path, int64_t size, GError **error)
{
    g_autoptr(GByteArray) header = g_byte_array_new();
    tar_append_file(header, path, size);
    return io_write_all(archive->fd, header->data, header->len, error);
}

static bool write_zeros(const Archive *archive, size_t size, GError **error)
{
    static const char ZEROS[2 * TAR_BLOCK];
    return io_write_all(archive->fd, ZEROS, size, error);
}

static bool write_file(const Archive *archive, const char *path, const void *data, size_t size,
                       GError **error)
{
    return write_header(archive, path, (int64_t)size, error) &&
           io_write_all(archive->fd, data, size, error) &&
           write_zeros(archive, tar_padding((int64_t)size), error);
}

static bool fail_damaged(const Archive *archive, const Descriptor *blob, const char *found,
                         GError **error)
{
    image_fault_set(archive->fault, blob->digest, g_strdup(found));
    g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_DAMAGED,
                "blob %s in %s is damaged: its bytes hash to %s", blob->digest, archive->from->name,
                found ? found : "other ones, and are of another size");
    return false;
}

static bool stream_blob(const Archive *archive, const Descriptor *blob, BlobReader *reader,
                        GError **error)
{
    g_autoptr(Digest) digest = digest_new();
    g_autofree char *chunk = g_malloc(CHUNK_BYTES);
    int64_t done = 0;
    ssize_t got;
    while ((got = reader->read(reader, chunk, CHUNK_BYTES, error)) > 0) {
        if (progress_stopped(archive->progress)) {
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED, "stopped while copying %s",
                        blob->digest);
            return false;
        }
        if (got > blob->size - done)
            return fail_damaged(archive, blob, NULL, error);
        digest_update(digest, chunk, (size_t)got);
        done += got;
        progress_add(archive->progress, got);
        if (!io_write_all(archive->fd, chunk, (size_t)got, error))
            return false;
    }
    if (got < 0)
        return false;
    g_autofree char *found = digest_finish(digest);
    return (done == blob->size && strcmp(found, blob->digest) == 0) ||
           fail_damaged(archive, blob, found, error);
}

static bool write_blob(const Archive *archive, const Descriptor *blob, GError **error)
{
    if (!g_hash_table_add(archive->written, blob->digest))
        return true;
    g_autofree char *path = g_strconcat(BLOBS, digest_hex(blob->digest), NULL);
    g_autoptr(BlobReader) reader = archive->from->open(archive->from, blob, error);
    progress_file(archive->progress, blob->digest);
    return reader && write_header(archive, path, blob->size, error) &&
           stream_blob(archive, blob, reader, error) &&
           write_zeros(archive, tar_padding(blob->size), error);
}

static bool write_manifest(const Archive *archive, const Descriptor *manifest, GError **error)
{
    gsize size;
    g_autofree char *path = g_strconcat(BLOBS, digest_hex(manifest->digest), NULL);
    g_autoptr(GBytes) content = archive->from->read(archive->from, manifest, false, error);
    const void *data = content ? g_bytes_get_data(content, &size) : NULL;
    progress_add(archive->progress, manifest->size);
    return content && write_file(archive, path, data, size, error);
}

bool image_archive_write(ImageSource *from, const Image *image, const char *tag, int fd,
                         Progress *progress, ImageFault *fault, GError **error)
{
    g_autoptr(GHashTable) written = g_hash_table_new(g_str_hash, g_str_equal);
    const Archive archive = {from, fd, progress, fault, written};
    g_autofree char *index = layout_index_of_one(image->manifest, tag);
    if (!write_file(&archive, "oci-layout", LAYOUT_MARKER, strlen(LAYOUT_MARKER), error) ||
        !write_file(&archive, "index.json", index, strlen(index), error))
        return false;
    for (guint i = 0; i < image->layers->len; i++)
        if (!write_blob(&archive, image->layers->pdata[i], error))
            return false;
    return write_blob(&archive, image->config, error) &&
           write_manifest(&archive, image->manifest, error) &&
           write_zeros(&archive, 2 * TAR_BLOCK, error);
}
