/* Headers of ustar (POSIX.1-1988) with pax extended headers (POSIX.1-2001) where ustar does not
 * hold the path or the size. What is not the file's own is fixed (images.md, "Layers"): files 0644,
 * directories 0755, 1000:100, mtime 0. */
#pragma once

#include <glib.h>
#include <stdint.h>

#define TAR_BLOCK 512 /* bytes */

/* The header blocks of a regular file. */
void tar_append_file(GByteArray *out, const char *path, int64_t size);

/* The header blocks of the directories that hold path: `root` and those below it, without those
 * that hold `previous` as well (NULL: the first file). Called for files in the order of their
 * bytes, it puts each directory once, and where its own path, with a '/' at its end, sorts. */
void tar_append_parents(GByteArray *out, const char *root, const char *previous, const char *path);

/* How many zero bytes fill the last block of a content of this size. */
size_t tar_padding(int64_t size);
