#include "build/sandbox_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/io.h"
#include "build/userns.h"

#define LOOP_MAJOR 7
#define TRIES      32 /* others take loop devices too */

static bool make_file_system(const char *file)
{
    static const char *const PLACES[] = {"/usr/sbin/mkfs.ext4", "/sbin/mkfs.ext4"};
    const char *program = NULL;
    for (size_t i = 0; i < G_N_ELEMENTS(PLACES) && !program; i++)
        program = access(PLACES[i], X_OK) == 0 ? PLACES[i] : NULL;
    if (!program)
        return false;
    pid_t child = fork();
    if (child == 0) {
        int nowhere = open("/dev/null", O_RDWR);
        dup2(nowhere, STDIN_FILENO);
        dup2(nowhere, STDOUT_FILENO);
        dup2(nowhere, STDERR_FILENO);
        execl(program, program, "-q", "-F", "-m", "0", "-O", "^has_journal,^resize_inode", "-E",
              "lazy_itable_init=1,nodiscard,root_owner=0:0", file, NULL);
        _exit(127);
    }
    int status;
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int open_loop(int control, char name[32])
{
    int number = ioctl(control, LOOP_CTL_GET_FREE);
    if (number < 0)
        return -1;
    g_snprintf(name, 32, "/dev/loop%d", number);
    int fd = open(name, O_RDWR | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT &&
        mknod(name, S_IFBLK | 0600, makedev(LOOP_MAJOR, (unsigned)number)) == 0)
        fd = open(name, O_RDWR | O_CLOEXEC);
    return fd;
}

static bool mount_loop(const char *file, const char *place)
{
    char name[32];
    autofd control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    autofd backing = open(file, O_RDWR | O_CLOEXEC);
    for (int i = 0; control >= 0 && backing >= 0 && i < TRIES; i++) {
        autofd loop = open_loop(control, name);
        const struct loop_config config = {.fd = (unsigned)backing,
                                           .info.lo_flags = LO_FLAGS_AUTOCLEAR};
        if (loop < 0)
            return false;
        if (ioctl(loop, LOOP_CONFIGURE, &config) == 0)
            return mount(name, place, "ext4", MS_NOSUID | MS_NODEV | MS_NOATIME, "discard") == 0;
        if (errno != EBUSY)
            return false;
    }
    return false;
}

static bool make_loop(const char *scratch, const char *place, int mib)
{
    g_autofree char *file = g_strconcat(scratch, "/disk.ext4", NULL);
    autofd fd = open(file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    return fd >= 0 && ftruncate(fd, (off_t)mib << 20) == 0 && make_file_system(file) &&
           mount_loop(file, place);
}

/* Root's overlayfs uses trusted.*, which every tmpfs has. */
static bool takes_attributes(const char *place)
{
    return !userns_inside() || (setxattr(place, "user.overlay.try", "y", 1, 0) == 0 &&
                                removexattr(place, "user.overlay.try") == 0);
}

bool sandbox_disk_mount(const char *scratch, const char *place, int mib, char what[64])
{
    if (!userns_inside() && make_loop(scratch, place, mib)) {
        g_strlcpy(what, "ext4", 64);
        return true;
    }
    g_autofree char *options = g_strdup_printf("size=%dm,mode=0755", mib);
    if (mount("tmpfs", place, "tmpfs", MS_NOSUID | MS_NODEV, options) == 0) {
        g_strlcpy(what, takes_attributes(place) ? "tmpfs" : SANDBOX_DISK_PLAIN, 64);
        return true;
    }
    g_strlcpy(what, "the sandbox's disk cannot be mounted", 64);
    return false;
}
