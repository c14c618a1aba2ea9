/* What files' content was when it was last read, in the store: (machine, device, inode, size,
 * mtime, ctime) -> digest. A file's digest is kept only if its ctime was 2 s older than the start
 * of the read that computed it: within the clock's grain a file can change without its times
 * telling. */
#pragma once

#include "base/digest.h"
#include "model/package.h"
#include "store/db.h"

/* machine: machine_id(). packed_as "": the content's digest; else the path of the file's own layer,
 * and that layer's digest. NULL with *error unset: not known. */
char *file_digest_known(Db *db, const char *machine, const PackageFile *file, const char *packed_as,
                        GError **error);
/* Within the caller's transaction. digest NULL: nothing is kept. read_at_ns: when the read began.
 */
bool file_digest_remember(Db *db, const char *machine, const PackageFile *file,
                          const char *packed_as, const char *digest, int64_t read_at_ns,
                          GError **error);

/* The recipe of a layer of several files, the digest over (path, size, SHA-256) of each: adds one
 * file. */
void recipe_add(Digest *recipe, const PackageFile *file, const char *digest);
