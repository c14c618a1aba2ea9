#include <signal.h>
#include <string.h>

#include "command/command.h"
#include "server/server.h"

/* Waits for SIGINT or SIGTERM, which every thread has blocked: the server's inherit that. */
static void wait_for_end(const sigset_t *ends)
{
    int signal_number;
    while (sigwait(ends, &signal_number) != 0)
        ;
}

int command_serve(Session *session, int argc, char **argv)
{
    const GOptionEntry entries[] = {{NULL}};
    int status = session_parse(session, command_find("serve"), entries, &argc, &argv, 0, 0);
    if (status >= 0)
        return status;
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &ends, NULL);
    signal(SIGPIPE, SIG_IGN);
    g_autoptr(GError) error = NULL;
    g_autofree char *directory = session_data_directory(session);
    const ServerOptions options = {.directory = directory,
                                   .settings = session->settings,
                                   .workers =
                                       (int)settings_int(session->settings, "server.workers")};
    g_autoptr(Server) server = server_start(&options, &error);
    if (!server) {
        complain("%s", error->message);
        return EXIT_UNREACHABLE;
    }
    printf("%s\n", server_address(server));
    fflush(stdout);
    wait_for_end(&ends);
    return EXIT_DONE;
}
