/* Where a sandbox writes: a file system of exactly so many MiB. */
#pragma once

#include <stdbool.h>

/* A tmpfs of a kernel before Linux 6.6, which has no user.* attributes: overlayfs in a user
 * namespace can then not replace a directory of the base (EIO). */
#define SANDBOX_DISK_PLAIN "tmpfs without user.* attributes"

/* Mounts it at `place`: ext4 on a loop device over a sparse file in `scratch`, which costs disk
 * only as it is filled; where mkfs.ext4 or loop devices are missing, tmpfs, which costs memory.
 * In a user namespace it is always tmpfs. what: "ext4", "tmpfs" or SANDBOX_DISK_PLAIN; or, when
 * false is returned with errno set, what failed. Called in the helper: the loop device is freed
 * with its mount. */
bool sandbox_disk_mount(const char *scratch, const char *place, int mib, char what[64]);
