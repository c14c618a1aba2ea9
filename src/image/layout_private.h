/* What the files that implement layout.h share. */
#pragma once

#include "image/layout.h"

#define LAYOUT_BLOBS     "blobs/sha256"
#define LAYOUT_TEMPORARY "tmp"
#define LAYOUT_PARTIAL   "partial"
#define LAYOUT_INDEX     "index.json"
#define LAYOUT_MAX_JSON  IMAGE_MAX_JSON     /* bytes: manifests, configs, foreign index.json */
#define LAYOUT_MAX_INDEX ((size_t)64 << 20) /* bytes: our own index.json */

struct Layout {
    ImageSource source;
    char *directory; /* as it was given: what messages name */
    int fd;
    int blobs, temporary, partial; /* of layout_create; -1 where the layout is only read */
};

struct BlobWriter {
    Layout *layout;
    int directory; /* tmp/ or partial/, the layout's */
    char *name;    /* in it; NULL once it is published */
    bool resumable;
    int fd;
    /* Bytes written; those of them on their way to the disk; those that have left the cache. */
    int64_t size, started, dropped;
};
/* The lock of who writes a file (F_OFD_SETLK, F_OFD_SETLKW), until it is closed; false and errno.
 */
bool blob_lock_file(int fd, int command);

/* What makes the layout a source: source.h. */
void layout_become_source(Layout *layout);

/* Opens a regular file beneath the layout, which may be anybody's: never a link, a device or a
 * pipe. A file that is not there is the error `missing`. -1 on failure. */
int layout_open_file(const Layout *layout, const char *path, ImageError missing, GError **error);
/* All of it, at most `limit` bytes: more is IMAGE_ERROR_MALFORMED. */
GBytes *layout_read_file(const Layout *layout, const char *path, size_t limit, ImageError missing,
                         GError **error);

/* The lock under which index.json and oci-layout are written: one writer at a time. A file
 * descriptor that holds it until it is closed; -1 on failure. */
int layout_lock_index(Layout *layout, GError **error);
/* Whether a whole blob of this size is there. -1: any size. */
bool layout_stores(const Layout *layout, const char *digest, int64_t size);
