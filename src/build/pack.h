/* What the commands of a sandbox changed, as one deterministic layer.
 *
 * Entries sorted by their path's bytes, mtime 0, owners and modes as they are, hard links kept,
 * whiteouts as the image-spec has them. Left out: mount points, temporary files, logs, caches of
 * apt, dpkg, pip and ld, byte code, machine-id, pip's direct_url.json (it names our paths). A
 * directory is there when something in it is packed, or nothing is in it at all. */
#pragma once

#include "base/progress.h"
#include "image/layout.h"

typedef struct {
    char *digest; /* and diff id: it is not compressed */
    int64_t size, files;
    bool existed;
} PackedLayer;
void packed_layer_clear(PackedLayer *layer);

/* upper: as overlayfs writes it. *layer is all zeros when nothing is left to be packed. Who is not
 * root has a deputy do it (deputy.h): owners are those that the sandbox sees. */
bool pack_upper(int upper, Layout *layout, Progress *progress, PackedLayer *layer, GError **error);
