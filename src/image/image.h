/* Manifests and configs (image-spec manifest.md, config.md, image-index.md): reading foreign ones,
 * making ours. */
#pragma once

#include "base/progress.h"
#include "image/layout.h"

/* An image as its manifest (and config) describes it. */
typedef struct {
    Descriptor *manifest;
    Descriptor *config;
    GPtrArray *layers;   /* of Descriptor */
    GPtrArray *diff_ids; /* of char *, one a layer; empty when the config has none */
    char *platform;      /* os/architecture[/variant] of the config, without the variants that an
                            architecture means anyway (linux/arm64, not linux/arm64/v8) */
    json_t *manifest_json, *config_json;
    int64_t size; /* manifest + config + layers, bytes */
} Image;
void image_free(Image *image);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Image, image_free)

/* The host's platform, e.g. "linux/amd64". */
const char *image_host_platform(void);
/* Whether an image of that platform (as Image has it) is what was asked for: variants that an
 * architecture has anyhow do not count. */
bool image_platform_fits(const char *wanted, const char *platform);

/* What is wrong with an image, for those who say it; cleared by image_fault_clear. */
typedef struct {
    char *bad_digest; /* of the blob that is missing, damaged or cannot be read, or NULL */
    char *found;      /* what its bytes hash to; NULL: it is missing, or larger than it may be */
    char **platforms; /* IMAGE_ERROR_PLATFORM: what there is instead; NULL-terminated, or NULL */
} ImageFault;
void image_fault_clear(ImageFault *fault);

/* Reads the descriptor's manifest (ImageSource.resolve) and its config, both verified by digest and
 * size; layers are looked at by image_copy. An index is searched for the platform, those in it at
 * most two deep. platform NULL: the image's own, whatever it is, and of an index the host's. OCI
 * and Docker schema 2 media types; layers as tar, gzip or zstd. fault may be NULL. */
Image *image_read(ImageSource *source, const json_t *descriptor, const char *platform,
                  ImageFault *fault, GError **error);

/* Copies layers, config and manifest, in this order, into `to`, each verified on its way. What is
 * there already is not copied again (*reused counts its bytes, *copied the others'), but is
 * verified at its source all the same: a damaged image is one, however much of it we have. progress
 * counts the bytes of both; G_IO_ERROR_CANCELLED: progress->stop was seen. fault may be NULL. */
bool image_copy(ImageSource *from, const Image *image, Layout *to, Progress *progress,
                int64_t *copied, int64_t *reused, ImageFault *fault, GError **error);

/* One blob, as image_copy takes it: verified on its way, and at its source where `to` has it. */
bool image_copy_blob(ImageSource *from, const Descriptor *blob, Layout *to, Progress *progress,
                     ImageFault *fault, GError **error);
/* One blob re-hashed. IMAGE_ERROR: it is missing or damaged, and *fault says which. */
bool image_verify_blob(ImageSource *source, const Descriptor *blob, Progress *progress,
                       ImageFault *fault, GError **error);

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

/* Base layers + model layers, deterministic: `created` absent; the base's config with its own
 * labels and the labels org.opencontainers.image.title, .version, .description (when there is one)
 * and io.waybill.model.type, ExposedPorts the base's and the port; the base's history, where it
 * fits its layers, and ours. Layers are listed with OCI media types; ours have the annotation
 * io.waybill.file (of a large file's layer) or io.waybill.files (their number). Writes config and
 * manifest into the layout, reads them back and returns the image. IMAGE_ERROR_MALFORMED: the base
 * has not one diff id for each layer, or a text is not UTF-8. */
Image *image_make(Layout *layout, const ImageSpec *spec, GError **error);
