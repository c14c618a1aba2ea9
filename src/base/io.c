#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error_domain.h"

DEFINE_ERROR_DOMAIN(io_error);

bool io_fail(GError **error, int code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *message = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_set_error(error, IO_ERROR, code, "%s: %s", message, g_strerror(code));
    return false;
}

void io_close(int *fd)
{
    if (*fd >= 0) {
        int saved = errno;
        close(*fd);
        errno = saved;
    }
    *fd = -1;
}

int io_steal_fd(int *fd)
{
    int stolen = *fd;
    *fd = -1;
    return stolen;
}

bool io_write_all(int fd, const void *data, size_t size, GError **error)
{
    const char *at = data;
    while (size > 0) {
        ssize_t written = write(fd, at, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return io_fail(error, errno, "write");
        at += written;
        size -= (size_t)written;
    }
    return true;
}

ssize_t io_read_full(int fd, void *data, size_t size, GError **error)
{
    size_t done = 0;
    while (done < size) {
        ssize_t got = read(fd, (char *)data + done, size - done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            io_fail(error, errno, "read");
            return -1;
        }
        if (got == 0)
            break;
        done += (size_t)got;
    }
    return (ssize_t)done;
}

GBytes *io_read_file(int directory, const char *path, size_t limit, GError **error)
{
    autofd fd = openat(directory, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        io_fail(error, errno, "%s", path);
        return NULL;
    }
    g_autoptr(GByteArray) content = g_byte_array_new();
    for (;;) {
        guint at = content->len;
        g_byte_array_set_size(content, at + 65536);
        ssize_t got = io_read_full(fd, content->data + at, 65536, error);
        if (got < 0) {
            g_prefix_error(error, "%s: ", path);
            return NULL;
        }
        g_byte_array_set_size(content, at + (guint)got);
        if (content->len > limit) {
            io_fail(error, EFBIG, "%s is over %zu bytes", path, limit);
            return NULL;
        }
        if (got < 65536)
            return g_byte_array_free_to_bytes(g_steal_pointer(&content));
    }
}

bool io_replace_file(int directory, const char *name, const void *data, size_t size, mode_t mode,
                     GError **error)
{
    g_autofree char *temporary = g_strdup_printf("%s.%d.%08x.tmp", name, getpid(), g_random_int());
    autofd fd = openat(directory, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0)
        return io_fail(error, errno, "%s", temporary);
    bool done = io_write_all(fd, data, size, error);
    if (done && fsync(fd) < 0)
        done = io_fail(error, errno, "fsync %s", temporary);
    if (done && renameat(directory, temporary, directory, name) < 0)
        done = io_fail(error, errno, "rename %s to %s", temporary, name);
    if (!done) {
        unlinkat(directory, temporary, 0);
        g_prefix_error(error, "%s: ", name);
        return false;
    }
    return io_sync_directory(directory, error);
}

bool io_sync_directory(int directory, GError **error)
{
    if (fsync(directory) < 0)
        return io_fail(error, errno, "fsync of a directory");
    return true;
}

static bool directory_sync_path(const char *path, GError **error)
{
    autofd fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return io_fail(error, errno, "%s", path);
    return io_sync_directory(fd, error);
}

bool io_make_directories(const char *path, mode_t mode, GError **error)
{
    if (g_file_test(path, G_FILE_TEST_IS_DIR))
        return true;
    g_autofree char *parent = g_path_get_dirname(path);
    if (strcmp(parent, path) != 0 && !io_make_directories(parent, mode, error))
        return false;
    if (mkdir(path, mode) == 0)
        return directory_sync_path(parent, error);
    int code = errno;
    if (code == EEXIST && g_file_test(path, G_FILE_TEST_IS_DIR))
        return true; /* somebody was faster */
    return io_fail(error, code == EEXIST ? ENOTDIR : code, "%s", path);
}

/* The walk of io_open_beneath without openat2: a descriptor for each directory on the way down, so
 * that
 * ".." goes back to the one that it came from, whatever was renamed meanwhile. */
typedef struct {
    GArray *trail;    /* of int: the directories, the first one being a duplicate of the start */
    GPtrArray *ahead; /* of char *: components still to go, the next one last */
    int links;
} BeneathWalk;

static void walk_push(BeneathWalk *walk, const char *path)
{
    g_auto(GStrv) parts = g_strsplit(path, "/", -1);
    for (guint i = g_strv_length(parts); i > 0; i--)
        if (*parts[i - 1] && strcmp(parts[i - 1], ".") != 0)
            g_ptr_array_add(walk->ahead, g_strdup(parts[i - 1]));
}

static int walk_top(const BeneathWalk *walk)
{
    return g_array_index(walk->trail, int, walk->trail->len - 1);
}

static int walk_up(BeneathWalk *walk)
{
    if (walk->trail->len == 1)
        return EXDEV;
    close(walk_top(walk));
    g_array_set_size(walk->trail, walk->trail->len - 1);
    return 0;
}

static int walk_follow(BeneathWalk *walk, const char *name)
{
    char target[PATH_MAX];
    ssize_t length = readlinkat(walk_top(walk), name, target, sizeof target - 1);
    if (length < 0)
        return errno;
    target[length] = '\0';
    if (*target == '/')
        return EXDEV;
    if (++walk->links > 40)
        return ELOOP;
    walk_push(walk, target);
    return 0;
}

/* One component: 0 to go on, else an errno. *opened is set by the last one. */
static int walk_step(BeneathWalk *walk, int flags, int *opened)
{
    g_autofree char *name = g_ptr_array_steal_index(walk->ahead, walk->ahead->len - 1);
    if (strcmp(name, "..") == 0)
        return walk_up(walk);
    struct stat about;
    if (fstatat(walk_top(walk), name, &about, AT_SYMLINK_NOFOLLOW) < 0)
        return errno;
    bool last = walk->ahead->len == 0;
    if (S_ISLNK(about.st_mode) && !(last && flags & O_NOFOLLOW))
        return walk_follow(walk, name);
    int down = last ? flags | O_NOFOLLOW : O_PATH | O_DIRECTORY | O_NOFOLLOW;
    int fd = openat(walk_top(walk), name, down | O_CLOEXEC);
    if (fd < 0)
        return errno;
    if (last)
        *opened = fd;
    else
        g_array_append_val(walk->trail, fd);
    return 0;
}

int io_open_beneath_walking(int directory, const char *path, int flags)
{
    int start = openat(directory, ".", O_PATH | O_DIRECTORY | O_CLOEXEC), opened = -1;
    if (start < 0)
        return -1;
    BeneathWalk walk = {.trail = g_array_new(FALSE, FALSE, sizeof(int)),
                        .ahead = g_ptr_array_new_with_free_func(g_free)};
    g_array_append_val(walk.trail, start);
    int code = *path == '/' ? EXDEV : *path ? 0 : ENOENT;
    walk_push(&walk, path);
    while (code == 0 && opened < 0 && walk.ahead->len > 0)
        code = walk_step(&walk, flags, &opened);
    if (code == 0 && opened < 0) { /* it ends at a directory of the trail: ".", "a/.." */
        opened = openat(walk_top(&walk), ".", flags | O_CLOEXEC);
        code = opened < 0 ? errno : 0;
    }
    for (guint i = 0; i < walk.trail->len; i++)
        close(g_array_index(walk.trail, int, i));
    g_array_unref(walk.trail);
    g_ptr_array_unref(walk.ahead);
    errno = code;
    return opened;
}

int io_open_beneath(int directory, const char *path, int flags)
{
    struct open_how how = {.flags = (uint64_t)(flags | O_CLOEXEC),
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    int fd;
    do
        fd = (int)syscall(SYS_openat2, directory, path, &how, sizeof(how));
    while (fd < 0 && (errno == EAGAIN || errno == EINTR));
    if (fd >= 0 || (errno != ENOSYS && errno != EPERM))
        return fd;
    return io_open_beneath_walking(directory, path, flags);
}
