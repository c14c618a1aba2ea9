#include "image/manifest_document.h"

#include <string.h>

#include "image/image_json.h"

#define EXPECTED "a manifest or an index of OCI or of Docker's schema 2"

void manifest_document_free(ManifestDocument *document)
{
    if (!document)
        return;
    g_free(document->media_type);
    g_ptr_array_unref(document->needs);
    g_free(document->artifact_type);
    g_free(document->subject);
    g_free(document->annotations);
    g_free(document);
}

/* -- what it is -- */

/* The header's without parameters. The caller frees it. */
static char *bare_type(const char *header)
{
    char *type = g_strndup(header, strcspn(header, ";"));
    return g_strstrip(type);
}

static bool know_type(ManifestDocument *document)
{
    const char *type = document->media_type;
    document->is_index =
        strcmp(type, IMAGE_MEDIA_INDEX) == 0 || strcmp(type, IMAGE_MEDIA_DOCKER_LIST) == 0;
    return document->is_index || strcmp(type, IMAGE_MEDIA_MANIFEST) == 0 ||
           strcmp(type, IMAGE_MEDIA_DOCKER_MANIFEST) == 0;
}

/* What it calls itself must be what it is sent as: else the same bytes would mean two things. */
static bool read_type(ManifestDocument *document, const json_t *json, const char *sent,
                      GError **error)
{
    const json_t *own = json_object_get(json, "mediaType");
    const json_t *version = json_object_get(json, "schemaVersion");
    if (!json_is_integer(version) || json_integer_value(version) != 2)
        return image_json_fail(error, version, "2", "schemaVersion");
    if (own && !json_is_string(own))
        return image_json_fail(error, own, "a string", "mediaType");
    if (sent)
        document->media_type = bare_type(sent);
    else if (own)
        document->media_type = g_strdup(json_string_value(own));
    else
        document->media_type =
            g_strdup(json_object_get(json, "manifests") ? IMAGE_MEDIA_INDEX : IMAGE_MEDIA_MANIFEST);
    if (!know_type(document)) {
        g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_UNSUPPORTED,
                    "the media type is %.100s, expected " EXPECTED, document->media_type);
        return false;
    }
    return !own || strcmp(json_string_value(own), document->media_type) == 0 ||
           image_json_fail(error, own, document->media_type, "mediaType");
}

/* -- what it needs -- */

static bool need(ManifestDocument *document, const json_t *json, const char *where, GError **error)
{
    Descriptor *descriptor = image_json_descriptor(json, where, error);
    if (!descriptor)
        return false;
    const json_t *urls = json_object_get(json, "urls");
    if (!document->is_index && json_array_size(urls) > 0)
        descriptor_free(descriptor); /* it is there, and need not be here */
    else
        g_ptr_array_add(document->needs, descriptor);
    return true;
}

static bool need_each(ManifestDocument *document, const json_t *json, const char *key,
                      GError **error)
{
    size_t i;
    json_t *item;
    json_t *items = image_json_array(json, key, "the document", error);
    if (!items)
        return false;
    json_array_foreach (items, i, item) {
        g_autofree char *where = g_strdup_printf("%s[%zu]", key, i);
        if (!need(document, item, where, error))
            return false;
    }
    return true;
}

static bool read_needs(ManifestDocument *document, const json_t *json, GError **error)
{
    if (document->is_index)
        return need_each(document, json, "manifests", error);
    const json_t *config = image_json_object(json, "config", "the document", error);
    if (!config || !need(document, config, "config", error))
        return false;
    document->artifact_type = g_strdup(json_string_value(json_object_get(config, "mediaType")));
    return need_each(document, json, "layers", error);
}

/* -- what it says of itself -- */

static bool read_subject(ManifestDocument *document, const json_t *json, GError **error)
{
    const json_t *subject = json_object_get(json, "subject");
    g_autoptr(Descriptor) descriptor =
        subject ? image_json_descriptor(subject, "subject", error) : NULL;
    if (descriptor)
        document->subject = g_strdup(descriptor->digest);
    return descriptor || !subject;
}

static bool read_annotations(ManifestDocument *document, const json_t *json, GError **error)
{
    const char *key;
    json_t *value;
    json_t *annotations = json_object_get(json, "annotations");
    if (!annotations)
        return true;
    if (!json_is_object(annotations))
        return image_json_fail(error, annotations, "an object", "annotations");
    json_object_foreach (annotations, key, value)
        if (!json_is_string(value))
            return image_json_fail(error, value, "a string", "annotations: %.100s", key);
    char *text = json_dumps(annotations, JSON_COMPACT);
    document->annotations = g_strdup(text);
    free(text);
    return true;
}

static bool read_artifact_type(ManifestDocument *document, const json_t *json, GError **error)
{
    const json_t *type = json_object_get(json, "artifactType");
    if (!type)
        return true;
    if (!json_is_string(type))
        return image_json_fail(error, type, "a string", "artifactType");
    if (*json_string_value(type)) {
        g_free(document->artifact_type);
        document->artifact_type = g_strdup(json_string_value(type));
    }
    return true;
}

ManifestDocument *manifest_document_read(GBytes *content, const char *media_type, GError **error)
{
    json_auto_t *json = image_json_load("the document", content, error);
    if (!json)
        return NULL;
    g_autoptr(ManifestDocument) document = g_new0(ManifestDocument, 1);
    document->needs = g_ptr_array_new_with_free_func((GDestroyNotify)descriptor_free);
    bool good = read_type(document, json, media_type, error) && read_needs(document, json, error) &&
                read_artifact_type(document, json, error) && read_subject(document, json, error) &&
                read_annotations(document, json, error);
    return good ? g_steal_pointer(&document) : NULL;
}
