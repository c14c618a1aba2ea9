#include "server/progress.h"

#include <pthread.h>
#include <string.h>

#include "base/clock.h"

#define FRESH_MS 250
#define LEAST_MS 20 /* even for a model that a board does not know yet */

struct ProgressCache {
    pthread_mutex_t lock; /* of the rest */
    ProgressBoard *board;
    int64_t read_at; /* monotonic ms */
};

ProgressCache *progress_cache_new(void)
{
    ProgressCache *cache = g_new0(ProgressCache, 1);
    pthread_mutex_init(&cache->lock, NULL);
    return cache;
}

void progress_cache_free(ProgressCache *cache)
{
    if (!cache)
        return;
    progress_board_free(cache->board);
    pthread_mutex_destroy(&cache->lock);
    g_free(cache);
}

static bool cache_refresh(ProgressCache *cache, Service *service, int64_t oldest_ms, GError **error)
{
    int64_t now = clock_monotonic_ms();
    if (cache->board && now - cache->read_at < oldest_ms)
        return true;
    ProgressBoard *board = progress_board_read(service, error);
    if (!board)
        return false;
    progress_board_free(cache->board);
    cache->board = board;
    cache->read_at = now;
    return true;
}

const ProgressBoard *progress_cache_lock(ProgressCache *cache, Service *service, GError **error)
{
    pthread_mutex_lock(&cache->lock);
    if (cache_refresh(cache, service, FRESH_MS, error))
        return cache->board;
    pthread_mutex_unlock(&cache->lock);
    return NULL;
}

void progress_cache_unlock(ProgressCache *cache)
{
    pthread_mutex_unlock(&cache->lock);
}

json_t *progress_of(ProgressCache *cache, Service *service, const Model *model)
{
    json_t *progress = NULL;
    if (strcmp(model->outcome, "running") != 0)
        return NULL;
    const ProgressBoard *board = progress_cache_lock(cache, service, NULL);
    if (!board)
        return NULL;
    progress = progress_board_json(board, model->id);
    if (!progress && cache_refresh(cache, service, LEAST_MS, NULL))
        progress = progress_board_json(cache->board, model->id);
    progress_cache_unlock(cache);
    return progress;
}
