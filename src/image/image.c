/* Reading an image: descriptor -> (index ->) manifest -> config. */
#include "image/image.h"

#include <string.h>

#include "base/digest.h"
#include "image/image_private.h"

void image_free(Image *image)
{
    if (!image)
        return;
    descriptor_free(image->manifest);
    descriptor_free(image->config);
    g_clear_pointer(&image->layers, g_ptr_array_unref);
    g_clear_pointer(&image->diff_ids, g_ptr_array_unref);
    g_free(image->platform);
    json_decref(image->manifest_json);
    json_decref(image->config_json);
    g_free(image);
}

void image_fault_clear(ImageFault *fault)
{
    g_clear_pointer(&fault->bad_digest, g_free);
    g_clear_pointer(&fault->found, g_free);
    g_clear_pointer(&fault->platforms, g_strfreev);
}

void image_fault_set(ImageFault *fault, const char *digest, char *found)
{
    if (!fault) {
        g_free(found);
        return;
    }
    image_fault_clear(fault);
    fault->bad_digest = g_strdup(digest);
    fault->found = found;
}

DocumentKind image_document_kind(const char *media_type)
{
    if (strcmp(media_type, IMAGE_MEDIA_MANIFEST) == 0 ||
        strcmp(media_type, IMAGE_MEDIA_DOCKER_MANIFEST) == 0)
        return DOCUMENT_MANIFEST;
    if (strcmp(media_type, IMAGE_MEDIA_INDEX) == 0 ||
        strcmp(media_type, IMAGE_MEDIA_DOCKER_LIST) == 0)
        return DOCUMENT_INDEX;
    return DOCUMENT_UNKNOWN;
}

const char *image_layer_media_type(const char *media_type)
{
    static const struct {
        const char *found, *oci;
    } TYPES[] = {
        {IMAGE_MEDIA_LAYER, IMAGE_MEDIA_LAYER},
        {IMAGE_MEDIA_LAYER "+gzip", IMAGE_MEDIA_LAYER "+gzip"},
        {IMAGE_MEDIA_LAYER "+zstd", IMAGE_MEDIA_LAYER "+zstd"},
        {"application/vnd.docker.image.rootfs.diff.tar", IMAGE_MEDIA_LAYER},
        {"application/vnd.docker.image.rootfs.diff.tar.gzip", IMAGE_MEDIA_LAYER "+gzip"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(TYPES); i++)
        if (strcmp(media_type, TYPES[i].found) == 0)
            return TYPES[i].oci;
    return NULL;
}

/* The blob was read and is not what its descriptor says. */
static void note_bad_blob(const ImageReading *reading, const Descriptor *descriptor,
                          const GError *cause)
{
    char *found = NULL;
    if (g_error_matches(cause, IMAGE_ERROR, IMAGE_ERROR_DAMAGED))
        found = reading->source->rehash(reading->source, descriptor);
    else if (!g_error_matches(cause, IMAGE_ERROR, IMAGE_ERROR_NO_BLOB))
        return;
    image_fault_set(reading->fault, descriptor->digest, found);
}

json_t *image_load_document(const ImageReading *reading, const Descriptor *descriptor, bool is_blob,
                            const char *where, GError **error)
{
    g_autoptr(GError) cause = NULL;
    g_autoptr(GBytes) content = reading->source->read(reading->source, descriptor, is_blob, &cause);
    if (content && g_bytes_get_size(content) == (guint64)descriptor->size)
        return image_json_load(where, content, error);
    if (content)
        g_set_error(&cause, IMAGE_ERROR, IMAGE_ERROR_DAMAGED,
                    "%s is %zu bytes, expected %" G_GINT64_FORMAT, where, g_bytes_get_size(content),
                    descriptor->size);
    else
        g_prefix_error(&cause, "%s: ", where);
    note_bad_blob(reading, descriptor, cause);
    g_propagate_error(error, g_steal_pointer(&cause));
    return NULL;
}

bool image_check_document(const json_t *document, const Descriptor *descriptor, const char *where,
                          GError **error)
{
    const json_t *version = json_object_get(document, "schemaVersion");
    if (!json_is_integer(version) || json_integer_value(version) != 2)
        return image_json_fail(error, version, "2", "%s: schemaVersion", where);
    const json_t *media_type = json_object_get(document, "mediaType");
    if (media_type && g_strcmp0(json_string_value(media_type), descriptor->media_type) != 0)
        return image_json_fail(error, media_type, descriptor->media_type, "%s: mediaType", where);
    return true;
}

static bool fail_unsupported(GError **error, const char *where, const char *media_type,
                             const char *expected)
{
    g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_UNSUPPORTED, "%s is of media type %s, expected %s",
                where, media_type, expected);
    return false;
}

