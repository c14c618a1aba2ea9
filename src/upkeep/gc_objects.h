/* The service's own bucket: the copies that deleted models have there go. */
#pragma once

#include "upkeep/gc.h"

/* Adds to the result. Nothing where objects.url is not set; of what lies there without a model that
 * the store knows as deleted, nothing is touched. */
bool gc_objects(Service *service, bool dry_run, GcResult *result, GError **error);
