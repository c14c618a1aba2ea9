/* The workers on the data directory, of this server and of other processes, and the queue. */
#include "server/api.h"

HttpReply workers_list(HttpRequest *request)
{
    HttpReply reply;
    g_autoptr(GError) error = NULL;
    Service *service = api_service(request, &reply);
    if (!service)
        return reply;
    ProgressCache *cache = request->server->progress;
    const ProgressBoard *board = progress_cache_lock(cache, service, &error);
    if (!board)
        return api_failed(error);
    json_t *answer = progress_workers_json(board, request->caller);
    progress_cache_unlock(cache);
    return http_json(MHD_HTTP_OK, answer);
}
