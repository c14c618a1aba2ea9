#include "store/leases.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/io.h"

static struct flock lease_of(int64_t job)
{
    return (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = job, .l_len = 1};
}

static int leases_open(DataDirectory *data, GError **error)
{
    int fd = openat(data->fd, "leases", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        io_fail(error, errno, "%s/leases", data->path);
    return fd;
}

int lease_take(DataDirectory *data, int64_t job, GError **error)
{
    autofd fd = leases_open(data, error);
    if (fd < 0)
        return -1;
    struct flock lock = lease_of(job);
    if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
        return io_steal_fd(&fd);
    if (errno != EAGAIN && errno != EACCES)
        io_fail(error, errno, "%s/leases", data->path);
    return -1;
}

bool lease_is_held(DataDirectory *data, int64_t job)
{
    autofd fd = leases_open(data, NULL);
    struct flock lock = lease_of(job);
    return fd >= 0 && fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}
