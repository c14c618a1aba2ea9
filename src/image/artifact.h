/* An artifact that refers to an image (image-spec 1.1, manifest.md, "Guidelines for Artifact
 * Usage"): a manifest with a subject, an artifact type and an empty config, whose layers are
 * documents. */
#pragma once

#include "image/image.h"

#define ARTIFACT_MAX_BYTES ((size_t)64 << 20) /* of one of its documents */

typedef struct {
    const char *media_type;
    const void *data;
    size_t size;
} ArtifactPart;

typedef struct {
    Descriptor *manifest;
    char *type;
    GPtrArray *blobs; /* of Descriptor: the config, then its documents */
} Artifact;
void artifact_free(Artifact *artifact);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Artifact, artifact_free)

/* Writes the documents and the manifest. */
Artifact *artifact_make(Layout *layout, const Descriptor *subject, const char *type,
                        const ArtifactPart *parts, size_t count, GError **error);
/* Reads its manifest. */
Artifact *artifact_read(ImageSource *source, const Descriptor *manifest, GError **error);
/* Its first document of that media type, verified; NULL with *error unset: it has none. */
GBytes *artifact_document(ImageSource *source, const Artifact *artifact, const char *media_type,
                          GError **error);
