#include "base/held.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/io.h"

#define TRIES 100 /* each lost to a sweep that came in the moment before the lock */

/* What was locked may have lost its name meanwhile: to a sweep that had the lock first, or to its
 * maker, who may even have given the name to another since. */
static bool is_still(int lock, const char *path)
{
    struct stat ours, named;
    return fstat(lock, &ours) == 0 && lstat(path, &named) == 0 && ours.st_ino == named.st_ino &&
           ours.st_dev == named.st_dev;
}

int held_take(const char *path)
{
    autofd fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
        return -1;
    if (!is_still(fd, path)) {
        errno = ENOENT;
        return -1;
    }
    return io_steal_fd(&fd);
}

char *held_make(const char *below, const char *prefix, mode_t mode, int *lock, GError **error)
{
    g_autofree char *path = NULL;
    for (int i = 0; i < TRIES; i++) {
        g_free(path);
        path = g_strdup_printf("%s/%sXXXXXX", below, prefix);
        if (!g_mkdtemp_full(path, 0700))
            break;
        autofd taken = held_take(path);
        if (taken >= 0) {
            if (fchmod(taken, mode) < 0)
                break;
            *lock = io_steal_fd(&taken);
            return g_steal_pointer(&path);
        }
        if (errno != ENOENT && errno != EWOULDBLOCK)
            break;
    }
    io_fail(error, errno, "%s", path);
    return NULL;
}
