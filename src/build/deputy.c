#include "build/deputy.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "build/sandbox.h"
#include "build/unpack.h"
#include "build/userns.h"

#define TICK_MS 100

/* The deputy's file descriptors. */
enum { SHARED = 3, ANSWER, UPPER, BEHIND };

/* -- the worker's side -- */

typedef struct {
    pid_t pid;
    int shared, answer;
    Progress *there; /* the deputy's, in memory that both have */
    int64_t seen;    /* of its bytes, those that ours has too */
    GString *text;   /* what it answered */
} Deputy;

static void deputy_clear(Deputy *deputy)
{
    io_close(&deputy->shared);
    io_close(&deputy->answer);
    if (deputy->there)
        munmap(deputy->there, sizeof *deputy->there);
    g_string_free(deputy->text, TRUE);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Deputy, deputy_clear)

static bool share_progress(Deputy *deputy)
{
    deputy->shared = memfd_create("progress", MFD_CLOEXEC);
    if (deputy->shared < 0 || ftruncate(deputy->shared, sizeof *deputy->there) < 0)
        return false;
    void *memory =
        mmap(NULL, sizeof *deputy->there, PROT_READ | PROT_WRITE, MAP_SHARED, deputy->shared, 0);
    deputy->there = memory == MAP_FAILED ? NULL : memory;
    return deputy->there != NULL;
}

/* dup2 of posix_spawn must not meet a number that is still to be given away. */
static int above(int fd)
{
    return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, BEHIND);
}

static int spawn(pid_t *pid, const char *const *argv, int shared, int answer, int upper)
{
    const char *const environment[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8",
                                       NULL};
    autofd shared_there = above(shared), answer_there = above(answer), upper_there = above(upper);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDWR, 0);
    posix_spawn_file_actions_adddup2(&actions, STDIN_FILENO, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, shared_there, SHARED);
    posix_spawn_file_actions_adddup2(&actions, answer_there, ANSWER);
    if (upper >= 0)
        posix_spawn_file_actions_adddup2(&actions, upper_there, UPPER);
    int code = posix_spawn(pid, "/proc/self/exe", &actions, NULL, (char *const *)argv,
                           (char *const *)environment);
    posix_spawn_file_actions_destroy(&actions);
    return code;
}

static bool deputy_begin(Deputy *deputy, const char *const words[4], int upper, GError **error)
{
    int answer[2];
    g_autofree char *parent = g_strdup_printf("%d", (int)getpid());
    const char *const argv[] = {"waybill", DEPUTY_WORD, parent,   words[0],
                                words[1],  words[2],    words[3], NULL};
    if (!share_progress(deputy) || pipe2(answer, O_CLOEXEC) < 0)
        return io_fail(error, errno, "a deputy");
    deputy->answer = answer[0];
    int code = spawn(&deputy->pid, argv, deputy->shared, answer[1], upper);
    close(answer[1]);
    return code == 0 || io_fail(error, code, "a deputy");
}

static void pass_progress(Deputy *deputy, Progress *progress)
{
    const int64_t now = deputy->there->bytes_done;
    progress_add(progress, now - deputy->seen);
    deputy->seen = now;
    if (progress_stopped(progress))
        deputy->there->stop = true; /* it ends by itself, and removes what it began */
}

