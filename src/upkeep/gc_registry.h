/* gc where a registry keeps the images: the manifests of deleted models are deleted there. Their
 * blobs are for the registry's own collection. */
#pragma once

#include "upkeep/gc.h"

/* Under the lock of the layout that images are made in, alone: none comes meanwhile. A registry
 * that does not let us is no error: result->refused says it. */
bool gc_registry(Service *service, bool dry_run, GcResult *result, GError **error);
