/* A layout that we only read may be anybody's, and change while we read it. So everything is opened
 * beneath the directory's file descriptor, only regular files count, nothing is read without a
 * bound, and a blob's bytes are believed once they hash to its digest.
 *
 * The store, which is ours, holds four things more:
 *
 *   tmp/          blobs that are being written (blob.c)
 *   partial/      blobs that come in parts (blob_partial.c)
 *   .index.lock   flock: writers of index.json (layout_index.c)
 *   .gc.lock      flock: who publishes a blob and its row, against gc's removal (layout_index.c)
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/io.h"
#include "image/image_json.h"
#include "image/layout_private.h"

#define MARKER      "oci-layout"
#define MARKER_MAX  4096 /* bytes */
#define VERSION     LAYOUT_VERSION
#define EMPTY_INDEX "{\"manifests\":[],\"mediaType\":\"" IMAGE_MEDIA_INDEX "\",\"schemaVersion\":2}"

int layout_open_file(const Layout *layout, const char *path, ImageError missing, GError **error)
{
    autofd fd = io_open_beneath(layout->fd, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    struct stat status;
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR)) {
        g_set_error(error, IMAGE_ERROR, missing, "%s has no %s", layout->directory, path);
        return -1;
    }
    bool odd = fd < 0 && (errno == ELOOP || errno == EXDEV || errno == ENXIO);
    if ((fd < 0 && !odd) || (fd >= 0 && fstat(fd, &status) < 0)) {
        io_fail(error, errno, "%s/%s", layout->directory, path);
        return -1;
    }
    if (odd || !S_ISREG(status.st_mode)) {
        g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_DAMAGED, "%s/%s is no regular file",
                    layout->directory, path);
        return -1;
    }
    return io_steal_fd(&fd);
}

static int64_t file_size(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 ? (int64_t)status.st_size : -1;
}

GBytes *layout_read_file(const Layout *layout, const char *path, size_t limit, ImageError missing,
                         GError **error)
{
    autofd fd = layout_open_file(layout, path, missing, error);
    if (fd < 0)
        return NULL;
    int64_t size = file_size(fd);
    if (size < 0 || (uint64_t)size > limit) {
        g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_MALFORMED,
                    "%s/%s is %" G_GINT64_FORMAT " bytes, expected at most %zu", layout->directory,
                    path, size, limit);
        return NULL;
    }
    g_autofree char *content = g_malloc((gsize)size + 1);
    ssize_t got = io_read_full(fd, content, (size_t)size, error);
    if (got < 0) {
        g_prefix_error(error, "%s/%s: ", layout->directory, path);
        return NULL;
    }
    return g_bytes_new_take(g_steal_pointer(&content), (gsize)got);
}

static bool check_marker(Layout *layout, GError **error)
{
    g_autoptr(GBytes) content =
        layout_read_file(layout, MARKER, MARKER_MAX, IMAGE_ERROR_NO_LAYOUT, error);
    if (!content)
        return false;
    g_autofree char *where = g_strdup_printf("%s/" MARKER, layout->directory);
    json_t *root = image_json_load(where, content, error);
    if (!root)
        return false;
    const json_t *version = json_object_get(root, "imageLayoutVersion");
    bool known = json_is_string(version) && strcmp(json_string_value(version), VERSION) == 0;
    if (!known)
        image_json_fail(error, version, "\"" VERSION "\"", "%s: imageLayoutVersion", where);
    json_decref(root);
    return known;
}

static Layout *open_directory(const char *directory, GError **error)
{
    autofd fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR)) {
        g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_NO_LAYOUT,
                    errno == ENOENT ? "%s: no such directory" : "%s is no directory", directory);
        return NULL;
    }
    if (fd < 0) {
        io_fail(error, errno, "%s", directory);
        return NULL;
    }
    Layout *layout = g_new0(Layout, 1);
    layout->directory = g_strdup(directory);
    layout->fd = io_steal_fd(&fd);
    layout->blobs = layout->temporary = layout->partial = -1;
    layout_become_source(layout);
    return layout;
}

Layout *layout_open(const char *directory, GError **error)
{
    g_autoptr(Layout) layout = open_directory(directory, error);
    if (!layout || !check_marker(layout, error))
        return NULL;
    return g_steal_pointer(&layout);
}

/* oci-layout comes last: with it, the directory is a layout. */
static bool write_marker(Layout *layout, GError **error)
{
    if (faccessat(layout->fd, MARKER, F_OK, 0) == 0)
        return true;
    autofd lock = layout_lock_index(layout, error);
    if (lock < 0)
        return false;
    if (faccessat(layout->fd, LAYOUT_INDEX, F_OK, 0) != 0 &&
        !io_replace_file(layout->fd, LAYOUT_INDEX, EMPTY_INDEX, strlen(EMPTY_INDEX), 0644, error))
        return false;
    return faccessat(layout->fd, MARKER, F_OK, 0) == 0 ||
           io_replace_file(layout->fd, MARKER, LAYOUT_MARKER, strlen(LAYOUT_MARKER), 0644, error);
}

