#include "image/place.h"

#include "image/image_private.h"

bool image_place_open(ImagePlace *place, const Reference *reference, const char *directory,
                      const Settings *settings, RegistryLogin *login, Progress *progress,
                      GError **error)
{
    if (reference->kind == REFERENCE_LAYOUT) {
        registry_login_free(login);
        place->layout = layout_open(directory ? directory : reference->directory, error);
        place->source = place->layout ? layout_source(place->layout) : NULL;
    } else {
        place->registry = registry_open(settings, reference, login, progress, error);
        place->source = place->registry ? registry_source(place->registry) : NULL;
    }
    return place->source != NULL;
}

void image_place_clear(ImagePlace *place)
{
    g_clear_pointer(&place->layout, layout_free);
    g_clear_pointer(&place->registry, registry_free);
    place->source = NULL;
}

Image *image_place_read(const ImagePlace *place, const Reference *reference, const char *platform,
                        ImageFault *fault, GError **error)
{
    g_autoptr(GError) failure = NULL;
    json_auto_t *descriptor =
        place->source->resolve(place->source, reference->tag, reference->digest, &failure);
    if (descriptor)
        return image_read(place->source, descriptor, platform, fault, error);
    if (g_error_matches(failure, IMAGE_ERROR, IMAGE_ERROR_DAMAGED))
        image_fault_set(fault, reference->digest, place->source->rehash(place->source, NULL));
    g_propagate_error(error, g_steal_pointer(&failure));
    return NULL;
}
