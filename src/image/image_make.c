/* The model image: the base's layers and config, with ours on top. Two imports of the same package
 * onto the same base give the same bytes, whenever and wherever they run: nothing here depends on
 * the time, the machine or the order in which jansson keeps members. */
#include <string.h>

#include "image/image_private.h"

#define RENDERING (JSON_SORT_KEYS | JSON_COMPACT)

static bool check_spec(const ImageSpec *spec, GError **error)
{
    const Image *base = spec->base;
    if (base->diff_ids->len != base->layers->len) {
        g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_MALFORMED,
                    "config %s has %u diff ids, expected %u, one for each layer",
                    base->config->digest, base->diff_ids->len, base->layers->len);
        return false;
    }
    const char *const texts[] = {spec->name, spec->version, spec->type,
                                 spec->description ? spec->description : ""};
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
        if (!g_utf8_validate(texts[i], -1, NULL)) {
            g_autofree char *readable = g_utf8_make_valid(texts[i], -1);
            g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_MALFORMED, "the label \"%s\" is not UTF-8",
                        readable);
            return false;
        }
    return true;
}

/* A member that is an object, made where the base has none (or null, as Docker writes it). */
static json_t *own_object(json_t *parent, const char *key)
{
    json_t *object = json_object_get(parent, key);
    if (json_is_object(object))
        return object;
    json_object_set_new(parent, key, json_object());
    return json_object_get(parent, key);
}

static json_t *make_settings(const ImageSpec *spec)
{
    const json_t *given = json_object_get(spec->base->config_json, "config");
    json_t *settings = json_is_object(given) ? json_deep_copy(given) : json_object();
    json_t *labels = own_object(settings, "Labels");
    json_object_set_new(labels, "org.opencontainers.image.title", json_string(spec->name));
    json_object_set_new(labels, "org.opencontainers.image.version", json_string(spec->version));
    json_object_set_new(labels, "io.waybill.model.type", json_string(spec->type));
    if (spec->description && *spec->description)
        json_object_set_new(labels, "org.opencontainers.image.description",
                            json_string(spec->description));
    else /* the base's own would be said of the model */
        json_object_del(labels, "org.opencontainers.image.description");
    g_autofree char *port = g_strdup_printf("%d/tcp", spec->port);
    json_object_set_new(own_object(settings, "ExposedPorts"), port, json_object());
    return settings;
}

/* Whether there is one entry for each layer beside those that say they have none. */
static bool history_fits(const json_t *history, guint layers)
{
    size_t i, count = 0;
    const json_t *entry;
    json_array_foreach (history, i, entry)
        count += !json_is_true(json_object_get(entry, "empty_layer"));
    return json_is_array(history) && count == layers;
}

/* The base's history and ours. A base whose history does not fit its layers would put our entries
 * to the wrong ones, so then there is none. NULL: none. */
static json_t *make_history(const ImageSpec *spec)
{
    const json_t *given = json_object_get(spec->base->config_json, "history");
    if (!history_fits(given, spec->base->layers->len))
        return NULL;
    json_t *history = json_deep_copy(given);
    for (guint i = 0; i < spec->layers->len; i++) {
        const ImageLayer *layer = spec->layers->pdata[i];
        g_autofree char *what = layer->file
                                    ? g_strdup(layer->file)
                                    : g_strdup_printf("%" G_GINT64_FORMAT " files", layer->files);
        g_autofree char *by =
            g_strdup_printf("waybill import %s:%s (%s)", spec->name, spec->version, what);
        json_array_append_new(history, json_pack("{s:s}", "created_by", by));
    }
    return history;
}

static void copy_member(json_t *to, const json_t *from, const char *key)
{
    json_t *value = json_object_get(from, key);
    if (value)
        json_object_set(to, key, value);
}

static json_t *make_config(const ImageSpec *spec)
{
    static const char *const PLATFORM[] = {"architecture", "os", "os.features", "os.version",
                                           "variant"};
    json_t *config = json_object();
    for (size_t i = 0; i < G_N_ELEMENTS(PLATFORM); i++)
        copy_member(config, spec->base->config_json, PLATFORM[i]);
    json_object_set_new(config, "config", make_settings(spec));

    json_t *diff_ids = json_array();
    for (guint i = 0; i < spec->base->diff_ids->len; i++)
        json_array_append_new(diff_ids, json_string(spec->base->diff_ids->pdata[i]));
    for (guint i = 0; i < spec->layers->len; i++) {
        const ImageLayer *layer = spec->layers->pdata[i];
        json_array_append_new(diff_ids, json_string(layer->diff_id));
    }
    json_object_set_new(config, "rootfs",
                        json_pack("{s:s, s:o}", "type", "layers", "diff_ids", diff_ids));
    json_t *history = make_history(spec);
    if (history)
        json_object_set_new(config, "history", history);
    return config;
}

json_t *image_descriptor(const char *media_type, const char *digest, int64_t size)
{
    return json_pack("{s:s, s:s, s:I}", "mediaType", media_type, "digest", digest, "size",
                     (json_int_t)size);
}

/* Only a layer of one file names it: registries bound manifests at 4 MiB. */
static json_t *make_own_layer(const ImageLayer *layer)
{
    json_t *descriptor = image_descriptor(layer->media_type, layer->digest, layer->size);
    json_t *annotations = json_object();
    if (layer->file) {
        json_object_set_new(annotations, "io.waybill.file", json_string(layer->file));
    } else {
        g_autofree char *files = g_strdup_printf("%" G_GINT64_FORMAT, layer->files);
        json_object_set_new(annotations, "io.waybill.files", json_string(files));
    }
    json_object_set_new(descriptor, "annotations", annotations);
    return descriptor;
}

/* Takes the config's descriptor over. */
static json_t *make_manifest(const ImageSpec *spec, json_t *config)
{
    json_t *layers = json_array();
    for (guint i = 0; i < spec->base->layers->len; i++) {
        const Descriptor *layer = spec->base->layers->pdata[i];
        json_array_append_new(layers, image_descriptor(image_layer_media_type(layer->media_type),
                                                       layer->digest, layer->size));
    }
    for (guint i = 0; i < spec->layers->len; i++)
        json_array_append_new(layers, make_own_layer(spec->layers->pdata[i]));
    return json_pack("{s:i, s:s, s:o, s:o}", "schemaVersion", 2, "mediaType", IMAGE_MEDIA_MANIFEST,
                     "config", config, "layers", layers);
}

json_t *image_put_document(Layout *layout, const json_t *document, const char *media_type,
                           GError **error)
{
    g_autofree char *text = json_dumps(document, RENDERING);
    g_autofree char *digest = layout_put(layout, text, strlen(text), error);
    return digest ? image_descriptor(media_type, digest, (int64_t)strlen(text)) : NULL;
}

Image *image_make(Layout *layout, const ImageSpec *spec, GError **error)
{
    if (!check_spec(spec, error))
        return NULL;
    json_auto_t *config = make_config(spec);
    json_t *config_descriptor = image_put_document(layout, config, IMAGE_MEDIA_CONFIG, error);
    if (!config_descriptor)
        return NULL;
    json_auto_t *manifest = make_manifest(spec, config_descriptor);
    json_auto_t *descriptor = image_put_document(layout, manifest, IMAGE_MEDIA_MANIFEST, error);
    return descriptor ? image_read(layout_source(layout), descriptor, NULL, NULL, error) : NULL;
}