static int open_own(Layout *layout, const char *name, GError **error)
{
    g_autofree char *path = g_build_filename(layout->directory, name, NULL);
    if (!io_make_directories(path, 0755, error))
        return -1;
    int fd = openat(layout->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        io_fail(error, errno, "%s", path);
    return fd;
}

Layout *layout_create(const char *directory, GError **error)
{
    if (!io_make_directories(directory, 0755, error))
        return NULL;
    g_autoptr(Layout) layout = open_directory(directory, error);
    if (!layout)
        return NULL;
    layout->blobs = open_own(layout, LAYOUT_BLOBS, error);
    if (layout->blobs < 0)
        return NULL;
    layout->temporary = open_own(layout, LAYOUT_TEMPORARY, error);
    if (layout->temporary < 0)
        return NULL;
    layout->partial = open_own(layout, LAYOUT_PARTIAL, error);
    if (layout->partial < 0 || !write_marker(layout, error) || !check_marker(layout, error))
        return NULL;
    return g_steal_pointer(&layout);
}

void layout_free(Layout *layout)
{
    if (!layout)
        return;
    io_close(&layout->fd);
    io_close(&layout->blobs);
    io_close(&layout->temporary);
    io_close(&layout->partial);
    g_free(layout->directory);
    g_free(layout);
}

const char *layout_directory(const Layout *layout)
{
    return layout->directory;
}

int layout_fd(const Layout *layout)
{
    return layout->fd;
}

/* NULL: this is no digest, and so becomes no path. */
static char *blob_path(const char *digest, GError **error)
{
    if (digest_is_valid(digest))
        return g_strconcat(LAYOUT_BLOBS "/", digest_hex(digest), NULL);
    g_autofree char *readable = g_utf8_make_valid(digest ? digest : "", -1);
    g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_MALFORMED,
                "the digest is \"%.100s\", expected sha256: and 64 lower-case hex digits",
                readable);
    return NULL;
}

int layout_open_blob(const Layout *layout, const char *digest, GError **error)
{
    g_autofree char *path = blob_path(digest, error);
    return path ? layout_open_file(layout, path, IMAGE_ERROR_NO_BLOB, error) : -1;
}

bool layout_link_blob(const Layout *layout, const char *digest, int directory, const char *name,
                      GError **error)
{
    g_autofree char *path = blob_path(digest, error);
    return path && (linkat(layout->fd, path, directory, name, 0) == 0 ||
                    io_fail(error, errno, "%s/%s", layout->directory, path));
}

int64_t layout_blob_size(const Layout *layout, const char *digest)
{
    autofd fd = layout_open_blob(layout, digest, NULL);
    return fd >= 0 ? file_size(fd) : -1;
}

bool layout_has_blob(const Layout *layout, const char *digest, int64_t size)
{
    int64_t there = layout_blob_size(layout, digest);
    return there >= 0 && (size < 0 || there == size);
}

static bool fail_damaged(const Layout *layout, const char *digest, const char *found,
                         GError **error)
{
    g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_DAMAGED,
                "blob %s in %s is damaged: its bytes hash to %s", digest, layout->directory, found);
    return false;
}

GBytes *layout_read_blob(const Layout *layout, const char *digest, GError **error)
{
    g_autofree char *path = blob_path(digest, error);
    if (!path)
        return NULL;
    g_autoptr(GBytes) content =
        layout_read_file(layout, path, LAYOUT_MAX_JSON, IMAGE_ERROR_NO_BLOB, error);
    if (!content)
        return NULL;
    gsize size;
    const void *data = g_bytes_get_data(content, &size);
    g_autofree char *found = digest_of(data, size);
    if (strcmp(found, digest) != 0) {
        fail_damaged(layout, digest, found, error);
        return NULL;
    }
    return g_steal_pointer(&content);
}

bool layout_verify_blob(const Layout *layout, const char *digest, int64_t expected_size,
                        char **found, GError **error)
{
    autofd fd = layout_open_blob(layout, digest, error);
    if (fd < 0)
        return false;
    int64_t size = file_size(fd);
    g_autofree char *actual = NULL;
    if (expected_size < 0 || size <= expected_size) {
        actual = digest_of_file(fd, size, error);
        if (!actual) {
            g_prefix_error(error, "blob %s in %s: ", digest, layout->directory);
            return false;
        }
    }
    bool sized = expected_size < 0 || size == expected_size;
    bool sound = sized && strcmp(actual, digest) == 0;
    if (!sized)
        g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_DAMAGED,
                    "blob %s in %s is %" G_GINT64_FORMAT " bytes, expected %" G_GINT64_FORMAT,
                    digest, layout->directory, size, expected_size);
    else if (!sound)
        fail_damaged(layout, digest, actual, error);
    if (found)
        *found = g_steal_pointer(&actual);
    return sound;
}

char *layout_put(Layout *layout, const void *data, size_t size, GError **error)
{
    g_autofree char *digest = digest_of(data, size);
    if (layout_stores(layout, digest, (int64_t)size))
        return io_sync_directory(layout->blobs, error) ? g_steal_pointer(&digest) : NULL;
    g_autoptr(BlobWriter) writer = layout_begin_blob(layout, error);
    if (!writer || !blob_writer_write(writer, data, size, error))
        return NULL;
    bool existed;
    if (!blob_writer_commit(g_steal_pointer(&writer), digest, &existed, error))
        return NULL;
    return g_steal_pointer(&digest);
}
