
#include "command/follow.h"
#include "command/request_options.h"

int command_import(Session *session, int argc, char **argv)
{
    RequestOptions options = {0};
    gboolean json = FALSE;
    const GOptionEntry entries[] = {REQUEST_OPTIONS(options),
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
    g_auto(Submission) submission = {0};
    status = request_config_check(session, request);
    if (status >= 0)
        return status;
    if (!import_submit(session->service, request, &submission, &error))
        return complain_of(error);
    return follow_work(session, &submission, json);
}
