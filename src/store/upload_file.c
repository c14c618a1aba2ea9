#include "store/upload_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/io.h"

#define FLUSH_BYTES (8 << 20)

/* "partial/HASH": a path may be longer than a name. */
static char *partial_name(const char *path)
{
    g_autofree char *digest = digest_of(path, strlen(path));
    return g_strconcat("partial/", digest_hex(digest), NULL);
}

static bool make_directory(int parent, const char *name, GError **error)
{
    if (mkdirat(parent, name, 0700) == 0)
        return io_sync_directory(parent, error);
    return errno == EEXIST || io_fail(error, errno, "%s", name);
}

/* uploads/DIRECTORY with files/ and partial/, made where they are new. */
static int directory_open(const DataDirectory *data, const Upload *upload, GError **error)
{
    if (!make_directory(data->fd, UPLOADS_DIRECTORY, error))
        return -1;
    autofd all = openat(data->fd, UPLOADS_DIRECTORY, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (all < 0 || !make_directory(all, upload->directory, error)) {
        if (all < 0)
            io_fail(error, errno, UPLOADS_DIRECTORY);
        return -1;
    }
    autofd own = openat(all, upload->directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (own < 0)
        io_fail(error, errno, "%s", upload->directory);
    return own >= 0 && make_directory(own, "files", error) && make_directory(own, "partial", error)
               ? io_steal_fd(&own)
               : -1;
}

/* Whether the file that was opened still has its name: the writer before may have moved it to its
 * place between the two steps. */
static bool still_named(const UploadWriter *writer)
{
    struct stat opened, named;
    return fstat(writer->fd, &opened) == 0 &&
           fstatat(writer->directory, writer->partial, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           opened.st_ino == named.st_ino && opened.st_dev == named.st_dev;
}

static bool writer_lock(UploadWriter *writer, GError **error)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    for (;;) {
        writer->fd = openat(writer->directory, writer->partial,
                            O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (writer->fd < 0)
            return io_fail(error, errno, "%s", writer->path);
        if (fcntl(writer->fd, F_OFD_SETLK, &whole) < 0)
            return io_fail(error, errno == EACCES || errno == EAGAIN ? EBUSY : errno, "%s",
                           writer->path);
        if (still_named(writer))
            return true;
        io_close(&writer->fd);
    }
}

/* -- its place -- */

/* The directory of the file beneath files/, made where it is new: -1, errno. */
static int parent_open(const UploadWriter *writer, const char **name)
{
    g_auto(GStrv) parts = g_strsplit(writer->path, "/", -1);
    autofd at = openat(writer->directory, "files", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (char **part = parts; at >= 0 && part[1]; part++) {
        bool made = mkdirat(at, *part, 0700) == 0;
        if (!made && errno != EEXIST)
            return -1;
        if (made && fsync(at) < 0)
            return -1;
        int down = openat(at, *part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        io_close(&at);
        at = down;
    }
    const char *slash = strrchr(writer->path, '/');
    *name = slash ? slash + 1 : writer->path;
    return io_steal_fd(&at);
}

/* That the name is free for a file is better known before its bytes are sent. */
static bool place_is_free(const UploadWriter *writer, GError **error)
{
    const char *name;
    struct stat about;
    autofd parent = parent_open(writer, &name);
    if (parent < 0)
        return io_fail(error, errno, "%s", writer->path);
    if (fstatat(parent, name, &about, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(about.st_mode))
        return io_fail(error, EISDIR, "%s", writer->path);
    return true;
}

/* -- */

UploadWriter *upload_writer_open(const DataDirectory *data, const Upload *upload, const char *path,
                                 GError **error)
{
    struct stat about;
    g_autoptr(UploadWriter) writer = g_new0(UploadWriter, 1);
    writer->fd = -1;
    writer->path = g_strdup(path);
    writer->partial = partial_name(path);
    writer->directory = directory_open(data, upload, error);
    if (writer->directory < 0 || !place_is_free(writer, error) || !writer_lock(writer, error))
        return NULL;
    if (fstat(writer->fd, &about) < 0) {
        io_fail(error, errno, "%s", path);
        return NULL;
    }
    writer->received = writer->flushed = about.st_size;
    return g_steal_pointer(&writer);
}

void upload_writer_free(UploadWriter *writer)
{
    if (!writer)
        return;
    io_close(&writer->fd);
    io_close(&writer->directory);
    g_free(writer->path);
    g_free(writer->partial);
    g_free(writer);
}

bool upload_writer_restart(UploadWriter *writer, GError **error)
{
    const char *name;
    autofd parent = parent_open(writer, &name);
    bool placed = parent >= 0 && unlinkat(parent, name, 0) == 0;
    if (parent < 0 || (!placed && errno != ENOENT) || ftruncate(writer->fd, 0) < 0)
        return io_fail(error, errno, "%s", writer->path);
    writer->received = writer->flushed = 0;
    return true;
}

bool upload_writer_write(UploadWriter *writer, const void *bytes, size_t size, GError **error)
{
    if (!io_write_all(writer->fd, bytes, size, error)) {
        struct stat about; /* of a full disk: as far as it went */
        if (fstat(writer->fd, &about) == 0)
            writer->received = about.st_size;
        return false;
    }
    writer->received += (int64_t)size;
    /* Else everything is left to the fsync at the end. */
    if (writer->received - writer->flushed >= FLUSH_BYTES) {
        sync_file_range(writer->fd, writer->flushed, writer->received - writer->flushed,
                        SYNC_FILE_RANGE_WRITE);
        writer->flushed = writer->received;
    }
    return true;
}

bool upload_writer_sync(UploadWriter *writer, GError **error)
{
    return fdatasync(writer->fd) == 0 || io_fail(error, errno, "%s", writer->path);
}

char *upload_writer_digest(UploadWriter *writer, GError **error)
{
    char *digest = digest_of_file(writer->fd, INT64_MAX, error);
    if (!digest)
        g_prefix_error(error, "%s: ", writer->path);
    return digest;
}

bool upload_writer_finish(UploadWriter *writer, GError **error)
{
    const char *name;
    if (fsync(writer->fd) < 0)
        return io_fail(error, errno, "%s", writer->path);
    autofd parent = parent_open(writer, &name);
    if (parent < 0 || renameat(writer->directory, writer->partial, parent, name) < 0)
        return io_fail(error, errno, "%s", writer->path);
    return io_sync_directory(parent, error);
}

void upload_writer_drop(UploadWriter *writer)
{
    unlinkat(writer->directory, writer->partial, 0);
    writer->received = 0;
}

int64_t upload_partial_bytes(const DataDirectory *data, const Upload *upload, const char *path)
{
    struct stat about;
    g_autofree char *name = partial_name(path);
    g_autofree char *partial = g_build_filename(UPLOADS_DIRECTORY, upload->directory, name, NULL);
    return fstatat(data->fd, partial, &about, AT_SYMLINK_NOFOLLOW) == 0 ? about.st_size : 0;
}
