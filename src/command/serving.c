#include "command/serving.h"

#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/io.h"

#define MOST_WORKERS 4096

/* Tells systemd, when it runs under it (sd_notify(3)). */
static void notify(const char *state)
{
    const char *path = g_getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (!path || strlen(path) >= sizeof address.sun_path)
        return;
    memcpy(address.sun_path, path, strlen(path));
    if (*path == '@') /* an abstract name */
        address.sun_path[0] = '\0';
    autofd fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    if (fd >= 0)
        sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address, length);
}

static void ends_set(sigset_t *ends)
{
    sigemptyset(ends);
    sigaddset(ends, SIGINT);
    sigaddset(ends, SIGTERM);
}

void serving_begin(void)
{
    sigset_t ends;
    ends_set(&ends);
    pthread_sigmask(SIG_BLOCK, &ends, NULL); /* every thread inherits that */
    signal(SIGPIPE, SIG_IGN);
}

void serving_wait(void)
{
    sigset_t ends;
    int signal_number;
    ends_set(&ends);
    notify("READY=1");
    while (sigwait(&ends, &signal_number) != 0)
        ;
    notify("STOPPING=1");
}

int serving_workers(const Session *session, int option)
{
    static const char KEY[] = "server.workers";
    if (option >= 0)
        return option;
    if (*settings_text(session->settings, KEY))
        return (int)settings_int(session->settings, KEY);
    return (int)CLAMP(sysconf(_SC_NPROCESSORS_ONLN), 1, MOST_WORKERS);
}

bool serving_workers_fit(int workers, int least)
{
    if (workers >= least && workers <= MOST_WORKERS)
        return true;
    complain("--workers %d: expected a whole number from %d to %d", workers, least, MOST_WORKERS);
    return false;
}
