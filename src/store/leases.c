#include "store/leases.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/io.h"

#define ATTENDANCE (INT64_C(1) << 40) /* behind the bytes of all leases */

#define PRESENCE (INT64_C(1) << 41)

static int leases_open(DataDirectory *data, GError **error)
{
    int fd = openat(data->fd, "leases", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        io_fail(error, errno, "%s/leases", data->path);
    return fd;
}

static int byte_lock(DataDirectory *data, short type, int64_t byte, GError **error)
{
    autofd fd = leases_open(data, error);
    if (fd < 0)
        return -1;
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
        return io_steal_fd(&fd);
    if (errno != EAGAIN && errno != EACCES)
        io_fail(error, errno, "%s/leases", data->path);
    return -1;
}

static bool byte_is_locked(DataDirectory *data, int64_t byte)
{
    autofd fd = leases_open(data, NULL);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    return fd >= 0 && fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

int lease_take(DataDirectory *data, int64_t job, GError **error)
{
    return byte_lock(data, F_WRLCK, job, error);
}

bool lease_is_held(DataDirectory *data, int64_t job)
{
    return byte_is_locked(data, job);
}

int attendance_take(DataDirectory *data, int64_t job, GError **error)
{
    return byte_lock(data, F_RDLCK, ATTENDANCE + job, error);
}

bool attendance_is_held(DataDirectory *data, int64_t job)
{
    return byte_is_locked(data, ATTENDANCE + job);
}

int presence_take(DataDirectory *data, GError **error)
{
    return byte_lock(data, F_WRLCK, PRESENCE, error);
}

bool presence_is_held(DataDirectory *data)
{
    return byte_is_locked(data, PRESENCE);
}
