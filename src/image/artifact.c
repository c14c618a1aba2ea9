#include "image/artifact.h"

#include <string.h>

#include "base/digest.h"
#include "image/image_private.h"

#define MEDIA_EMPTY "application/vnd.oci.empty.v1+json"
#define EMPTY       "{}"

void artifact_free(Artifact *artifact)
{
    if (!artifact)
        return;
    descriptor_free(artifact->manifest);
    g_free(artifact->type);
    g_clear_pointer(&artifact->blobs, g_ptr_array_unref);
    g_free(artifact);
}

/* Stores a document; its descriptor, a new reference. */
static json_t *put_part(Layout *layout, const char *media_type, const void *data, size_t size,
                        GError **error)
{
    g_autofree char *digest = layout_put(layout, data, size, error);
    return digest ? image_descriptor(media_type, digest, (int64_t)size) : NULL;
}

static json_t *put_parts(Layout *layout, const ArtifactPart *parts, size_t count, GError **error)
{
    json_auto_t *layers = json_array();
    for (size_t i = 0; i < count; i++) {
        json_t *part = put_part(layout, parts[i].media_type, parts[i].data, parts[i].size, error);
        if (!part)
            return NULL;
        json_array_append_new(layers, part);
    }
    return json_incref(layers);
}

Artifact *artifact_make(Layout *layout, const Descriptor *subject, const char *type,
                        const ArtifactPart *parts, size_t count, GError **error)
{
    json_t *config = put_part(layout, MEDIA_EMPTY, EMPTY, strlen(EMPTY), error);
    json_t *layers = config ? put_parts(layout, parts, count, error) : NULL;
    if (!layers) {
        json_decref(config);
        return NULL;
    }
    json_auto_t *manifest =
        json_pack("{s:i, s:s, s:s, s:o, s:o, s:o}", "schemaVersion", 2, "mediaType",
                  IMAGE_MEDIA_MANIFEST, "artifactType", type, "config", config, "layers", layers,
                  "subject", image_descriptor(subject->media_type, subject->digest, subject->size));
    json_auto_t *descriptor = image_put_document(layout, manifest, IMAGE_MEDIA_MANIFEST, error);
    g_autoptr(Descriptor) own =
        descriptor ? image_json_descriptor(descriptor, "artifact", error) : NULL;
    return own ? artifact_read(layout_source(layout), own, error) : NULL;
}

static bool add_blob(Artifact *artifact, const json_t *json, const char *where, GError **error)
{
    Descriptor *blob = image_json_descriptor(json, where, error);
    if (blob)
        g_ptr_array_add(artifact->blobs, blob);
    return blob != NULL;
}

Artifact *artifact_read(ImageSource *source, const Descriptor *manifest, GError **error)
{
    const ImageReading reading = {source, NULL, NULL};
    g_autofree char *where = g_strdup_printf("artifact %s", manifest->digest);
    json_auto_t *document = image_load_document(&reading, manifest, false, where, error);
    if (!document || !image_check_document(document, manifest, where, error))
        return NULL;
    const json_t *layers = image_json_array(document, "layers", where, error);
    g_autoptr(Artifact) artifact = g_new0(Artifact, 1);
    artifact->blobs = g_ptr_array_new_with_free_func((GDestroyNotify)descriptor_free);
    artifact->type = g_strdup(json_string_value(json_object_get(document, "artifactType")));
    if (!layers || !add_blob(artifact, json_object_get(document, "config"), where, error))
        return NULL;
    for (size_t i = 0; i < json_array_size(layers); i++)
        if (!add_blob(artifact, json_array_get(layers, i), where, error))
            return NULL;
    artifact->manifest = g_new0(Descriptor, 1);
    artifact->manifest->media_type = g_strdup(manifest->media_type);
    artifact->manifest->digest = g_strdup(manifest->digest);
    artifact->manifest->size = manifest->size;
    return g_steal_pointer(&artifact);
}

/* All of a blob, verified. */
static GBytes *read_blob(ImageSource *source, const Descriptor *blob, GError **error)
{
    if (blob->size > (int64_t)ARTIFACT_MAX_BYTES) {
        g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_MALFORMED,
                    "%s is %" G_GINT64_FORMAT " bytes, expected at most %zu", blob->digest,
                    blob->size, ARTIFACT_MAX_BYTES);
        return NULL;
    }
    g_autoptr(BlobReader) reader = source->open(source, blob, error);
    g_autofree char *content = g_malloc((gsize)blob->size + 1);
    gsize done = 0;
    ssize_t got = reader ? 1 : -1;
    while (got > 0 && done <= (gsize)blob->size) {
        got = reader->read(reader, content + done, (gsize)blob->size + 1 - done, error);
        done += got > 0 ? (gsize)got : 0;
    }
    if (got < 0)
        return NULL;
    g_autofree char *found = digest_of(content, MIN(done, (gsize)blob->size));
    if (done == (gsize)blob->size && strcmp(found, blob->digest) == 0)
        return g_bytes_new_take(g_steal_pointer(&content), done);
    g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_DAMAGED,
                "blob %s in %s is damaged: its bytes hash to %s", blob->digest, source->name,
                found);
    return NULL;
}

GBytes *artifact_document(ImageSource *source, const Artifact *artifact, const char *media_type,
                          GError **error)
{
    for (guint i = 1; i < artifact->blobs->len; i++) {
        const Descriptor *blob = artifact->blobs->pdata[i];
        if (strcmp(blob->media_type, media_type) == 0)
            return read_blob(source, blob, error);
    }
    return NULL;
}
