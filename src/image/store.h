/* Where images are kept (setting images.url): an OCI layout, or the repositories of a registry
 * beneath a namespace.
 *
 * Of a registry's images the data directory's layout is the workbench: there manifests and configs
 * are made, environments packed, and base images kept that environments are built upon. A model's
 * layers never come there: they stream from the package to their repository. Repositories:
 *
 *   NAMESPACE/PROJECT/NAME:VERSION   models (images.md, "Names")
 *   NAMESPACE/runtimes:NAME          base images
 *   NAMESPACE/environments:KEY       environments: the base and one layer
 *
 * Errors: IO_ERROR and IMAGE_ERROR of a layout, what registry.h says of a registry. */
#pragma once

#include "image/blob_sink.h"
#include "image/image.h"
#include "image/registry.h"

#define STORE_RUNTIMES     "runtimes"
#define STORE_ENVIRONMENTS "environments"

typedef struct ImageStore ImageStore;
typedef struct ImageRepository ImageRepository;

/* Whether it is what images.url may be: nothing, registry://HOST[:PORT][/NAMESPACE], or
 * registry+http://… without TLS. REFERENCE_ERROR. */
bool image_store_url_is_valid(const char *url, GError **error);
/* [registry+http://]HOST[:PORT][/NAMESPACE] of a registry, as references begin; NULL: it is none.
 * The caller frees it. */
char *image_store_url_place(const char *url);

/* layout: the store or, of a registry, the workbench; borrowed, as are settings and progress. */
ImageStore *image_store_new(Layout *layout, const Settings *settings, Progress *progress,
                            GError **error);
void image_store_free(ImageStore *store);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ImageStore, image_store_free)

bool image_store_is_registry(const ImageStore *store);
/* HOST[:PORT][/NAMESPACE]; NULL of a layout. */
const char *image_store_place(const ImageStore *store);
/* The registry whose request failed last, for whoever says so; NULL: none did. The store's. */
const Registry *image_store_failed(const ImageStore *store);

/* name: beneath the namespace. Nothing is asked yet. */
ImageRepository *image_repository_open(ImageStore *store, const char *name, GError **error);
void image_repository_free(ImageRepository *repository);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ImageRepository, image_repository_free)

/* What it has, as a source; its own. */
ImageSource *image_repository_source(ImageRepository *repository);
/* NULL of a layout. Its own. */
Registry *image_repository_registry(ImageRepository *repository);

/* size -1: any. Registries are asked by the digest alone. */
bool image_repository_has_blob(ImageRepository *repository, const char *digest, int64_t size,
                               bool *there, GError **error);
/* The same, but what another repository of the store (from) has comes here without being sent. */
bool image_repository_mount(ImageRepository *repository, const char *digest, int64_t size,
                            const char *from, bool *there, GError **error);
/* A blob on its way here. */
BlobSink *image_repository_sink(ImageRepository *repository, int64_t size, GError **error);
/* A small one. Returns its digest, the caller's. */
char *image_repository_put(ImageRepository *repository, GBytes *content, GError **error);

typedef struct {
    ImageSource *from;
    const Image *image;
    /* Each may be NULL. */
    const Registry *mount_from; /* what it has is mounted, where it is of the same registry */
    ImageFault *fault;
} ImageTaking;
typedef struct {
    int64_t sent, present; /* bytes; present: it had them, or they were mounted */
    bool source_failed;    /* of an error: it is the source's */
} ImageTaken;
/* The image's blobs and its manifest, each verified, counted in the store's progress. In a registry
 * the manifest, which gets no tag, is read back. */
bool image_repository_take(ImageRepository *repository, const ImageTaking *taking,
                           ImageTaken *taken, GError **error);
/* Of a registry: has the tag name an image that it has, and reads that back. Of a layout nothing:
 * its index.json is written from the store. */
bool image_repository_tag(ImageRepository *repository, const Image *image, const char *tag,
                          GError **error);
/* The same, where the tag names something else: *mended. */
bool image_repository_mend_tag(ImageRepository *repository, const Descriptor *manifest,
                               const char *tag, bool *mended, GError **error);