static bool read_layers(Image *image, const char *where, GError **error)
{
    const json_t *layers = image_json_array(image->manifest_json, "layers", where, error);
    if (!layers)
        return false;
    for (size_t i = 0; i < json_array_size(layers); i++) {
        g_autofree char *place = g_strdup_printf("%s: layers[%zu]", where, i);
        g_autoptr(Descriptor) layer =
            image_json_descriptor(json_array_get(layers, i), place, error);
        if (!layer)
            return false;
        if (!image_layer_media_type(layer->media_type))
            return fail_unsupported(error, place, layer->media_type,
                                    "a layer as tar, gzip or zstd that may be distributed");
        g_ptr_array_add(image->layers, g_steal_pointer(&layer));
    }
    return true;
}

static bool read_manifest(const ImageReading *reading, Image *image, GError **error)
{
    g_autofree char *where = g_strdup_printf("manifest %s", image->manifest->digest);
    image->manifest_json = image_load_document(reading, image->manifest, false, where, error);
    if (!image->manifest_json ||
        !image_check_document(image->manifest_json, image->manifest, where, error))
        return false;
    const json_t *config = image_json_object(image->manifest_json, "config", where, error);
    if (!config)
        return false;
    g_autofree char *place = g_strdup_printf("%s: config", where);
    image->config = image_json_descriptor(config, place, error);
    if (!image->config)
        return false;
    if (strcmp(image->config->media_type, IMAGE_MEDIA_CONFIG) != 0 &&
        strcmp(image->config->media_type, IMAGE_MEDIA_DOCKER_CONFIG) != 0)
        return fail_unsupported(error, place, image->config->media_type,
                                "the config of a container image");
    return read_layers(image, where, error);
}

static bool read_diff_ids(Image *image, const char *where, GError **error)
{
    if (!json_object_get(image->config_json, "rootfs"))
        return true;
    g_autofree char *place = g_strdup_printf("%s: rootfs", where);
    const json_t *rootfs = image_json_object(image->config_json, "rootfs", where, error);
    const json_t *list = rootfs ? image_json_array(rootfs, "diff_ids", place, error) : NULL;
    if (!list)
        return false;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *diff_id = json_array_get(list, i);
        if (!digest_is_valid(json_string_value(diff_id)))
            return image_json_fail(error, diff_id, "sha256: and 64 lower-case hex digits",
                                   "%s.diff_ids[%zu]", place, i);
        g_ptr_array_add(image->diff_ids, g_strdup(json_string_value(diff_id)));
    }
    if (image->diff_ids->len == image->layers->len)
        return true;
    g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_MALFORMED,
                "%s.diff_ids has %u entries, expected %u, one for each layer", place,
                image->diff_ids->len, image->layers->len);
    return false;
}

static bool read_config(const ImageReading *reading, Image *image, GError **error)
{
    g_autofree char *where = g_strdup_printf("config %s", image->config->digest);
    image->config_json = image_load_document(reading, image->config, true, where, error);
    if (!image->config_json || !read_diff_ids(image, where, error))
        return false;
    image->platform = image_platform_of(image->config_json, where, error);
    if (!image->platform)
        return false;
    if (!reading->platform || image_platform_fits(reading->platform, image->platform))
        return true;
    g_autoptr(GPtrArray) platforms = g_ptr_array_new();
    g_ptr_array_add(platforms, image->platform);
    image_fail_platform(reading, where, platforms, error);
    return false;
}

/* Sizes are what a foreign manifest says: their sum may be more than there is. */
static bool add_up(Image *image, GError **error)
{
    bool over = __builtin_add_overflow(image->manifest->size, image->config->size, &image->size);
    for (guint i = 0; i < image->layers->len && !over; i++) {
        const Descriptor *layer = image->layers->pdata[i];
        over = __builtin_add_overflow(image->size, layer->size, &image->size);
    }
    if (over)
        g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_MALFORMED,
                    "manifest %s: its sizes add up to more than 2^63 bytes",
                    image->manifest->digest);
    return !over;
}

Image *image_read(ImageSource *source, const json_t *json, const char *platform, ImageFault *fault,
                  GError **error)
{
    ImageReading reading = {source, platform, fault};
    g_autofree char *where = g_strdup_printf("%s: descriptor", source->name);
    g_autoptr(Descriptor) descriptor = image_json_descriptor(json, where, error);
    if (!descriptor)
        return NULL;
    DocumentKind kind = image_document_kind(descriptor->media_type);
    if (kind == DOCUMENT_UNKNOWN) {
        fail_unsupported(error, where, descriptor->media_type,
                         "a manifest or an index of OCI or Docker schema 2");
        return NULL;
    }
    g_autoptr(Image) image = g_new0(Image, 1);
    image->layers = g_ptr_array_new_with_free_func((GDestroyNotify)descriptor_free);
    image->diff_ids = g_ptr_array_new_with_free_func(g_free);
    image->manifest = kind == DOCUMENT_INDEX ? image_search_index(&reading, descriptor, error)
                                             : g_steal_pointer(&descriptor);
    if (!image->manifest || !read_manifest(&reading, image, error) ||
        !read_config(&reading, image, error) || !add_up(image, error))
        return NULL;
    return g_steal_pointer(&image);
}
