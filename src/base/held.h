/* Directories of work that may be killed: each is locked as long as its maker lives, and whoever
 * comes next removes those that nobody holds. */
#pragma once

#include <glib.h>
#include <sys/types.h>

/* Makes a directory of a name that begins with `prefix` in `below`, which is there, and holds it
 * until *lock is closed. Returns its path (the caller's), or NULL with IO_ERROR. */
char *held_make(const char *below, const char *prefix, mode_t mode, int *lock, GError **error);

/* Takes one whose maker is gone: the lock, to be closed once it is removed. -1: somebody has it. */
int held_take(const char *path);
