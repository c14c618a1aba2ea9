#include "build/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error_domain.h"
#include "base/held.h"
#include "base/io.h"
#include "build/cgroup.h"
#include "build/lines.h"
#include "build/sandbox_config.h"
#include "build/sandbox_helper.h"
#include "build/unpack.h"

#define READY_MS 30000
#define END_MS   10000 /* for killed processes to close their output */
#define TICK_MS  100
#define SWEEP_MS 2000
#define AGAIN_MS 100

DEFINE_ERROR_DOMAIN(sandbox_error);

struct Sandbox {
    SandboxSpec spec;
    char *runtime, *scratch, *id, *disk;
    GPtrArray *binds; /* of SandboxBind *, owned with their texts */
    int lock, socket, upper, listener;
    int output[2]; /* the ends that we read: standard output, standard error */
    Lines lines[2];
    pid_t helper; /* 0: it has ended */
    int runs;     /* containers started: each has its own id */
    bool running;
    char *said; /* the last line on standard error, the runtime's own among them */
    SandboxCommand command;
    int64_t began;
};

static void bind_free(gpointer data)
{
    SandboxBind *bind = data;
    g_free((char *)bind->source);
    g_free((char *)bind->target);
    g_free(bind);
}

/* -- the helper -- */

static bool helper_say(Sandbox *sandbox, int op, int value, const char *text)
{
    SandboxMessage message = {.op = op, .value = value};
    g_strlcpy(message.text, text ? text : "", sizeof message.text);
    return send(sandbox->socket, &message, sizeof message, MSG_NOSIGNAL) == sizeof message;
}

/* False: nothing came in time, or the helper is gone. fds: two, -1 where none came. */
static bool helper_hear(Sandbox *sandbox, int ms, SandboxMessage *message, int fds[2])
{
    char control[CMSG_SPACE(2 * sizeof(int))];
    struct iovec body = {message, sizeof *message};
    struct msghdr header = {.msg_iov = &body,
                            .msg_iovlen = 1,
                            .msg_control = control,
                            .msg_controllen = sizeof control};
    struct pollfd polled = {sandbox->socket, POLLIN, 0};
    fds[0] = fds[1] = -1;
    if (poll(&polled, 1, ms) <= 0 ||
        recvmsg(sandbox->socket, &header, MSG_CMSG_CLOEXEC) != sizeof *message)
        return false;
    struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
    if (rights && rights->cmsg_type == SCM_RIGHTS)
        memcpy(fds, CMSG_DATA(rights), MIN(rights->cmsg_len - CMSG_LEN(0), 2 * sizeof(int)));
    message->text[sizeof message->text - 1] = '\0';
    return true;
}

static void helper_kill(Sandbox *sandbox)
{
    if (!sandbox->helper)
        return;
    kill(sandbox->helper, SIGKILL);
    while (waitpid(sandbox->helper, NULL, 0) < 0 && errno == EINTR)
        ;
    sandbox->helper = 0;
}

/* Three pairs: the socket, standard output, standard error. */
static bool helper_spawn(Sandbox *sandbox, const int ours[3], const int theirs[3], GError **error)
{
    posix_spawn_file_actions_t actions;
    g_autofree char *parent = g_strdup_printf("%d", (int)getpid());
    g_autofree char *network = g_strdup_printf("%d", (int)sandbox->spec.network);
    g_autofree char *disk = g_strdup_printf("%d", sandbox->spec.disk_mib);
    g_autofree char *pids = g_strdup_printf("%d", sandbox->spec.pids);
    GPtrArray *names = (GPtrArray *)sandbox->spec.lowers;
    g_autoptr(GString) lowers = g_string_new(NULL);
    for (guint i = 0; i < names->len; i++)
        g_string_append_printf(lowers, "%s%s", i ? ":" : "", (char *)names->pdata[i]);
    const char *const argv[] = {"waybill",
                                SANDBOX_WORD,
                                parent,
                                sandbox->runtime,
                                sandbox->scratch,
                                sandbox->spec.lower_root,
                                lowers->str,
                                network,
                                disk,
                                pids,
                                NULL};
    const char *const environment[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8",
                                       NULL};
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, theirs[1], 1);
    posix_spawn_file_actions_adddup2(&actions, theirs[2], 2);
    posix_spawn_file_actions_adddup2(&actions, theirs[0], SANDBOX_SOCKET);
    int code = posix_spawn(&sandbox->helper, "/proc/self/exe", &actions, NULL, (char *const *)argv,
                           (char *const *)environment);
    posix_spawn_file_actions_destroy(&actions);
    if (code)
        sandbox->helper = 0;
    sandbox->socket = ours[0];
    sandbox->output[0] = ours[1];
    sandbox->output[1] = ours[2];
    return code == 0 || io_fail(error, code, "the sandbox's helper");
}

