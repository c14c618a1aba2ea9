/* Manifests and configs (image-spec manifest.md, config.md, image-index.md): reading foreign ones,
 * making ours. */
#pragma once

#include "base/progress.h"
#include "image/layout.h"

typedef struct {
    char *media_type, *digest;
    int64_t size;
} Descriptor;
void descriptor_free(Descriptor *descriptor);

/* An image as its manifest (and config) describes it. */
typedef struct {
    Descriptor *manifest;
    Descriptor *config;
    GPtrArray *layers;   /* of Descriptor */
    GPtrArray *diff_ids; /* of char *; empty when the config has none */
    char *platform;      /* os/architecture[/variant] of the config */
    json_t *manifest_json, *config_json;
    int64_t size; /* manifest + config + layers, bytes */
} Image;
void image_free(Image *image);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Image, image_free)

/* The host's platform, e.g. "linux/amd64". */
const char *image_host_platform(void);

/* What an index offers, in `*platforms` (NULL-terminated, may be NULL), when the platform is not in
 * it (IMAGE_ERROR_PLATFORM). Reads the descriptor's manifest, through an index (platform picked)
 * where it is one, and its config. Manifest, index and config are verified by digest; layers are
 * looked at by image_copy. OCI and Docker media types. `*bad_digest`, when not NULL, is set to the
 * digest of the blob that is missing or damaged, `*found` to what its bytes hash to. Both the
 * caller's. */
typedef struct {
    char *bad_digest; /* or NULL */
    char *found;      /* or NULL */
    char **platforms; /* or NULL */
} ImageFault;
void image_fault_clear(ImageFault *fault);
Image *image_read(Layout *layout, const json_t *descriptor, const char *platform, ImageFault *fault,
                  GError **error);

/* Copies manifest, config and layers into `to`, each verified on its way; blobs that are there
 * already are verified by size and not copied again (*reused counts their bytes, *copied the
 * others'). */
bool image_copy(Layout *from, const Image *image, Layout *to, Progress *progress, int64_t *copied,
                int64_t *reused, ImageFault *fault, GError **error);

/* A layer of the image to be made. */
typedef struct {
    const char *media_type, *digest, *diff_id;
    int64_t size;
    const char *file; /* the single file of a large-file layer, or NULL */
    int64_t files;
} ImageLayer;

typedef struct {
    const Image *base;
    GPtrArray *layers; /* of ImageLayer, above the base's */
    const char *name, *version, *type, *description;
    int port;
} ImageSpec;

/* Base layers + model layers, deterministic: `created` absent, labels
 * org.opencontainers.image.title, .version, .description (when there is one) and
 * io.waybill.model.type; WorkingDir, User, Cmd, Entrypoint and Env are the base's, ExposedPorts the
 * base's and the port. Writes config and manifest into the layout, reads the manifest back and
 * returns the image. */
Image *image_make(Layout *layout, const ImageSpec *spec, GError **error);
