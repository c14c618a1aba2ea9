/* A model as programs see it: the details object (api.md, "GET …/models/{model_id}"), with
 * image_digest and layers. */
#pragma once

#include "import/import.h"

/* Of a rendered event what a list shows: seq, occur_time, event_type, reason, event_info,
 * event_info_cn. A new reference; null of what is no event. */
json_t *event_essentials(const char *event);

/* A new reference; NULL: *error. */
json_t *model_details(Service *service, const Model *model, GError **error);
/* The list item: the part of it that `waybill models --json` prints. */
json_t *model_item(Service *service, const Model *model, GError **error);