static bool make_pipes(int ours[3], int theirs[3])
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return false;
    ours[0] = pair[0];
    theirs[0] = pair[1];
    for (int i = 1; i < 3; i++) {
        if (pipe2(pair, O_CLOEXEC) < 0)
            return false;
        ours[i] = pair[0];
        theirs[i] = pair[1];
        fcntl(ours[i], F_SETFL, O_NONBLOCK);
    }
    /* dup2 of posix_spawn must not meet a number that is still to be given away. */
    for (int i = 0; i < 3; i++)
        if (theirs[i] <= SANDBOX_SOCKET) {
            int moved = fcntl(theirs[i], F_DUPFD_CLOEXEC, SANDBOX_SOCKET + 1);
            close(theirs[i]);
            theirs[i] = moved;
        }
    return true;
}

static bool helper_begin(Sandbox *sandbox, GError **error)
{
    int ours[3] = {-1, -1, -1}, theirs[3] = {-1, -1, -1}, fds[2];
    bool made = make_pipes(ours, theirs);
    bool spawned = made ? helper_spawn(sandbox, ours, theirs, error)
                        : io_fail(error, errno, "the sandbox's pipes");
    for (int i = 0; i < 3; i++) {
        if (!made && ours[i] >= 0)
            close(ours[i]);
        if (theirs[i] >= 0)
            close(theirs[i]);
    }
    if (!spawned)
        return false;
    SandboxMessage message;
    bool heard = helper_hear(sandbox, READY_MS, &message, fds);
    sandbox->upper = fds[0];
    sandbox->listener = fds[1];
    if (heard && message.op == SANDBOX_READY) {
        sandbox->disk = g_strdup(message.text);
        return true;
    }
    if (heard && message.value == 0) {
        g_set_error_literal(error, SANDBOX_ERROR, SANDBOX_ERROR_RUNTIME, message.text);
        return false;
    }
    g_set_error(error, SANDBOX_ERROR, SANDBOX_ERROR_ROOT, "%s: %s",
                heard ? message.text : "the sandbox's helper did not answer",
                heard ? g_strerror(message.value) : "it ended");
    return false;
}

/* -- opening -- */

static bool make_scratch(Sandbox *sandbox, GError **error)
{
    if (!io_make_directories(sandbox->spec.directory, 0700, error))
        return false;
    sandbox->scratch = held_make(sandbox->spec.directory, "", 0700, &sandbox->lock, error);
    if (!sandbox->scratch)
        return false;
    g_autofree char *name = g_path_get_basename(sandbox->scratch);
    sandbox->id = cgroup_name(sandbox->spec.directory, name);
    g_autofree char *bundle = g_build_filename(sandbox->scratch, "bundle", NULL);
    return io_make_directories(bundle, 0700, error);
}

Sandbox *sandbox_open(const SandboxSpec *spec, GError **error)
{
    g_autoptr(Sandbox) sandbox = g_new0(Sandbox, 1);
    sandbox->spec = *spec;
    sandbox->lock = sandbox->socket = sandbox->upper = sandbox->listener = -1;
    sandbox->output[0] = sandbox->output[1] = -1;
    sandbox->runtime = g_strdup(spec->runtime);
    sandbox->binds = g_ptr_array_new_with_free_func(bind_free);
    if (!make_scratch(sandbox, error) || !helper_begin(sandbox, error))
        return NULL;
    return g_steal_pointer(&sandbox);
}

/* The helper has ended; what it began ends with it, but a moment later where the disk is slow, and
 * may write until then. What is left even so goes with the next sweep. */
static void remove_scratch(const Sandbox *sandbox)
{
    const int64_t end = clock_monotonic_ms() + END_MS;
    while (!unpack_remove(sandbox->scratch, NULL) && clock_monotonic_ms() < end)
        g_usleep(AGAIN_MS * 1000);
}

void sandbox_free(Sandbox *sandbox)
{
    if (!sandbox)
        return;
    helper_kill(sandbox);
    io_close(&sandbox->socket);
    io_close(&sandbox->upper);
    io_close(&sandbox->listener);
    for (int i = 0; i < 2; i++) {
        io_close(&sandbox->output[i]);
        lines_clear(&sandbox->lines[i]);
    }
    if (sandbox->id)
        cgroup_remove(sandbox->id, END_MS);
    if (sandbox->lock >= 0)
        remove_scratch(sandbox);
    io_close(&sandbox->lock);
    g_ptr_array_unref(sandbox->binds);
    g_free(sandbox->runtime);
    g_free(sandbox->scratch);
    g_free(sandbox->id);
    g_free(sandbox->disk);
    g_free(sandbox->said);
    g_free(sandbox);
}

