/* The service's own copy of a package (objects.url), and what gc does with those of deleted models.
 */
#pragma once

#include "import/pipeline.h"
#include "object/own_store.h"

/* Copies the package, which is read from there then. STAGE_CLOSED also where objects.url is not
 * set: *kept is NULL then, else the evidence of it (the caller's). */
StageResult own_copy_keep(Import *import, json_t **kept, GError **error);
