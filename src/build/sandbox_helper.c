#include "build/sandbox_helper.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "build/sandbox_disk.h"
#include "build/sandbox_wire.h"
#include "build/userns.h"

#define OWN_THREADS 64 /* at most: ours, and the runtime's, which is written in Go */

typedef struct {
    const char *runtime, *scratch, *lower_root, *lowers;
    SandboxNetwork network;
    int disk_mib, pids;
    bool rootless; /* root of a user namespace that it made */
    pid_t running; /* the runtime; 0: none */
} Helper;

/* -- talking -- */

static void helper_send(const SandboxMessage *message, const int *fds, size_t count)
{
    char control[CMSG_SPACE(2 * sizeof(int))] = {0};
    struct iovec body = {(void *)message, sizeof *message};
    struct msghdr header = {.msg_iov = &body, .msg_iovlen = 1};
    if (count > 0) {
        header.msg_control = control;
        header.msg_controllen = CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(rights), fds, count * sizeof(int));
    }
    if (sendmsg(SANDBOX_SOCKET, &header, MSG_NOSIGNAL) < 0)
        _exit(1); /* the worker is gone */
}

static void helper_say(int op, int value, const char *text, const int *fds, size_t count)
{
    SandboxMessage message = {.op = op, .value = value};
    g_strlcpy(message.text, text ? text : "", sizeof message.text);
    helper_send(&message, fds, count);
}

static void helper_fail(const char *what) G_GNUC_NORETURN;
static void helper_fail(const char *what)
{
    helper_say(SANDBOX_FAILED, errno, what, NULL, 0);
    _exit(1);
}

static void helper_refuse(const char *why) G_GNUC_NORETURN;
static void helper_refuse(const char *why)
{
    helper_say(SANDBOX_FAILED, 0, why, NULL, 0);
    _exit(1);
}

/* -- the network: loopback alone -- */

static void loopback_up(void)
{
    struct ifreq request = {.ifr_name = "lo"};
    autofd fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &request) < 0)
        helper_fail("the sandbox's loopback");
    request.ifr_flags |= IFF_UP;
    if (ioctl(fd, SIOCSIFFLAGS, &request) < 0)
        helper_fail("the sandbox's loopback");
}

static int loopback_listen(void)
{
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons(SANDBOX_PROXY_PORT),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof address) < 0 ||
        listen(fd, 64) < 0)
        helper_fail("the sandbox's proxy port");
    return fd;
}

/* Not connected yet: libcurl 7.88 does that itself, whatever it is told. */
static void helper_socket(void)
{
    autofd fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    helper_say(SANDBOX_SOCKET_MADE, fd < 0 ? errno : 0, NULL, &fd, fd < 0 ? 0 : 1);
}

/* -- the root file system -- */

static void make_directory(const char *path)
{
    if (mkdir(path, 0755) < 0 && errno != EEXIST)
        helper_fail(path);
}

static void mount_root(const Helper *helper, char disk[64], int *upper)
{
    g_autofree char *place = g_strconcat(helper->scratch, "/disk", NULL);
    g_autofree char *over = g_strconcat(place, "/upper", NULL);
    g_autofree char *work = g_strconcat(place, "/work", NULL);
    g_autofree char *root = g_strconcat(helper->scratch, "/bundle/rootfs", NULL);
    make_directory(place);
    if (!sandbox_disk_mount(helper->scratch, place, helper->disk_mib, disk))
        helper_fail(disk);
    make_directory(over);
    make_directory(work);
    make_directory(root);
    /* volatile: dpkg and pip sync, and nothing of it has to outlive a crash. userxattr, which a
     * user namespace needs, excludes redirect_dir and metacopy. */
    g_autofree char *options =
        g_strdup_printf("lowerdir=%s,upperdir=%s,workdir=%s,%s,index=off,volatile", helper->lowers,
                        over, work,
                        userns_inside() ? "userxattr" : "redirect_dir=off,metacopy=off");
    if (chdir(helper->lower_root) < 0)
        helper_fail(helper->lower_root);
    if (mount("overlay", root, "overlay", MS_NOSUID | MS_NODEV, options) < 0)
        helper_fail("the root file system (overlayfs) cannot be mounted");
    *upper = open(over, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*upper < 0 || chdir("/") < 0)
        helper_fail(over);
}

/* -- running -- */

static void signals_as_usual(void)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* runc keeps the container and its cgroup until they are deleted, so that its use can be read; crun
 * cannot. */
static bool keeps_container(const char *runtime)
{
    g_autofree char *name = g_path_get_basename(runtime);
    return g_str_has_prefix(name, "runc");
}

static void helper_spawn(Helper *helper, const char *id)
{
    g_autofree char *state = g_strconcat(helper->scratch, "/state", NULL);
    g_autofree char *bundle = g_strconcat(helper->scratch, "/bundle", NULL);
    g_autofree char *pid = g_strconcat(helper->scratch, SANDBOX_PID_FILE, NULL);
    const bool keeps = keeps_container(helper->runtime);
    const char *words[12];
    int count = 0;
    words[count++] = helper->runtime;
    if (helper->rootless && !keeps) /* it has no cgroup: runc goes on, crun where it is told to */
        words[count++] = "--cgroup-manager=disabled";
    words[count++] = "--root";
    words[count++] = state;
    words[count++] = "run";
    words[count++] = "--bundle";
    words[count++] = bundle;
    words[count++] = "--pid-file";
    words[count++] = pid;
    if (keeps)
        words[count++] = "--keep";
    words[count++] = id;
    words[count] = NULL;
    helper->running = fork();
    if (helper->running < 0)
        helper_fail("fork");
    if (helper->running > 0)
        return;
    signals_as_usual();
    execv(helper->runtime, (char *const *)words);
    fprintf(stderr, "%s: %s\n", helper->runtime, strerror(errno));
    _exit(127);
}