void sandbox_bind(Sandbox *sandbox, const char *source, const char *target)
{
    SandboxBind *bind = g_new0(SandboxBind, 1);
    bind->source = g_canonicalize_filename(source, NULL);
    bind->target = g_strdup(target);
    g_ptr_array_add(sandbox->binds, bind);
}

char *sandbox_directory(Sandbox *sandbox, const char *name, GError **error)
{
    g_autofree char *path = g_build_filename(sandbox->scratch, name, NULL);
    return io_make_directories(path, 0755, error) ? g_steal_pointer(&path) : NULL;
}

const char *sandbox_disk(const Sandbox *sandbox)
{
    return sandbox->disk;
}

int sandbox_upper(const Sandbox *sandbox)
{
    return sandbox->upper;
}

int sandbox_listener(const Sandbox *sandbox)
{
    return sandbox->listener;
}

/* -- running -- */

static bool fail_crashed(GError **error)
{
    g_set_error(error, SANDBOX_ERROR, SANDBOX_ERROR_CRASHED, "the sandbox's helper ended");
    return false;
}

static char *container_name(const Sandbox *sandbox)
{
    return g_strdup_printf("%s-%d", strrchr(sandbox->id, '/') + 1, sandbox->runs);
}

bool sandbox_start(Sandbox *sandbox, const SandboxCommand *command, GError **error)
{
    sandbox->runs++;
    sandbox->command = *command;
    g_autofree char *name = container_name(sandbox);
    g_autofree char *cgroup = g_strdup_printf("%s/%d", sandbox->id, sandbox->runs);
    json_auto_t *config = sandbox_config(&sandbox->spec, command, sandbox->binds, cgroup);
    g_autofree char *text = config ? json_dumps(config, JSON_COMPACT) : NULL;
    g_autofree char *file = g_build_filename(sandbox->scratch, "bundle/config.json", NULL);
    g_assert(text);
    if (!g_file_set_contents_full(file, text, -1, G_FILE_SET_CONTENTS_NONE, 0600, error))
        return false;
    g_autofree char *pid = g_strconcat(sandbox->scratch, SANDBOX_PID_FILE, NULL);
    unlink(pid);
    g_clear_pointer(&sandbox->said, g_free);
    sandbox->began = clock_monotonic_ms();
    if (!helper_say(sandbox, SANDBOX_RUN, 0, name))
        return fail_crashed(error);
    sandbox->running = true;
    return true;
}

static const char *const STREAMS[] = {"stdout", "stderr"};

static void take_line(gpointer data, const char *stream, const char *text)
{
    Sandbox *sandbox = data;
    if (stream == STREAMS[1]) {
        g_free(sandbox->said);
        sandbox->said = g_strdup(text);
    }
    if (sandbox->command.line)
        sandbox->command.line(sandbox->command.data, stream, text);
}

/* *open: there may be more. Returns whether anything came. */
static bool read_output(Sandbox *sandbox, int which, bool *open)
{
    char buffer[16384];
    bool any = false;
    *open = sandbox->output[which] >= 0;
    while (*open) {
        ssize_t got = read(sandbox->output[which], buffer, sizeof buffer);
        if (got < 0)
            return any; /* nothing more at the moment */
        any = true;
        if (got > 0) {
            lines_add(&sandbox->lines[which], buffer, (size_t)got, take_line, STREAMS[which],
                      sandbox);
            continue;
        }
        lines_end(&sandbox->lines[which], take_line, STREAMS[which], sandbox);
        io_close(&sandbox->output[which]);
        *open = false;
    }
    return any;
}

static void read_rest(Sandbox *sandbox, int64_t until)
{
    bool open[2] = {true, true};
    do {
        struct pollfd polled[] = {{sandbox->output[0], POLLIN, 0}, {sandbox->output[1], POLLIN, 0}};
        poll(polled, 2, TICK_MS);
        read_output(sandbox, 0, &open[0]);
        read_output(sandbox, 1, &open[1]);
    } while ((open[0] || open[1]) && clock_monotonic_ms() < until);
}

/* told: by the helper, NULL: it could not. */
static void note_end(Sandbox *sandbox, const SandboxMessage *told, SandboxEnd *end)
{
    const int status = told ? told->value : 0;
    *end = (SandboxEnd){.exit_status =
                            WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status)};
    if (end->exit_status > 128 && end->exit_status < 128 + 65)
        end->signal = end->exit_status - 128;
    g_autofree char *cgroup = g_strdup_printf("%s/%d", sandbox->id, sandbox->runs);
    CgroupUse use;
    cgroup_read(cgroup, &use);
    end->out_of_memory = use.oom_kills > 0;
    end->memory_peak = told && use.memory_peak < 0 ? told->peak : use.memory_peak;
    end->cpu_ms = told && use.cpu_ms < 0 ? told->cpu_ms : use.cpu_ms;
    end->wall_ms = clock_monotonic_ms() - sandbox->began;
}

