/* Files of a base image, out of its unpacked layers: the topmost that has one gives it. */
#pragma once

#include <glib.h>

/* At most 1 MiB of it; NULL: there is none. Links are followed within their layer only. The caller
 * frees it. */
char *rootfs_read(const char *lower_root, const GPtrArray *lowers, const char *path);
/* Where a link leads to, as it stands there. The caller frees it. */
char *rootfs_link(const char *lower_root, const GPtrArray *lowers, const char *path);
/* "3.11", of the python3 that is there; NULL: none. The caller frees it. */
char *rootfs_python(const char *lower_root, const GPtrArray *lowers);
/* The text of /etc/os-release. */
char *rootfs_os_release(const char *lower_root, const GPtrArray *lowers);
