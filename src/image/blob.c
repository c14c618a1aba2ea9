/* Blobs on their way into the store, and out of it.
 *
 * A writer owns a file in tmp/ under a random name, and holds an OFD lock on it as long as it
 * lives. So a sweep can tell a left-over from a file that is being written, whoever writes it: it
 * removes what it can lock. Between the file's creation and its lock the sweep may be faster; the
 * writer sees by the link count that its file is gone, and takes another.
 *
 * A blob is published by a rename that replaces nothing. Where its name is taken already, by a file
 * of the right size, that one is the blob (it was published in the same way) and ours is dropped; a
 * file of another size was torn by something else, and is replaced. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/io.h"
#include "image/layout_private.h"

#define WRITE_BEHIND (INT64_C(8) << 20)  /* bytes that are handed to the disk at once */
#define DROP_BEHIND  (INT64_C(32) << 20) /* bytes that stay in the page cache meanwhile */

typedef DIR Directory;
static void directory_close(Directory *directory)
{
    closedir(directory);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Directory, directory_close)

bool blob_lock_file(int fd, int command)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int result;
    do
        result = fcntl(fd, command, &lock);
    while (result < 0 && errno == EINTR);
    return result == 0;
}

/* A locked file in tmp/ and its name; -1 and errno on failure. */
static int create_temporary(int directory, char **name)
{
    for (;;) {
        uint64_t number;
        if (getrandom(&number, sizeof(number), 0) != (ssize_t)sizeof(number))
            return -1;
        g_autofree char *candidate = g_strdup_printf("%016" PRIx64, number);
        autofd fd = openat(directory, candidate, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        if (fd < 0 && errno == EEXIST)
            continue;
        if (fd < 0)
            return -1;
        struct stat status;
        if (!blob_lock_file(fd, F_OFD_SETLKW) || fstat(fd, &status) < 0) {
            int code = errno;
            unlinkat(directory, candidate, 0);
            errno = code;
            return -1;
        }
        if (status.st_nlink == 0)
            continue; /* swept */
        *name = g_steal_pointer(&candidate);
        return io_steal_fd(&fd);
    }
}

BlobWriter *layout_begin_blob(Layout *layout, GError **error)
{
    g_assert(layout->temporary >= 0); /* a layout that is only read takes no blobs */
    char *name = NULL;
    int fd = create_temporary(layout->temporary, &name);
    if (fd < 0) {
        io_fail(error, errno, "%s/" LAYOUT_TEMPORARY, layout->directory);
        return NULL;
    }
    BlobWriter *writer = g_new0(BlobWriter, 1);
    writer->layout = layout;
    writer->directory = layout->temporary;
    writer->name = name;
    writer->fd = fd;
    return writer;
}

/* Keeps the disk busy while the rest is still being read, so that the fsync at the end has little
 * left to do, and gives the page cache back what is on the disk. Without that a model of many
 * gigabytes pushes out what others have cached, and every one of its bytes goes through a page that
 * is new: on a virtual machine whose host lends memory only while it is used, that costs several
 * times the copying itself (measured: 8.7 s of 1.4). Hints: a failure of them will be the fsync's.
 */
static void write_behind(BlobWriter *writer)
{
    if (writer->size - writer->started < WRITE_BEHIND)
        return;
    sync_file_range(writer->fd, writer->started, writer->size - writer->started,
                    SYNC_FILE_RANGE_WRITE);
    writer->started = writer->size;
    if (writer->size - writer->dropped < DROP_BEHIND + WRITE_BEHIND)
        return;
    int64_t length = writer->size - DROP_BEHIND - writer->dropped;
    sync_file_range(writer->fd, writer->dropped, length,
                    SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
                        SYNC_FILE_RANGE_WAIT_AFTER);
    posix_fadvise(writer->fd, writer->dropped, length, POSIX_FADV_DONTNEED);
    writer->dropped += length;
}

bool blob_writer_write(BlobWriter *writer, const void *data, size_t size, GError **error)
{
    if (!io_write_all(writer->fd, data, size, error)) {
        struct stat about; /* of a full disk: as far as it went */
        if (fstat(writer->fd, &about) == 0)
            writer->size = about.st_size;
        g_prefix_error(error, "a blob in %s: ", writer->layout->directory);
        return false;
    }
    writer->size += (int64_t)size;
    write_behind(writer);
    return true;
}

bool layout_stores(const Layout *layout, const char *digest, int64_t size)
{
    struct stat status;
    return fstatat(layout->blobs, digest_hex(digest), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISREG(status.st_mode) && (size < 0 || status.st_size == size);
}

/* 0 or -1 and errno (EEXIST). Not every file system has renameat2's flags. */
static int rename_without_clobber(int from, const char *name, int to, const char *new_name)
{
    if (renameat2(from, name, to, new_name, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -1;
    if (linkat(from, name, to, new_name, 0) < 0)
        return -1;
    return unlinkat(from, name, 0);
}

static bool publish(BlobWriter *writer, const char *digest, bool *existed, GError **error)
{
    Layout *layout = writer->layout;
    const char *hex = digest_hex(digest);
    *existed = layout_stores(layout, digest, writer->size);
    if (*existed)
        return true;
    if (fsync(writer->fd) < 0)
        return io_fail(error, errno, "fsync");
    int result = rename_without_clobber(writer->directory, writer->name, layout->blobs, hex);
    if (result < 0 && errno == EEXIST) {
        *existed = layout_stores(layout, digest, writer->size);
        if (*existed)
            return true;
        result = renameat(writer->directory, writer->name, layout->blobs, hex);
    }
    if (result < 0)
        return io_fail(error, errno, "rename");
    g_clear_pointer(&writer->name, g_free);
    return true;
}

bool blob_writer_commit(BlobWriter *writer, const char *digest, bool *existed, GError **error)
{
    Layout *layout = writer->layout;
    bool done = digest_is_valid(digest) ? publish(writer, digest, existed, error)
                                        : io_fail(error, EINVAL, "no digest");
    if (done || !writer->resumable)
        blob_writer_abort(writer);
    else
        blob_writer_keep(writer);
    /* Also where it existed: whoever published it may not have come this far yet. */
    done = done && io_sync_directory(layout->blobs, error);
    if (!done)
        g_prefix_error(error, "blob %s in %s: ", digest, layout->directory);
    return done;
}

void blob_writer_abort(BlobWriter *writer)
{
    if (!writer)
        return;
    if (writer->name)
        unlinkat(writer->directory, writer->name, 0);
    io_close(&writer->fd);
    g_free(writer->name);
    g_free(writer);
}

void blob_writer_keep(BlobWriter *writer)
{
    if (!writer)
        return;
    g_assert(writer->resumable);
    g_clear_pointer(&writer->name, g_free);
    blob_writer_abort(writer);
}

/* A stream of its own over a directory, from its beginning. */
static Directory *open_stream(const Layout *layout, const char *name, GError **error)
{
    autofd fd = io_open_beneath(layout->fd, name, O_RDONLY | O_DIRECTORY);
    Directory *stream = fd >= 0 ? fdopendir(fd) : NULL;
    if (!stream) {
        io_fail(error, errno, "%s/%s", layout->directory, name);
        return NULL;
    }
    io_steal_fd(&fd); /* the stream's */
    return stream;
}

bool layout_each_blob(Layout *layout, LayoutBlobFunc call, gpointer data, GError **error)
{
    g_autoptr(Directory) stream = open_stream(layout, LAYOUT_BLOBS, error);
    if (!stream)
        return false;
    struct dirent *entry;
    while (errno = 0, (entry = readdir(stream))) {
        struct stat status;
        if (fstatat(dirfd(stream), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) < 0 ||
            S_ISDIR(status.st_mode))
            continue; /* just removed, or no blob */
        g_autofree char *digest = g_strconcat("sha256:", entry->d_name, NULL);
        if (!call(digest_is_valid(digest) ? digest : entry->d_name, status.st_size, data, error))
            return false;
    }
    return errno == 0 || io_fail(error, errno, "%s/" LAYOUT_BLOBS, layout->directory);
}

bool layout_remove_blob(Layout *layout, const char *name, GError **error)
{
    const char *file = digest_is_valid(name) ? digest_hex(name) : name;
    if (strchr(file, '/'))
        return io_fail(error, EINVAL, "%s", name);
    if (unlinkat(layout->blobs, file, 0) < 0 && errno != ENOENT)
        return io_fail(error, errno, "%s/" LAYOUT_BLOBS "/%s", layout->directory, file);
    return true;
}

/* Removes a file if nobody holds it; `size` are its bytes. False: it lives, or is gone. */
static bool sweep_file(int directory, const char *name, bool locked_by_writer, bool dry_run,
                       int64_t *size)
{
    autofd fd = openat(directory, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) < 0 || !S_ISREG(status.st_mode))
        return false;
    if (locked_by_writer && !blob_lock_file(fd, F_OFD_SETLK))
        return false;
    *size = status.st_size;
    return dry_run || unlinkat(directory, name, 0) == 0;
}

/* What io_replace_file left when it was killed. */
static bool is_replacement(const char *name)
{
    return g_str_has_suffix(name, ".tmp") &&
           (g_str_has_prefix(name, "index.json.") || g_str_has_prefix(name, "oci-layout."));
}

static bool sweep_directory(Layout *layout, const char *name, bool blobs, bool dry_run, int *count,
                            int64_t *bytes, GError **error)
{
    g_autoptr(Directory) stream = open_stream(layout, name, error);
    if (!stream)
        return false;
    struct dirent *entry;
    while (errno = 0, (entry = readdir(stream))) {
        int64_t size;
        if ((blobs || is_replacement(entry->d_name)) &&
            sweep_file(dirfd(stream), entry->d_name, blobs, dry_run, &size)) {
            (*count)++;
            *bytes += size;
        }
    }
    return errno == 0 || io_fail(error, errno, "%s/%s", layout->directory, name);
}

bool layout_sweep_temporary(Layout *layout, bool dry_run, int *count, int64_t *bytes,
                            GError **error)
{
    *count = 0;
    *bytes = 0;
    if (!sweep_directory(layout, LAYOUT_TEMPORARY, true, dry_run, count, bytes, error))
        return false;
    autofd lock = layout_lock_index(layout, error); /* its holder's files live */
    return lock >= 0 && sweep_directory(layout, ".", false, dry_run, count, bytes, error);
}
