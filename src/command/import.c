#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include "command/follow.h"
#include "command/request_options.h"

/* Leaves the import to a process of its own. A connection to the store must not be carried over a
 * fork: each side opens its own. */
static int import_detached(Session *session, const Submission *submission, bool json)
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
        bool worked = daemon(1, 0) == 0 && session_open(session, false) &&
                      import_work(session->service, submission->job, &error);
        return worked ? EXIT_DONE : EXIT_UNREACHABLE;
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

int command_import(Session *session, int argc, char **argv)
{
    RequestOptions options = {0};
    gboolean json = FALSE, detach = FALSE;
    const GOptionEntry entries[] = {REQUEST_OPTIONS(options),
                                    {"detach", 0, 0, G_OPTION_ARG_NONE, &detach,
                                     "Do not wait: import in the background", NULL},
                                    {"json", 0, 0, G_OPTION_ARG_NONE, &json,
                                     "One event object a line", NULL},
                                    {NULL}};
    int status = session_parse(session, command_find("import"), entries, &argc, &argv, 1, 1);
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
    return detach ? import_detached(session, &submission, json)
                  : follow_work(session, &submission, json);
}
