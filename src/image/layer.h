/* The one-pass writer of deterministic layers (images.md, "Layers").
 *
 * Model bytes are read once and written once (image/blob_pipe.h). Memory does not grow with the
 * model.
 *
 * Entries are sorted by the bytes of their whole path, to which directories count their '/' at the
 * end: so a directory stands before what it holds. Each layer has the directories of its own files,
 * from home/mind/model down and each once; nothing above that, and no empty ones. Files are 0644,
 * directories 0755, 1000:100, mtime 0, no xattrs; pax headers stand only where ustar does not hold
 * the path or the size; two zero blocks end the layer. */
#pragma once

#include "base/progress.h"
#include "image/blob_sink.h"
#include "model/package.h"
#include "scan/scan.h"

#define LAYER_MEDIA_TYPE "application/vnd.oci.image.layer.v1.tar"
#define LAYER_ROOT       "home/mind/model"
#define LAYER_LARGE_FILE (64LL << 20) /* bytes: from here on a file has a layer of its own */
#define LAYER_SHARED_MAX (256LL << 20)
#define LAYER_MAX_COUNT  100 /* with base and environment */

/* The files that go into one layer: a slice of the package's sorted list. */
typedef struct LayerPlan {
    GPtrArray *files; /* of const PackageFile *, borrowed from the package, sorted by path */
    int64_t bytes;    /* of content */
} LayerPlan;

/* Shares the package's files out to at most `max_layers` (>= 1) layers, which hold them all: first
 * the shared layers, then the large files' own, both in the order of their paths. Where that takes
 * too many layers, both limits above are doubled until it does not, so that the largest files keep
 * theirs. Deterministic. Array of LayerPlan, owned; empty for an empty package. */
GPtrArray *layer_plan(const Package *package, int max_layers);
void layer_plan_free(LayerPlan *plan);
/* Whether this is one large file's own layer: its content is identified by the layer's digest. */
bool layer_plan_is_single(const LayerPlan *plan);
/* The headers that stand before the content of the plan's file number `index`: those of new
 * directories and its own. */
void layer_plan_headers(const LayerPlan *plan, guint index, GByteArray *out);

/* Size of the layer's blob in bytes, known before it is written. */
int64_t layer_plan_size(const LayerPlan *plan);

typedef struct {
    char *digest; /* of the blob and, the layer being uncompressed, its diff id */
    int64_t size;
    bool existed;       /* it was there already: nothing was added */
    GPtrArray *digests; /* of char *: SHA-256 of each file's content, in the plan's order; an
                           element is NULL for the single file of a large-file layer
                           (layer_plan_is_single) */
    json_t *reports; /* array: what a scan told of a file (scan/scan.h) where it is not quiet, with
                        its "path" */
} Layer;
void layer_free(Layer *layer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Layer, layer_free)

/* A layer of one small file that does not come from the package, at `path` from the root, without
 * entries for what holds it; path sorts before LAYER_ROOT. root: and of that directory, for a
 * package of which nothing else is packed. The caller's. */
GBytes *layer_of_text(const char *path, const char *text, bool root);

/* Packs the plan into a blob, scans each file while its bytes pass, and counts the bytes of content
 * in progress. Where the sink takes a blob again that broke, the package is read again. NULL with
 * *finding set when a file could not be read as it was listed (29), else with *error set (the
 * sink's; G_IO_ERROR_CANCELLED: progress->stop was seen). */
Layer *layer_write(const LayerPlan *plan, Package *package, BlobSink *sink, Progress *progress,
                   Event **finding, GError **error);
/* The same of a file's content alone: a blob that is no layer. */
Layer *layer_write_raw(const PackageFile *file, Package *package, BlobSink *sink,
                       Progress *progress, Event **finding, GError **error);
