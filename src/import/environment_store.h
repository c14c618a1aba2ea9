/* Environments where a registry keeps the images: each is an image in its repository
 * `environments`, the base and one layer, under its key. Of a layout there is nothing to do. */
#pragma once

#include "build/pack.h"
#include "import/service.h"
#include "store/attempts.h"
#include "store/environments.h"
#include "store/models.h"

/* Whether the environment's layer is there still; of a layout, under its lock. */
bool environment_is_kept(Service *service, const Environment *environment, bool *there,
                         GError **error);
/* Whether this layer of a package can. */
bool layer_may_hold_wheels(const LayerRow *row);
/* The layers of the model that can hold its wheels come into service->images, for the build. */
bool environment_fetch_wheels(Service *service, const Model *model, int attempt,
                              const GPtrArray *dependencies, GError **error);
/* What was built, from service->images. base: at hand there. */
bool environment_send(Service *service, const Image *base, const char *key,
                      const PackedLayer *layer, GError **error);
