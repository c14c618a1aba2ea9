/* A manifest or an index as somebody sends it: what it is, and what it needs (image-spec
 * manifest.md, image-index.md; Docker's image manifest version 2, schema 2). */
#pragma once

#include "image/source.h"

typedef struct {
    char *media_type;
    bool is_index;
    GPtrArray *needs;    /* of Descriptor: config and layers, or the manifests of an index */
    char *artifact_type; /* its own, else its config's media type; NULL: an index without one */
    char *subject;       /* the digest, or NULL */
    char *annotations;   /* JSON, or NULL */
} ManifestDocument;
void manifest_document_free(ManifestDocument *document);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ManifestDocument, manifest_document_free)

/* `media_type`: what it is sent as, NULL: nobody said. Layers that lie elsewhere by their URLs are
 * not needed. IMAGE_ERROR: it is neither, or not what it is sent as. */
ManifestDocument *manifest_document_read(GBytes *content, const char *media_type, GError **error);
