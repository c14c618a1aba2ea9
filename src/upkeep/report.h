/* All that is known of a model in one text, to send on: Markdown that reads as text, too.
 *
 * Program, machine, settings, the model, its attempts with their events, the config, the end of the
 * build log, and what changed since it last worked. Secrets are masked (base/mask.h), the user's
 * home is shown as ~, the data directory as ~data. */
#pragma once

#include "event/catalog.h"
#include "import/service.h"
#include "store/models.h"

/* The caller frees it. NULL: *error. */
char *report_make(Service *service, const Model *model, Language language, GError **error);
