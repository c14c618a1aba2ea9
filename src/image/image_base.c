#include "image/image_base.h"

#include <string.h>

#include "image/image_private.h"

static json_t *make_config(const GPtrArray *layers, json_t *settings, const char *const *made_by)
{
    json_t *diff_ids = json_array(), *history = json_array();
    for (guint i = 0; i < layers->len; i++) {
        const ImageLayer *layer = layers->pdata[i];
        json_array_append_new(diff_ids, json_string(layer->diff_id));
        json_array_append_new(history, json_pack("{s:s}", "created_by", made_by[i]));
    }
    const char *platform = image_host_platform();
    const char *slash = strchr(platform, '/');
    g_auto(GStrv) architecture = g_strsplit(slash + 1, "/", 2);
    json_t *config =
        json_pack("{s:s%, s:s, s:O, s:{s:s, s:o}, s:o}", "os", platform, (size_t)(slash - platform),
                  "architecture", architecture[0], "config", settings, "rootfs", "type", "layers",
                  "diff_ids", diff_ids, "history", history);
    if (architecture[1])
        json_object_set_new(config, "variant", json_string(architecture[1]));
    return config;
}

/* Takes the config's descriptor over. */
static json_t *make_manifest(const GPtrArray *layers, json_t *config)
{
    json_t *descriptors = json_array();
    for (guint i = 0; i < layers->len; i++) {
        const ImageLayer *layer = layers->pdata[i];
        json_array_append_new(descriptors,
                              image_descriptor(layer->media_type, layer->digest, layer->size));
    }
    return json_pack("{s:i, s:s, s:o, s:o}", "schemaVersion", 2, "mediaType", IMAGE_MEDIA_MANIFEST,
                     "config", config, "layers", descriptors);
}

Image *image_make_base(Layout *layout, const GPtrArray *layers, json_t *settings,
                       const char *const *made_by, GError **error)
{
    json_auto_t *config = make_config(layers, settings, made_by);
    json_t *config_descriptor = image_put_document(layout, config, IMAGE_MEDIA_CONFIG, error);
    if (!config_descriptor)
        return NULL;
    json_auto_t *manifest = make_manifest(layers, config_descriptor);
    json_auto_t *descriptor = image_put_document(layout, manifest, IMAGE_MEDIA_MANIFEST, error);
    return descriptor ? image_read(layout_source(layout), descriptor, NULL, NULL, error) : NULL;
}
