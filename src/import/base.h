/* Base images: what `waybill runtime` adds to and removes from the runtime table. */
#pragma once

#include "import/service.h"
#include "store/runtimes.h"

/* Resolves the reference, verifies the image, copies its blobs into our store, records it. An
 * unusable image adds nothing. */
Runtime *base_add(Service *service, const char *name, const char *engine, const char *reference,
                  GError **error);
bool base_remove(Service *service, const char *name, bool *found, GError **error);
