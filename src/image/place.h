/* Where a reference leads to: a layout, or a repository of a registry. */
#pragma once

#include "image/image.h"
#include "image/layout.h"
#include "image/reference.h"
#include "image/registry.h"

typedef struct {
    Layout *layout; /* one of the two */
    Registry *registry;
    ImageSource *source; /* it, borrowed */
} ImagePlace;

/* directory: of the layout, where it is not the reference's own (a package's are beneath the
 * package); or NULL. login: for a registry, taken over; NULL: anonymous. progress (may be NULL):
 * ends the waits for a registry. */
bool image_place_open(ImagePlace *place, const Reference *reference, const char *directory,
                      const Settings *settings, RegistryLogin *login, Progress *progress,
                      GError **error);
void image_place_clear(ImagePlace *place);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(ImagePlace, image_place_clear)

/* The image that the reference names there (image_read). fault may be NULL. */
Image *image_place_read(const ImagePlace *place, const Reference *reference, const char *platform,
                        ImageFault *fault, GError **error);
