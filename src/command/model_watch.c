#include "command/model_watch.h"

#include "command/mirror.h"
#include "event/timeline.h"

struct ModelWatch {
    Session *session;
    char *model_id;
    TimelineWatch *commits; /* NULL: of a server */
};

ModelWatch *model_watch_new(Session *session, const char *model_id)
{
    ModelWatch *watch = g_new0(ModelWatch, 1);
    watch->session = session;
    watch->model_id = g_strdup(model_id);
    if (!session->remote)
        watch->commits = timeline_watch_new(session->service->data, session->service->db);
    return watch;
}

void model_watch_free(ModelWatch *watch)
{
    if (!watch)
        return;
    if (watch->commits)
        timeline_watch_free(watch->commits);
    g_free(watch->model_id);
    g_free(watch);
}

bool model_watch_wait(ModelWatch *watch, int timeout_ms, GError **error)
{
    const Session *session = watch->session;
    if (!watch->commits)
        return mirror_update(session->service, session->remote, watch->model_id,
                             MAX(timeout_ms / 1000, 1), error);
    timeline_watch_wait(watch->commits, timeout_ms);
    return true;
}
