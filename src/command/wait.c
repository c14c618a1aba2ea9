#include <string.h>

#include "base/duration.h"
#include "command/answer_view.h"
#include "command/model_watch.h"
#include "command/tries.h"
#include "event/timeline.h"

/* The model when its newest attempt has ended, or as it is when the time is over (monotonic, in us;
 * 0: there is no limit). NULL: *error. */
static Model *wait_for_end(Session *session, const char *model_id, int64_t until, GError **error)
{
    Db *db = session->service->db;
    g_autoptr(ModelWatch) watch = model_watch_new(session, model_id);
    bool said = false;
    for (;;) {
        /* The workers before the model: one that has just ended is not taken for interrupted. */
        bool worked_on = true; /* a server sees to it */
        if (!session->remote && !import_is_worked_on(session->service, model_id, &worked_on, error))
            return NULL;
        g_autoptr(Model) model = model_load(db, model_id, error);
        if (!model)
            return NULL;
        int64_t left_ms = until ? (until - g_get_monotonic_time()) / 1000 : 1000;
        if (strcmp(model->outcome, "running") != 0 || left_ms <= 0)
            return g_steal_pointer(&model);
        if (!worked_on && !said) {
            complain("nobody works on %s:%s now; go on: waybill retry %s:%s", model->name,
                     model->version, model->name, model->version);
            said = true;
        }
        if (!model_watch_wait(watch, (int)MIN(left_ms, 1000), error))
            return NULL;
    }
}

static int wait_status(const Session *session, const Model *model, int64_t timeout_ms,
                       GError **error)
{
    if (strcmp(model->outcome, "running") == 0) {
        g_autofree char *limit = duration_text(timeout_ms);
        complain("%s:%s has not ended within %s: its status is %s", model->name, model->version,
                 limit, model_status(model));
        return EXIT_FAILED;
    }
    if (!session->quiet)
        printf("%s:%s %s\n", model->name, model->version, model_status(model));
    if (!session->quiet && !answer_view_closing(&session->out, session->service, model, error))
        return EXIT_UNREACHABLE;
    return strcmp(model->outcome, "imported") == 0 ? EXIT_DONE : EXIT_FAILED;
}

int command_wait(Session *session, int argc, char **argv)
{
    g_autofree char *timeout = NULL;
    int64_t timeout_ms = 0;
    const GOptionEntry entries[] = {{"timeout", 0, 0, G_OPTION_ARG_FILENAME, &timeout,
                                     "Wait at most so long, such as 90s, 5m, 1h (no limit)",
                                     "DURATION"},
                                    {NULL}};
    int status = session_parse(session, command_find("wait"), entries, &argc, &argv, 1, 1);
    if (status >= 0)
        return status;
    if (timeout && !timeout_read(timeout, 0, &timeout_ms))
        return EXIT_USAGE;
    int64_t until = timeout ? g_get_monotonic_time() + timeout_ms * 1000 : 0;
    g_autoptr(Model) model = session_model(session, argv[1], &status);
    if (!model)
        return status;
    g_autoptr(GError) error = NULL;
    g_autoptr(Model) ended = wait_for_end(session, model->id, until, &error);
    status = ended ? wait_status(session, ended, timeout_ms, &error) : EXIT_UNREACHABLE;
    return error ? complain_of(error) : status;
}
