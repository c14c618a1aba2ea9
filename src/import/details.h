/* A model as programs see it: the details object (api.md, "GET …/models/{model_id}"), with
 * image_digest and layers. */
#pragma once

#include "import/import.h"

/* A new reference; NULL: *error. */
json_t *model_details(Service *service, const Model *model, GError **error);
/* The list item: the part of it that `waybill models --json` prints. */
json_t *model_item(Service *service, const Model *model, GError **error);
