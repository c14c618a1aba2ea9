/* A layer as a directory that overlayfs can stand on: unpacked once and kept by its blob's
 * digest (a diff id is only what some config says), in DATA/unpacked/NAME, the name being the first
 * 24 hex digits (mount(2) takes one page of options, which has to hold some hundred names).
 *
 * Whiteouts become what overlayfs means by them: a 0/0 character device, trusted.overlay.opaque.
 * Device nodes are left out: whoever runs the image has a /dev of his own. A directory appears
 * under its name only when it is whole; temporary ones of a process that was killed are removed by
 * unpack_sweep. Needs root. */
#pragma once

#include "image/image.h"

/* Makes sure that every layer of the image is there, from `first` on. directory: absolute, made
 * where it is not there. Returns their names, topmost first, as overlayfs takes them (of char *).
 * IMAGE_ERROR: a layer cannot be read as an archive; G_IO_ERROR_CANCELLED: progress->stop. */
GPtrArray *unpack_image(const char *directory, Layout *layout, const Image *image,
                        Progress *progress, GError **error);
/* One layer into `into`, an empty directory. */
bool unpack_layer(Layout *layout, const char *digest, const char *into, Progress *progress,
                  GError **error);
/* Removes a tree, however it came about. It may not be there. */
bool unpack_remove(const char *path, GError **error);
/* Removes what a killed process left in `directory`. */
void unpack_sweep(const char *directory);
/* Nothing is collected in `directory`, which is made where it is not there, until this is closed.
 */
int unpack_hold(const char *directory, GError **error);
/* Removes, unless somebody holds them, the layers that are not of `kept` (a set of names, as
 * unpack_name makes them); *count, with dry_run: how many would be. */
bool unpack_collect(const char *directory, GHashTable *kept, bool dry_run, int *count,
                    GError **error);
/* The caller frees it. */
char *unpack_name(const char *digest);
