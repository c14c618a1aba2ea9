#include <string.h>

#include "command/mirror.h"
#include "command/model_watch.h"
#include "event/timeline.h"

static bool print_lines(Session *session, const char *model_id, int attempt, int64_t *after,
                        GError **error)
{
    g_autoptr(DbRows) rows = db_query(
        session->service->db, error,
        "SELECT line, time, text FROM build_log WHERE model_id = $1 AND attempt = $2 AND line > $3 "
        "ORDER BY line",
        "sii", model_id, (int64_t)attempt, *after);
    GError *failure = NULL;
    while (rows && db_next(rows, &failure)) {
        g_autofree char *time = format_clock(&session->out, db_int(rows, 1));
        printf("%s%s%s  %s\n", terminal_color(&session->out, COLOR_DIM), time,
               terminal_plain(&session->out), db_text(rows, 2));
        *after = db_int(rows, 0);
    }
    fflush(stdout);
    if (failure)
        g_propagate_error(error, failure);
    return rows && !failure;
}

static bool print_log(Session *session, const char *model_id, int attempt, bool follow,
                      int64_t *lines, GError **error)
{
    int64_t offset = 0;
    g_autoptr(ModelWatch) watch = model_watch_new(session, model_id);
    for (;;) {
        g_autoptr(Attempt) row = attempt_load(session->service->db, model_id, attempt, error);
        if (row && session->remote &&
            !mirror_log(session->service, session->remote, model_id, attempt, &offset, error))
            return false;
        if (!row || !print_lines(session, model_id, attempt, lines, error))
            return false;
        if (!follow || strcmp(row->outcome, "running") != 0)
            return true;
        if (!model_watch_wait(watch, 1000, error))
            return false;
    }
}

int command_log(Session *session, int argc, char **argv)
{
    gboolean follow = FALSE;
    gint attempt = 0;
    const GOptionEntry entries[] = {{"follow", 'f', 0, G_OPTION_ARG_NONE, &follow,
                                     "Go on until the import has ended", NULL},
                                    {"attempt", 0, 0, G_OPTION_ARG_INT, &attempt,
                                     "Of this attempt (the newest)", "N"},
                                    {NULL}};
    int status = session_parse(session, command_find("log"), entries, &argc, &argv, 1, 1);
    g_autoptr(Model) model = status < 0 ? session_model(session, argv[1], &status) : NULL;
    if (!model)
        return status;
    if (attempt < 0 || attempt > model->attempt) {
        complain("%s:%s has attempts 1 to %d", model->name, model->version, model->attempt);
        return EXIT_FAILED;
    }
    g_autoptr(GError) error = NULL;
    int64_t lines = 0;
    if (!print_log(session, model->id, attempt ? attempt : model->attempt, follow, &lines, &error))
        return complain_of(error);
    if (lines == 0 && !session->quiet)
        complain("%s:%s has no build log: its attempt did not reach a build", model->name,
                 model->version);
    return EXIT_DONE;
}
