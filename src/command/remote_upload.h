/* A folder sent to a server, as its import would read it.
 *
 * Its id follows from what the folder holds (paths, sizes, times of change): the same command
 * again, after Ctrl-C or a lost connection, goes on with what is there already, and a changed
 * folder is another upload. */
#pragma once

#include "command/remote.h"
#include "model/package.h"

/* Sends the package's files (each beneath `under`, "model/" or ""), and `beside` (or NULL) to lie
 * beside model/. Several at once, each gone on with when its connection breaks. Returns the
 * upload's id; NULL: *error, a REMOTE_ERROR, or an IO_ERROR of a file that cannot be read or that
 * changed meanwhile. */
char *remote_upload(Remote *remote, Package *package, const char *under, const PackageFile *beside,
                    Progress *progress, GError **error);
