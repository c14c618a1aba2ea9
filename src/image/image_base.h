/* A base image of our own, from nothing but its layers. */
#pragma once

#include "image/image.h"

/* `layers`: of ImageLayer, the lowest first; `settings`: the config's own "config" object
 * (image-spec config.md), borrowed; `made_by`: of each layer, what its history says. For the host's
 * platform. Deterministic, as image_make: `created` is absent. Writes config and manifest into the
 * layout, reads them back and returns the image. */
Image *image_make_base(Layout *layout, const GPtrArray *layers, json_t *settings,
                       const char *const *made_by, GError **error);
