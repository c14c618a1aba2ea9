/* What is shown of the imports that are under way: one board (import/progress_board.h) for all
 * requests, read anew when it is older than a moment, so that a list of a thousand models or as
 * many clients that poll cost one look. */
#pragma once

#include "import/progress_board.h"
#include "store/models.h"

typedef struct ProgressCache ProgressCache;
ProgressCache *progress_cache_new(void);
void progress_cache_free(ProgressCache *cache);

/* A model's `progress`; NULL: it is not being imported, or the store does not say. A new
 * reference. */
json_t *progress_of(ProgressCache *cache, Service *service, const Model *model);

/* The board, locked until progress_cache_unlock. NULL (nothing is locked): *error. */
const ProgressBoard *progress_cache_lock(ProgressCache *cache, Service *service, GError **error);
void progress_cache_unlock(ProgressCache *cache);
