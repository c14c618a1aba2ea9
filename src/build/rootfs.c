#include "build/rootfs.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"

#define READ_MAX (1 << 20)

static int open_lower(const char *lower_root, const GPtrArray *lowers, guint i)
{
    g_autofree char *path = g_build_filename(lower_root, lowers->pdata[i], NULL);
    return open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

char *rootfs_read(const char *lower_root, const GPtrArray *lowers, const char *path)
{
    for (guint i = 0; i < lowers->len; i++) {
        autofd directory = open_lower(lower_root, lowers, i);
        autofd fd = directory >= 0 ? io_open_beneath(directory, path, O_RDONLY | O_CLOEXEC) : -1;
        if (fd < 0)
            continue;
        g_autofree char *text = g_malloc0(READ_MAX + 1);
        if (io_read_full(fd, text, READ_MAX, NULL) >= 0)
            return g_strdup(text);
    }
    return NULL;
}

char *rootfs_link(const char *lower_root, const GPtrArray *lowers, const char *path)
{
    char target[1024];
    g_autofree char *parent = g_path_get_dirname(path), *name = g_path_get_basename(path);
    for (guint i = 0; i < lowers->len; i++) {
        autofd root = open_lower(lower_root, lowers, i);
        autofd directory =
            root >= 0 ? io_open_beneath(root, parent, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
        ssize_t length =
            directory >= 0 ? readlinkat(directory, name, target, sizeof target - 1) : -1;
        if (length > 0)
            return g_strndup(target, (gsize)length);
    }
    return NULL;
}

char *rootfs_python(const char *lower_root, const GPtrArray *lowers)
{
    static const char *const PLACES[] = {"usr/local/bin/python3", "usr/bin/python3",
                                         "opt/conda/bin/python3"};
    for (size_t i = 0; i < G_N_ELEMENTS(PLACES); i++) {
        g_autofree char *link = rootfs_link(lower_root, lowers, PLACES[i]);
        const char *version = link ? strstr(link, "python3.") : NULL;
        if (version)
            return g_strdup(version + strlen("python"));
    }
    return NULL;
}

char *rootfs_os_release(const char *lower_root, const GPtrArray *lowers)
{
    char *text = rootfs_read(lower_root, lowers, "usr/lib/os-release");
    return text ? text : rootfs_read(lower_root, lowers, "etc/os-release");
}
