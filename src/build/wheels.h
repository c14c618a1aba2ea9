/* Wheels of a package, out of the model's layers: the package itself may be gone by now. */
#pragma once

#include "image/layout.h"

/* Writes the files model/NAME of `names` (of char *) into `directory`. layers: digests of the
 * model's layers, uncompressed (of char *). IMAGE_ERROR: one of them is in no layer. */
bool wheels_extract(Layout *layout, const GPtrArray *layers, const GPtrArray *names,
                    const char *directory, GError **error);
