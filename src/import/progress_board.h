/* Where every open import stands, and what the workers do: out of the queue (store/jobs.h) and what
 * the workers say (store/heartbeats.h), whichever process they belong to. Read now and then, as a
 * whole, for whoever shows progress (api.md, "On details and list items"). */
#pragma once

#include <jansson.h>

#include "import/service.h"
#include "store/caller.h"

typedef struct ProgressBoard ProgressBoard;
ProgressBoard *progress_board_read(Service *service, GError **error);
void progress_board_free(ProgressBoard *board);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProgressBoard, progress_board_free)

/* The model's `progress`, with `hint` and `hint_cn` where it waits. A new reference; NULL: no
 * import of it is open. */
json_t *progress_board_json(const ProgressBoard *board, const char *model_id);

typedef struct {
    int alive, busy; /* of those that take jobs of the queue */
    int queued;      /* imports that wait for one */
} ProgressCounts;
ProgressCounts progress_board_counts(const ProgressBoard *board);

/* What each worker does. Array of Heartbeat, the board's. */
const GPtrArray *progress_board_workers(const ProgressBoard *board);
/* NAME, VERSION and project of an open import's model; false: none is open. The board's. */
bool progress_board_model(const ProgressBoard *board, const char *model_id, const char **project,
                          const char **name, const char **version);

/* {count, workers_alive, workers_busy, queue: {queued}, workers: […]}, as GET /v1/workers answers
 * it; of models that the caller (NULL: who may see all) may not see it tells nothing. A new
 * reference. */
json_t *progress_workers_json(const ProgressBoard *board, const Caller *caller);