/* Ended by us: what it used is read while its cgroup is still there. */
static void end_early(Sandbox *sandbox, SandboxOutcome outcome, SandboxEnd *end)
{
    note_end(sandbox, NULL, end);
    helper_kill(sandbox);
    read_rest(sandbox, clock_monotonic_ms() + END_MS);
    end->outcome = outcome;
    end->exit_status = 128 + SIGKILL;
    end->signal = SIGKILL;
    sandbox->running = false;
}

/* Whether the end is the command's own: the runtime has started it, or has found that there is no
 * such program. */
static bool has_started(const Sandbox *sandbox)
{
    g_autofree char *file = g_strconcat(sandbox->scratch, SANDBOX_PID_FILE, NULL);
    const char *said = sandbox->said ? sandbox->said : "";
    return access(file, F_OK) == 0 || strstr(said, "executable") || strstr(said, "exec: ");
}

static bool fail_refused(const Sandbox *sandbox, GError **error)
{
    g_autofree char *name = g_path_get_basename(sandbox->runtime);
    g_set_error(error, SANDBOX_ERROR, SANDBOX_ERROR_RUNTIME, "%s: %s", name,
                sandbox->said ? sandbox->said : "it did not start the command");
    return false;
}

static bool take_end(Sandbox *sandbox, SandboxEnd *end, GError **error)
{
    int fds[2];
    bool open;
    SandboxMessage message;
    if (!helper_hear(sandbox, 0, &message, fds) || message.op != SANDBOX_ENDED) {
        helper_kill(sandbox);
        read_rest(sandbox, clock_monotonic_ms() + END_MS);
        sandbox->running = false;
        return fail_crashed(error);
    }
    for (int i = 0; i < 2; i++) {
        read_output(sandbox, i, &open);
        lines_end(&sandbox->lines[i], take_line, STREAMS[i], sandbox);
    }
    note_end(sandbox, &message, end);
    g_autofree char *name = container_name(sandbox);
    helper_say(sandbox, SANDBOX_DELETE, 0, name);
    sandbox->running = false;
    return end->exit_status == 0 || has_started(sandbox) || fail_refused(sandbox, error);
}

bool sandbox_turn(Sandbox *sandbox, int ms, bool *ended, SandboxEnd *end, GError **error)
{
    bool open;
    struct pollfd polled[] = {{sandbox->socket, POLLIN, 0},
                              {sandbox->output[0], POLLIN, 0},
                              {sandbox->output[1], POLLIN, 0}};
    const SandboxCommand *command = &sandbox->command;
    int64_t left = command->deadline ? command->deadline - clock_monotonic_ms() : G_MAXINT64;
    *ended = true;
    if (progress_stopped(command->progress) || left <= 0) {
        end_early(sandbox, left <= 0 ? SANDBOX_TIMEOUT : SANDBOX_STOPPED, end);
        return true;
    }
    poll(polled, 3, (int)MIN(left, ms));
    read_output(sandbox, 0, &open);
    read_output(sandbox, 1, &open);
    if (polled[0].revents)
        return take_end(sandbox, end, error);
    *ended = false;
    return true;
}

bool sandbox_run(Sandbox *sandbox, const SandboxCommand *command, SandboxEnd *end, GError **error)
{
    bool ended = false;
    if (!sandbox_start(sandbox, command, error))
        return false;
    int64_t paused = clock_monotonic_ms();
    while (!ended) {
        if (!sandbox_turn(sandbox, TICK_MS, &ended, end, error))
            return false;
        int64_t now = clock_monotonic_ms();
        if (command->pause && (now - paused >= TICK_MS || ended)) {
            command->pause(command->data);
            paused = now;
        }
    }
    return true;
}

int sandbox_socket(Sandbox *sandbox)
{
    int fds[2];
    SandboxMessage message;
    errno = ECONNREFUSED;
    if (!helper_say(sandbox, SANDBOX_SOCKET_PLEASE, 0, NULL) ||
        recv(sandbox->socket, &message, sizeof message, MSG_PEEK) != sizeof message ||
        message.op != SANDBOX_SOCKET_MADE || !helper_hear(sandbox, TICK_MS, &message, fds))
        return -1; /* the command's end came first: sandbox_turn takes it */
    if (fds[0] < 0)
        errno = message.value;
    return fds[0];
}

void sandbox_sweep(const char *directory)
{
    g_autoptr(GDir) dir = g_dir_open(directory, 0, NULL);
    const char *name;
    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *path = g_build_filename(directory, name, NULL);
        autofd lock = held_take(path);
        if (lock < 0)
            continue;
        g_autofree char *cgroup = cgroup_name(directory, name);
        if (cgroup_remove(cgroup, SWEEP_MS))
            unpack_remove(path, NULL); /* else the next one finds both */
    }
}
