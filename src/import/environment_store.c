#include "import/environment_store.h"

#include <string.h>

#include "base/digest.h"
#include "build/install.h"
#include "image/layer.h"

bool environment_is_kept(Service *service, const Environment *environment, bool *there,
                         GError **error)
{
    *there = true;
    if (!environment->layer)
        return true;
    g_autoptr(ImageRepository) images =
        image_repository_open(service->store, STORE_ENVIRONMENTS, error);
    return images && image_repository_has_blob(images, environment->layer, environment->layer_size,
                                               there, error);
}

/* Of one file only that one's layer is told apart. */
bool layer_may_hold_wheels(const LayerRow *row)
{
    return strcmp(row->origin, "model") == 0 && (!row->file || g_str_has_suffix(row->file, ".whl"));
}

static bool wants_wheels(const GPtrArray *dependencies)
{
    for (guint i = 0; i < dependencies->len; i++)
        if (dependency_is_wheel(dependencies->pdata[i]))
            return true;
    return false;
}

bool environment_fetch_wheels(Service *service, const Model *model, int attempt,
                              const GPtrArray *dependencies, GError **error)
{
    if (!image_store_is_registry(service->store) || !wants_wheels(dependencies))
        return true;
    g_autoptr(ImageRepository) images =
        service_repository(service, model->project, model->name, error);
    g_autoptr(GPtrArray) rows = images ? layers_of(service->db, model->id, attempt, error) : NULL;
    if (!rows)
        return false;
    ImageSource *source = image_repository_source(images);
    source->spares = true;
    for (guint i = 0; i < rows->len; i++) {
        const LayerRow *row = rows->pdata[i];
        const Descriptor blob = {row->media_type, row->digest, row->size};
        if (layer_may_hold_wheels(row) &&
            !image_copy_blob(source, &blob, service->images, &service->progress, NULL, error))
            return false;
    }
    return true;
}

static Image *environment_image(Service *service, const Image *base, const char *tag,
                                const PackedLayer *packed, GError **error)
{
    ImageLayer layer = {.media_type = LAYER_MEDIA_TYPE,
                        .digest = packed->digest,
                        .diff_id = packed->digest,
                        .size = packed->size,
                        .files = packed->files};
    g_autoptr(GPtrArray) layers = g_ptr_array_new();
    g_ptr_array_add(layers, &layer);
    const ImageSpec spec = {.base = base,
                            .layers = layers,
                            .name = "environment",
                            .version = tag,
                            .type = "environment",
                            .port = 8080};
    return image_make(service->images, &spec, error);
}

bool environment_send(Service *service, const Image *base, const char *key,
                      const PackedLayer *layer, GError **error)
{
    ImageTaken taken;
    if (!image_store_is_registry(service->store) || !layer->digest)
        return true;
    const char *tag = digest_is_valid(key) ? digest_hex(key) : key;
    g_autoptr(Image) image = environment_image(service, base, tag, layer, error);
    g_autoptr(ImageRepository) runtimes =
        image ? image_repository_open(service->store, STORE_RUNTIMES, error) : NULL;
    g_autoptr(ImageRepository) images =
        runtimes ? image_repository_open(service->store, STORE_ENVIRONMENTS, error) : NULL;
    const ImageTaking taking = {.from = layout_source(service->images),
                                .image = image,
                                .mount_from = images ? image_repository_registry(runtimes) : NULL};
    return images && image_repository_take(images, &taking, &taken, error) &&
           image_repository_tag(images, image, tag, error);
}