static int deputy_wait(Deputy *deputy, Progress *progress)
{
    char buffer[4096];
    ssize_t got = 1;
    int status = 0;
    while (got > 0) {
        struct pollfd polled = {deputy->answer, POLLIN, 0};
        if (poll(&polled, 1, TICK_MS) > 0) {
            got = read(deputy->answer, buffer, sizeof buffer);
            g_string_append_len(deputy->text, buffer, MAX(got, 0));
        }
        pass_progress(deputy, progress);
    }
    while (waitpid(deputy->pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

/* NULL: it failed, as *error says. */
static json_t *take_answer(const Deputy *deputy, int status, GError **error)
{
    int code;
    const char *domain, *message;
    json_t *answer = json_loads(deputy->text->str, 0, NULL);
    if (!answer) {
        g_set_error(error, SANDBOX_ERROR, SANDBOX_ERROR_CRASHED,
                    "a deputy ended without a word (%s %d)",
                    WIFSIGNALED(status) ? "signal" : "exit status",
                    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
        return NULL;
    }
    if (json_unpack(answer, "{s:s, s:i, s:s}", "domain", &domain, "code", &code, "message",
                    &message) < 0)
        return answer;
    g_set_error_literal(error, g_quark_from_string(domain), code, message);
    json_decref(answer);
    return NULL;
}

/* words: what to do, and with what. The caller frees the answer. */
static json_t *deputy_do(const char *const words[4], int upper, Progress *progress, GError **error)
{
    g_auto(Deputy) deputy = {.shared = -1, .answer = -1, .text = g_string_new(NULL)};
    if (!deputy_begin(&deputy, words, upper, error))
        return NULL;
    return take_answer(&deputy, deputy_wait(&deputy, progress), error);
}

bool deputy_unpack(Layout *layout, const char *digest, const char *into, Progress *progress,
                   GError **error)
{
    const char *const words[] = {"unpack", layout_directory(layout), digest, into};
    json_auto_t *answer = deputy_do(words, -1, progress, error);
    return answer != NULL;
}

bool deputy_pack(int upper, Layout *layout, Progress *progress, PackedLayer *layer, GError **error)
{
    int existed;
    const char *digest;
    json_int_t size, files;
    const char *const words[] = {"pack", layout_directory(layout), NULL, NULL};
    json_auto_t *answer = deputy_do(words, upper, progress, error);
    *layer = (PackedLayer){0};
    if (answer && json_unpack(answer, "{s:s, s:I, s:I, s:b}", "digest", &digest, "size", &size,
                              "files", &files, "existed", &existed) == 0)
        *layer = (PackedLayer){g_strdup(digest), size, files, existed};
    return answer != NULL;
}

bool deputy_remove(const char *path, GError **error)
{
    const char *const words[] = {"remove", path, NULL, NULL};
    json_auto_t *answer = deputy_do(words, -1, NULL, error);
    return answer != NULL;
}

/* -- the deputy's side -- */

static json_t *pack(const char *directory, Progress *progress, GError **error)
{
    PackedLayer layer = {0};
    json_t *answer = NULL;
    g_autoptr(Layout) layout = layout_create(directory, error); /* it is there: opened to write */
    if (layout && pack_upper(UPPER, layout, progress, &layer, error))
        answer = layer.digest ? json_pack("{s:s, s:I, s:I, s:b}", "digest", layer.digest, "size",
                                          (json_int_t)layer.size, "files", (json_int_t)layer.files,
                                          "existed", layer.existed)
                              : json_object();
    packed_layer_clear(&layer);
    return answer;
}

static json_t *unpack(const char *directory, const char *digest, const char *into,
                      Progress *progress, GError **error)
{
    g_autoptr(Layout) layout = layout_open(directory, error);
    return layout && unpack_layer(layout, digest, into, progress, error) ? json_object() : NULL;
}

static json_t *obey(int argc, char **argv, Progress *progress, GError **error)
{
    if (!userns_enter(error))
        return NULL;
    if (argc == 4 && strcmp(argv[0], "unpack") == 0)
        return unpack(argv[1], argv[2], argv[3], progress, error);
    if (argc == 2 && strcmp(argv[0], "pack") == 0)
        return pack(argv[1], progress, error);
    if (argc == 2 && strcmp(argv[0], "remove") == 0)
        return unpack_remove(argv[1], error) ? json_object() : NULL;
    io_fail(error, EINVAL, "a deputy's task");
    return NULL;
}

static void answer_worker(json_t *answer, const GError *error)
{
    json_auto_t *said = answer;
    g_autofree char *message = error ? g_utf8_make_valid(error->message, -1) : NULL;
    if (!said)
        said = json_pack("{s:s, s:i, s:s}", "domain", g_quark_to_string(error->domain), "code",
                         error->code, "message", message);
    g_autofree char *text = said ? json_dumps(said, JSON_COMPACT) : NULL;
    if (text)
        io_write_all(ANSWER, text, strlen(text), NULL);
}

int deputy_main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (argc < 2 || getppid() != (pid_t)atoi(argv[0]))
        return 1; /* the worker died before that counted */
    for (int fd = SHARED; fd < BEHIND; fd++)
        fcntl(fd, F_SETFD, FD_CLOEXEC);
    Progress *progress =
        mmap(NULL, sizeof *progress, PROT_READ | PROT_WRITE, MAP_SHARED, SHARED, 0);
    if (progress == MAP_FAILED)
        return 1;
    answer_worker(obey(argc - 1, argv + 1, progress, &error), error);
    return 0;
}
