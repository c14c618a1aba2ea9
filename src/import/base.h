/* Base images: what `waybill runtime` adds to and removes from the runtime table. */
#pragma once

#include "image/place.h"
#include "import/service.h"
#include "store/runtimes.h"

/* An image that is to become a base: looked at where it lies, nothing of ours is touched. */
typedef struct {
    Reference *reference;
    ImagePlace place;
    Image *image;
} BaseSource;

/* Resolves the reference, for the setting image.platform. */
BaseSource *base_open(const Settings *settings, const char *reference, GError **error);
void base_source_free(BaseSource *source);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BaseSource, base_source_free)
/* Whether its layers are there and whole; base_add finds that out by itself while it copies. */
bool base_verify(const BaseSource *source, GError **error);

/* Copies its blobs into our store, each verified, and records it. An unusable image adds nothing.
 */
Runtime *base_add(Service *service, const char *name, const char *engine, const BaseSource *source,
                  GError **error);
/* An image of `from` becomes the base image of that name, in the store of images. near: the
 * registry that it is of, or NULL. */
bool base_store(Service *service, const char *name, ImageSource *from, const Registry *near,
                const Image *image, GError **error);
bool base_remove(Service *service, const char *name, bool *found, GError **error);
