/* Where a sandbox writes: a file system of exactly so many MiB. */
#pragma once

#include <stdbool.h>

/* Mounts it at `place`: ext4 on a loop device over a sparse file in `scratch`, which costs disk
 * only as it is filled; where mkfs.ext4 or loop devices are missing, tmpfs, which costs memory.
 * what: "ext4" or "tmpfs"; or, when false is returned with errno set, what failed. Called in the
 * helper: the loop device is freed with its mount. */
bool sandbox_disk_mount(const char *scratch, const char *place, int mib, char what[64]);
