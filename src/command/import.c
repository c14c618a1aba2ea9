#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include "command/format.h"
#include "command/request_options.h"
#include "command/tries.h"
#include "event/timeline.h"

/* Leaves the import to a process of its own. A connection to the store must not be carried over a
 * fork: each side opens its own. */
static int import_detached(Session *session, Submission *submission, const Tries *tries, bool json)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Model) model = model_load(session->service->db, submission->model_id, &error);
    if (!model)
        return complain_of(error);
    g_clear_pointer(&session->service, service_free);
    fflush(stdout);
    pid_t child = fork();
    if (child < 0) {
        complain("fork: %s; go on with: waybill retry %s:%s", g_strerror(errno), model->name,
                 model->version);
        return EXIT_UNREACHABLE;
    }
    if (child == 0) {
        session->quiet = TRUE;
        return daemon(1, 0) == 0 && session_open(session, false)
                   ? tries_follow(session, submission, tries, &session->out, false)
                   : EXIT_UNREACHABLE;
    }
    waitpid(child, NULL, 0); /* daemon() leaves its first process at once */
    if (json)
        print_json_line(json_pack("{s:s, s:s, s:s}", "model_id", model->id, "model_name",
                                  model->name, "model_version", model->version));
    else if (!session->quiet)
        printf("importing %s:%s; follow it: waybill events %s:%s --follow\n", model->name,
               model->version, model->name, model->version);
    return EXIT_DONE;
}

static bool append_event(const char *text, int64_t seq, gpointer data)
{
    json_array_append_new(data, json_loads(text, 0, NULL));
    return true;
}

/* Writes the attempt's findings. */
static bool import_report(Session *session, const Submission *submission, const Format *format,
                          const ImportRequest *request, GError **error)
{
    TimelineFilter filter = {.attempt = submission->attempt, .abnormal = true, .hint = true};
    json_t *events = json_array();
    bool read = timeline_each(session->service->db, submission->model_id, &filter, append_event,
                              events, error);
    if (read)
        format_write(session, format, "import", request, events);
    json_decref(events);
    return read;
}

/* An interrupted import has not ended: there is nothing to report yet. */
static int import_followed(Session *session, Submission *submission, const Tries *tries,
                           const Format *format, const ImportRequest *request, bool json)
{
    g_autoptr(GError) error = NULL;
    char *token = format_rows_begin(session, format);
    int status = tries_follow(session, submission, tries, format_rows(session, format), json);
    format_rows_end(session, token);
    bool ended = status == EXIT_DONE || status == EXIT_FAILED;
    if (format && ended && !import_report(session, submission, format, request, &error))
        return complain_of(error);
    return status;
}

int command_import(Session *session, int argc, char **argv)
{
    RequestOptions options = {0};
    g_auto(Tries) tries = {0};
    gboolean json = FALSE, detach = FALSE;
    g_autofree char *format_name = NULL;
    const GOptionEntry entries[] = {REQUEST_OPTIONS(options),
                                    TRIES_OPTIONS(tries),
                                    FORMAT_OPTION(format_name),
                                    {"detach", 0, 0, G_OPTION_ARG_NONE, &detach,
                                     "Do not wait: import in the background", NULL},
                                    {"json", 0, 0, G_OPTION_ARG_NONE, &json,
                                     "One event object a line", NULL},
                                    {NULL}};
    int status = session_parse(session, command_find("import"), entries, &argc, &argv, 1, 1);
    const Format *format = NULL;
    if (status < 0 && !format_choose(session, format_name, json, &format))
        status = EXIT_USAGE;
    if (status < 0 && detach && format_name) {
        complain("--format and --detach: the findings are there when the import has ended");
        status = EXIT_USAGE;
    }
    if (status < 0 && !tries_read(&tries))
        status = EXIT_USAGE;
    g_autoptr(ImportRequest) request =
        status < 0 ? request_options_take(session, &options, argv[1], &status) : NULL;
    if (!request || !session_open(session, true)) {
        request_options_clear(&options);
        return request ? EXIT_UNREACHABLE : status;
    }
    request_options_clear(&options);
    g_autoptr(GError) error = NULL;
    g_auto(Submission) submission = SUBMISSION_NONE;
    status = request_config_check(session, request);
    if (status >= 0)
        return status;
    if (!import_submit(session->service, request, &submission, &error))
        return complain_of(error);
    return detach ? import_detached(session, &submission, &tries, json)
                  : import_followed(session, &submission, &tries, format, request, json);
}
