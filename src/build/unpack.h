/* A layer as a directory that overlayfs can stand on: unpacked once and kept by its blob's
 * digest (a diff id is only what some config says), in DATA/unpacked/NAME, the name being the first
 * 24 hex digits (mount(2) takes one page of options, which has to hold some hundred names).
 *
 * Whiteouts become what overlayfs means by them: a 0/0 character device, trusted.overlay.opaque
 * (user.overlay.opaque in a user namespace).
 * Device nodes are left out: whoever runs the image has a /dev of his own. A directory appears
 * under its name only when it is whole; temporary ones of a process that was killed are removed by
 * unpack_sweep. Who is not root has deputies work (deputy.h), and a directory of his own beneath
 * DATA/unpacked: what it holds is right for one range of ids alone. */
#pragma once

#include "image/image.h"

/* Makes sure that every layer of the image is there, from `first` on. directory: absolute, made
 * where it is not there. Returns their names, topmost first, as overlayfs takes them (of char *).
 * IMAGE_ERROR: a layer cannot be read as an archive; G_IO_ERROR_CANCELLED: progress->stop. */
GPtrArray *unpack_image(const char *directory, Layout *layout, const Image *image,
                        Progress *progress, GError **error);
/* DATA/unpacked, or beneath it what is of the caller's user namespace. The caller frees it. */
char *unpack_directory(const char *data);
/* One layer into `into`, an empty directory. SANDBOX_ERROR_ROOT: a user namespace does not have an
 * owner's id. */
bool unpack_layer(Layout *layout, const char *digest, const char *into, Progress *progress,
                  GError **error);
/* Removes a tree, however it came about. It may not be there. */
bool unpack_remove(const char *path, GError **error);
/* Removes what a killed process left in `directory`. */
void unpack_sweep(const char *directory);
/* Nothing is collected in `directory`, which is made where it is not there, until this is closed.
 */
int unpack_hold(const char *directory, GError **error);
/* Removes, unless somebody holds them, the unpacked layers of a data directory that are not of
 * `kept` (a set of names, as unpack_name makes them), root's and its users'; and all of those that
 * were made for a range of ids that the caller had once. *count, with dry_run: how many would be.
 */
bool unpack_collect(const char *data, GHashTable *kept, bool dry_run, int *count, GError **error);
/* The caller frees it. */
char *unpack_name(const char *digest);
