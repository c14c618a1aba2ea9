/* The config of a model in its image. One that lies in the package, at config.json, is packed with
 * it; another one that is in force (the request's, or the one beside the model directory) is not:
 * the inference service finds it at home/mind/waybill.json, beside the model, in a small layer of
 * its own. Below home/mind/model it could take the place of a file of the package. */
#pragma once

#include "import/pipeline.h"

#define CONFIG_ORIGIN "config" /* of the layer's row; to others it is one of the model's */

/* Whether the package does not bring the very bytes that are in force. After import_look. */
bool config_layer_is_needed(Import *import);
/* Makes it where it is needed, and records it for the attempt. */
bool config_layer_record(Import *import, GError **error);
/* A small layer of one file that the service makes (layer_of_text), at that position of the
 * attempt's. */
bool config_layer_add(Import *import, int position, const char *place, const char *text, bool root,
                      GError **error);
