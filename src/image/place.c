#include "image/place.h"

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
    json_auto_t *descriptor =
        place->source->resolve(place->source, reference->tag, reference->digest, error);
    return descriptor ? image_read(place->source, descriptor, platform, fault, error) : NULL;
}
