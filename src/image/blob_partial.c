/* Blobs that come in parts. A part is a writer of its own, which appends to the file in partial/
 * and holds its OFD lock meanwhile; between two parts nobody does, and only whoever knows what the
 * file is for (a row of the store) can tell whether it is still wanted. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/io.h"
#include "image/layout_private.h"

/* Whether the file that was opened still has its name: whoever held it before may have published
 * or removed it between the two steps. */
static bool still_named(int fd, int directory, const char *name, struct stat *opened)
{
    struct stat named;
    return fstat(fd, opened) == 0 && fstatat(directory, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           opened->st_ino == named.st_ino && opened->st_dev == named.st_dev;
}

BlobWriter *layout_resume_blob(Layout *layout, const char *name, GError **error)
{
    struct stat about;
    g_assert(layout->partial >= 0 && !strchr(name, '/'));
    for (;;) {
        autofd fd = openat(layout->partial, name,
                           O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0644);
        if (fd < 0 || !blob_lock_file(fd, F_OFD_SETLK)) {
            bool busy = fd >= 0 && (errno == EACCES || errno == EAGAIN);
            io_fail(error, busy ? EBUSY : errno, "%s/" LAYOUT_PARTIAL, layout->directory);
            return NULL;
        }
        if (!still_named(fd, layout->partial, name, &about))
            continue;
        BlobWriter *writer = g_new0(BlobWriter, 1);
        *writer = (BlobWriter){.layout = layout,
                               .directory = layout->partial,
                               .name = g_strdup(name),
                               .resumable = true,
                               .size = about.st_size,
                               .started = about.st_size,
                               .dropped = about.st_size,
                               .fd = io_steal_fd(&fd)};
        return writer;
    }
}

int64_t blob_writer_size(const BlobWriter *writer)
{
    return writer->size;
}

char *blob_writer_digest(const BlobWriter *writer, GError **error)
{
    char *digest = digest_of_file(writer->fd, INT64_MAX, error);
    if (!digest)
        g_prefix_error(error, "a blob in %s: ", writer->layout->directory);
    return digest;
}

int64_t layout_partial_size(const Layout *layout, const char *name)
{
    struct stat about;
    return fstatat(layout->partial, name, &about, AT_SYMLINK_NOFOLLOW) == 0 ? about.st_size : 0;
}

GPtrArray *layout_partial_names(const Layout *layout, GError **error)
{
    const char *name;
    g_autofree char *path = g_build_filename(layout->directory, LAYOUT_PARTIAL, NULL);
    g_autoptr(GDir) stream = g_dir_open(path, 0, error);
    if (!stream)
        return NULL;
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    while ((name = g_dir_read_name(stream)))
        g_ptr_array_add(names, g_strdup(name));
    return names;
}

bool layout_remove_partial(Layout *layout, const char *name, bool dry_run, int *count,
                           int64_t *bytes, GError **error)
{
    struct stat about;
    autofd fd = openat(layout->partial, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &about) < 0)
        return errno == ENOENT || io_fail(error, errno, "%s/" LAYOUT_PARTIAL, layout->directory);
    if (!blob_lock_file(fd, F_OFD_SETLK))
        return true;
    if (!dry_run && unlinkat(layout->partial, name, 0) < 0 && errno != ENOENT)
        return io_fail(error, errno, "%s/" LAYOUT_PARTIAL, layout->directory);
    if (count)
        ++*count;
    if (bytes)
        *bytes += about.st_size;
    return true;
}
