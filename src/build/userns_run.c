#include "build/userns_run.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "build/userns.h"

static int fail(const char *what, int code)
{
    fprintf(stderr, "E: %s: %s\n", what, strerror(code));
    return 1;
}

static int wait_for(pid_t child)
{
    int status;
    pid_t ended;
    do /* as the first process of a namespace also for those that nobody else waits for */
        ended = waitpid(-1, &status, 0);
    while (ended != child && (ended > 0 || errno == EINTR));
    return ended == child && WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

/* The first process of the namespace: the program itself would be spared the signals that it does
 * not handle. */
static int run_first(char **argv)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
        return fail("mounting /proc", errno);
    pid_t child = fork();
    if (child < 0)
        return fail("fork", errno);
    if (child > 0)
        return wait_for(child);
    execvp(argv[0], argv);
    _exit(fail(argv[0], errno));
}

int userns_run_main(char **argv)
{
    g_autoptr(GError) error = NULL;
    const pid_t parent = getppid();
    if (!argv[0])
        return 2;
    if (!userns_enter(&error)) {
        fprintf(stderr, "E: %s\n", error->message);
        return 1;
    }
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        return 1;
    if (unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC) < 0)
        return fail("namespaces", errno);
    pid_t child = fork();
    if (child < 0)
        return fail("fork", errno);
    /* No exit handlers: threads, which a sanitizer's begins, cannot be made behind unshare. */
    _exit(child == 0 ? run_first(argv) : wait_for(child));
}
