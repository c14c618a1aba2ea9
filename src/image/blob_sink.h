/* Where the bytes of a blob go whose digest is not known yet: a layout (layout.h), or a repository
 * of a registry, to which they stream as they come. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "image/layout.h"
#include "image/registry.h"

typedef struct BlobSink BlobSink;
struct BlobSink {
    bool (*write)(BlobSink *sink, const void *data, size_t size, GError **error);
    /* All of it came: from here on the blob is there under its digest. *existed: it was before. */
    bool (*commit)(BlobSink *sink, const char *digest, bool *existed, GError **error);
    /* After a failure of the two. True, with *error cleared: the blob's bytes may come once more,
     * all of them from the first; what has arrived is not sent again. NULL: they never may. */
    bool (*again)(BlobSink *sink, GError **error);
    /* Drops what was not committed. */
    void (*free)(BlobSink *sink);
};

void blob_sink_free(BlobSink *sink);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BlobSink, blob_sink_free)
bool blob_sink_again(BlobSink *sink, GError **error);

BlobSink *layout_sink(Layout *layout, GError **error);
/* size: bytes that will come; -1: not known. The registry is borrowed. */
BlobSink *registry_sink(Registry *registry, int64_t size, GError **error);
