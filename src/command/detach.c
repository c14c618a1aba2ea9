/* Going on in the background. */
#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "command/tries.h"

static int say_detached(const Session *session, const Model *model, const char *doing, bool json)
{
    if (json)
        print_json_line(json_pack("{s:s, s:s, s:s}", "model_id", model->id, "model_name",
                                  model->name, "model_version", model->version));
    else if (!session->quiet)
        printf("%s %s:%s; follow it: waybill events %s:%s --follow\n", doing, model->name,
               model->version, model->name, model->version);
    return EXIT_DONE;
}

/* A connection to the store must not be carried over a fork: each side opens its own. */
int tries_detach(Session *session, Submission *submission, const Tries *tries, const char *doing,
                 bool json)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Model) model = model_load(session->service->db, submission->model_id, &error);
    if (!model)
        return complain_of(error);
    if (session->remote) /* whose workers do it anyway */
        return say_detached(session, model, doing, json);
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
    return say_detached(session, model, doing, json);
}