static void helper_delete(const Helper *helper, const char *id)
{
    int status;
    g_autofree char *state = g_strconcat(helper->scratch, "/state", NULL);
    const char *const run[] = {helper->runtime, "--root", state, "delete", "--force", id, NULL};
    pid_t child = fork();
    if (child == 0) {
        int nowhere = open("/dev/null", O_WRONLY);
        signals_as_usual();
        dup2(nowhere, STDOUT_FILENO);
        dup2(nowhere, STDERR_FILENO);
        execv(helper->runtime, (char *const *)run);
        _exit(127);
    }
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
}

/* What getrusage(2) knows of the runtime and all that it waited for. */
static void helper_send_end(int status, const struct rusage *used)
{
    const SandboxMessage message = {
        .op = SANDBOX_ENDED,
        .value = status,
        .cpu_ms = (used->ru_utime.tv_sec + used->ru_stime.tv_sec) * 1000 +
                  (used->ru_utime.tv_usec + used->ru_stime.tv_usec) / 1000,
        .peak = used->ru_maxrss * 1024,
    };
    helper_send(&message, NULL, 0);
}

static void helper_reap(Helper *helper)
{
    int status;
    pid_t child;
    struct rusage used;
    while ((child = wait4(-1, &status, WNOHANG, &used)) > 0)
        if (child == helper->running) {
            helper->running = 0;
            helper_send_end(status, &used);
        }
}

static void helper_obey(Helper *helper)
{
    SandboxMessage message = {0};
    ssize_t got = recv(SANDBOX_SOCKET, &message, sizeof message, 0);
    if (got <= 0)
        _exit(0); /* and with this process everything in its PID namespace */
    message.text[sizeof message.text - 1] = '\0';
    if (message.op == SANDBOX_RUN)
        helper_spawn(helper, message.text);
    else if (message.op == SANDBOX_DELETE)
        helper_delete(helper, message.text);
    else if (message.op == SANDBOX_SOCKET_PLEASE)
        helper_socket();
}

static void helper_serve(Helper *helper)
{
    sigset_t children;
    sigemptyset(&children);
    sigaddset(&children, SIGCHLD);
    sigprocmask(SIG_BLOCK, &children, NULL);
    struct signalfd_siginfo info;
    struct pollfd polled[] = {{SANDBOX_SOCKET, POLLIN, 0},
                              {signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK), POLLIN, 0}};
    for (;;) {
        if (poll(polled, 2, -1) < 0 && errno != EINTR)
            _exit(1);
        if (polled[1].revents) {
            while (read(polled[1].fd, &info, sizeof info) > 0)
                ;
            helper_reap(helper);
        }
        if (polled[0].revents)
            helper_obey(helper);
    }
}

/* -- beginning -- */

static void helper_begin(Helper *helper)
{
    char disk[64];
    int fds[2] = {-1, -1};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
        helper_fail("the sandbox's mounts");
    mount_root(helper, disk, &fds[0]);
    if (helper->network != SANDBOX_NETWORK_HOST)
        loopback_up();
    if (helper->network == SANDBOX_NETWORK_PROXY)
        fds[1] = loopback_listen();
    helper_say(SANDBOX_READY, 0, disk, fds, helper->network == SANDBOX_NETWORK_PROXY ? 2 : 1);
    io_close(&fds[0]);
    io_close(&fds[1]);
    helper_serve(helper);
}

/* What follows is the same for everybody. */
static void helper_become_root(const Helper *helper)
{
    g_autoptr(GError) error = NULL;
    if (!userns_enter(&error) || !userns_limit(helper->pids + OWN_THREADS, &error))
        helper_refuse(error->message);
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* other credentials: it may have been forgotten */
}

static void helper_unshare(const Helper *helper)
{
    int spaces = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC;
    if (helper->network != SANDBOX_NETWORK_HOST)
        spaces |= CLONE_NEWNET;
    if (unshare(spaces) == 0)
        return;
    if (!helper->rootless)
        helper_fail("the sandbox's namespaces");
    g_autofree char *mend = NULL, *why = userns_refusal(false, &mend);
    g_autofree char *text = g_strdup_printf("%s: %s", why, mend);
    helper_refuse(text);
}

int sandbox_helper_main(int argc, char **argv)
{
    if (argc != 8)
        return 2;
    Helper helper = {.runtime = argv[1],
                     .scratch = argv[2],
                     .lower_root = argv[3],
                     .lowers = argv[4],
                     .network = (SandboxNetwork)atoi(argv[5]),
                     .disk_mib = atoi(argv[6]),
                     .pids = atoi(argv[7]),
                     .rootless = userns_needed()};
    fcntl(SANDBOX_SOCKET, F_SETFD, FD_CLOEXEC);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (helper.rootless)
        helper_become_root(&helper);
    if (getppid() != (pid_t)atoi(argv[0]))
        return 1; /* the worker died before that counted */
    umask(022);
    helper_unshare(&helper);
    pid_t child = fork();
    if (child < 0)
        helper_fail("fork");
    if (child == 0)
        helper_begin(&helper);
    close(SANDBOX_SOCKET);
    int status;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return 0;
}
