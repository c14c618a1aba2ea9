#include <string.h>

#include "command/command.h"
#include "command/event_view.h"
#include "command/events_all.h"
#include "command/follow_progress.h"
#include "command/model_watch.h"
#include "command/waterfall.h"
#include "event/timeline.h"

/* normal, abnormal, hint, or problems: abnormal and hints. A list is allowed. */
static bool filter_set_types(TimelineFilter *filter, const char *text)
{
    g_auto(GStrv) types = g_strsplit(text, ",", -1);
    for (char **type = types; *type; type++) {
        bool problems = strcmp(*type, "problems") == 0;
        if (strcmp(*type, "normal") == 0)
            filter->normal = true;
        else if (strcmp(*type, "abnormal") == 0 || problems)
            filter->abnormal = true;
        else if (strcmp(*type, "hint") != 0)
            return false;
        if (strcmp(*type, "hint") == 0 || problems)
            filter->hint = true;
    }
    return true;
}

/* Prints what is there; with follow goes on until the attempt has ended. */
static bool print_events(Session *session, const char *model_id, TimelineFilter *filter,
                         EventViewForm form, bool follow, GError **error)
{
    Db *db = session->service->db;
    g_autoptr(ModelWatch) watch = model_watch_new(session, model_id);
    g_autoptr(FollowProgress) progress = NULL;
    for (;;) {
        /* The model before its events: none is missed that precedes its end. */
        g_autoptr(Model) model = model_load(db, model_id, error);
        if (!model)
            return false;
        if (progress)
            follow_progress_hide(progress);
        bool printed =
            event_view_timeline(&session->out, session->service, model_id, filter, form, error);
        if (progress)
            follow_progress_show(progress);
        if (!printed || !follow || strcmp(model->outcome, "running") != 0)
            return printed;
        if (!progress)
            progress = follow_progress_new(session, model, !session->quiet);
        follow_progress_look(progress);
        if (!model_watch_wait(watch, 1000, error))
            return false;
    }
}

/* -1 to go on, else the exit status. */
static int events_usage(int argc, bool all, bool of_one, bool of_all, gint64 limit)
{
    if (!all && argc < 2)
        complain("events: MODEL is missing, or --all");
    else if (all && argc > 1)
        complain("events: MODEL and --all exclude each other");
    else if (all && of_one)
        complain("events: --follow, --waterfall and --after are for one MODEL, not for --all");
    else if (!all && (of_all || limit != EVENTS_ALL_LIMIT))
        complain("events: --reason, --kind, --since and --limit go with --all");
    else if (limit < 1 || limit > 100000)
        complain("--limit %" G_GINT64_FORMAT ": expected a number from 1 to 100000", limit);
    else
        return -1;
    fputs("usage: waybill events MODEL | --all [OPTION…]; more: waybill events --help\n", stderr);
    return EXIT_USAGE;
}

int command_events(Session *session, int argc, char **argv)
{
    gboolean json = FALSE, follow = FALSE, waterfall = FALSE, all = FALSE, deleted = FALSE;
    gint64 after = 0, limit = EVENTS_ALL_LIMIT;
    g_autofree char *type = NULL, *reason = NULL, *kind = NULL, *since = NULL;
    const GOptionEntry entries[] = {
        {"follow", 'f', 0, G_OPTION_ARG_NONE, &follow, "Go on until the import has ended", NULL},
        {"type", 0, 0, G_OPTION_ARG_FILENAME, &type, "normal, abnormal, hint, or problems", "TYPE"},
        {"after", 0, 0, G_OPTION_ARG_INT64, &after, "Only events after this number", "SEQ"},
        {"all", 0, 0, G_OPTION_ARG_NONE, &all, "Of all models, the newest event first", NULL},
        {"reason", 0, 0, G_OPTION_ARG_FILENAME, &reason, "With --all: only of this reason",
         "REASON"},
        {"kind", 0, 0, G_OPTION_ARG_FILENAME, &kind, "With --all: only of this kind", "KIND"},
        {"since", 0, 0, G_OPTION_ARG_FILENAME, &since,
         "With --all: only so far back, such as 5m, 1h", "DURATION"},
        {"limit", 0, 0, G_OPTION_ARG_INT64, &limit, "With --all: at most so many (50)", "NUMBER"},
        {"waterfall", 0, 0, G_OPTION_ARG_NONE, &waterfall, "Where the newest attempt's time went",
         NULL},
        {"deleted", 0, 0, G_OPTION_ARG_NONE, &deleted, "MODEL was deleted; of several the last one",
         NULL},
        {"json", 0, 0, G_OPTION_ARG_NONE, &json, "One event object a line", NULL},
        {NULL}};
    int status = session_parse(session, command_find("events"), entries, &argc, &argv, 0, 1);
    if (status >= 0)
        return status;
    status = events_usage(argc, all, follow || waterfall || after, reason || kind || since, limit);
    if (status >= 0)
        return status;
    TimelineFilter filter = {.after = after};
    if (type && !filter_set_types(&filter, type)) {
        complain("--type %s: expected normal, abnormal, hint, or problems", type);
        return EXIT_USAGE;
    }
    if (all)
        return events_all(session,
                          &(TimelineAll){.reason = reason,
                                         .kind = kind,
                                         .normal = filter.normal,
                                         .abnormal = filter.abnormal,
                                         .hint = filter.hint,
                                         .limit = limit},
                          since, json);
    g_autoptr(Model) model = deleted ? session_model_deleted(session, argv[1], &status)
                                     : session_model(session, argv[1], &status);
    if (!model)
        return status;
    g_autoptr(GError) error = NULL;
    if (waterfall)
        return waterfall_print(&session->out, session->service->db, model, &error)
                   ? EXIT_DONE
                   : complain_of(error);
    if (!json && session->out.is_terminal && !session->quiet)
        event_view_heading(&session->out);
    EventViewForm form = json ? EVENT_VIEW_JSON : type ? EVENT_VIEW_ANSWERS : EVENT_VIEW_ROWS;
    return print_events(session, model->id, &filter, form, follow, &error) ? EXIT_DONE
                                                                           : complain_of(error);
}
