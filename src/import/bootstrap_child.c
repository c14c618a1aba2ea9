/* mmdebstrap runs in a process group of its own, so that one signal ends all of its processes, and
 * in a mount namespace that ends with them: as root it mounts /proc, /sys and /dev in its
 * directory, and killed it would leave them there. It dies with us (PR_SET_PDEATHSIG), but then it
 * leaves its directory; the next one removes what nobody holds a lock on. What it says on standard
 * error is read by a thread: its steps become ours, its last lines are kept for when it fails. The
 * sources go through its standard input: they may hold a password, which `ps` must not show. Who is
 * not root runs it as root of a user namespace (userns_run.h). */
#include "import/bootstrap_child.h"

#include <errno.h>
#include <gio/gio.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/held.h"
#include "base/io.h"
#include "base/mask.h"
#include "build/unpack.h"
#include "build/userns.h"
#include "build/userns_run.h"

#define KEPT_LINES  200
#define SHOWN_LINES 6
#define PATIENCE_MS 20000
#define GROUP_MS    2000
#define LOOK_MS     50
#define SAFE_PATH   "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define PREFIX      "bootstrap-"
#define ADD_USER                                                                             \
    "chroot \"$1\" useradd -u 1000 -g 100 -d /home/ma-user -m -k /nonexistent -s /bin/bash " \
    "ma-user"

struct BootstrapChild {
    char *directory;
    int lock; /* on it, as long as we live */
    GPid pid; /* 0: it has been waited for */
    GPid group;
    int status;
    int output, errors;
    Progress *progress;
    pthread_t thread;
    bool reading;
    GQueue lines; /* of char *: the last ones; the thread's until it has been joined */
};

/* -- its directory -- */

void bootstrap_sweep(const char *below)
{
    g_autoptr(GDir) entries = g_dir_open(below, 0, NULL);
    for (const char *name; entries && (name = g_dir_read_name(entries));) {
        if (!g_str_has_prefix(name, PREFIX))
            continue;
        g_autofree char *path = g_build_filename(below, name, NULL);
        autofd lock = held_take(path);
        if (lock >= 0)
            unpack_remove(path, NULL);
    }
}

/* -- what it says -- */

/* The step that a line begins; 0: none. */
static int step_of(const char *line)
{
    static const char *const BEGINNINGS[BOOTSTRAP_STEPS] = {
        "I: running apt-get update", "I: downloading packages", "I: extracting archives",
        "I: installing essential",   "I: installing remaining", "I: running --customize-hook",
        "I: creating tarball"};
    for (int i = 0; i < BOOTSTRAP_STEPS; i++)
        if (g_str_has_prefix(line, BEGINNINGS[i]))
            return i + 1;
    return 0;
}

static void take_line(BootstrapChild *child, const char *line)
{
    int step = step_of(line);
    if (step)
        progress_step(child->progress, step);
    g_queue_push_tail(&child->lines, g_utf8_make_valid(line, -1));
    if (child->lines.length > KEPT_LINES)
        g_free(g_queue_pop_head(&child->lines));
}

static void *read_lines(void *data)
{
    BootstrapChild *child = data;
    FILE *stream = fdopen(child->errors, "r");
    char *line = NULL;
    size_t room = 0;
    ssize_t length;
    while (stream && (length = getline(&line, &room, stream)) > 0) {
        line[strcspn(line, "\r\n")] = '\0';
        if (*line)
            take_line(child, line);
    }
    free(line);
    if (stream) {
        child->errors = -1;
        fclose(stream);
    }
    return NULL;
}

/* -- the process -- */

static void prepare_child(gpointer data)
{
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    /* Without root it is refused, and comes with the user namespace (userns_run.h). */
    if (unshare(CLONE_NEWNS) == 0)
        mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL);
}

/* Nobody's words reach the shell that runs a hook: they are the recipe's. */
static char **make_arguments(const BootstrapRecipe *recipe)
{
    GPtrArray *words = g_ptr_array_new();
    static const char *const FIXED[] = {BOOTSTRAP_PROGRAM,
                                        "--variant=minbase",
                                        "--format=tar",
                                        "--aptopt=Acquire::Retries \"2\"",
                                        "--aptopt=Acquire::http::Timeout \"30\"",
                                        "--aptopt=Acquire::https::Timeout \"30\"",
                                        "--aptopt=APT::Install-Recommends \"false\"",
                                        "--dpkgopt=path-exclude=/usr/share/man/*",
                                        "--dpkgopt=path-exclude=/usr/share/locale/*",
                                        "--dpkgopt=path-exclude=/usr/share/doc/*",
                                        "--dpkgopt=path-include=/usr/share/doc/*/copyright",
                                        "--customize-hook=chroot \"$1\" groupmod -n ma-group users",
                                        "--customize-hook=" ADD_USER};
    for (size_t i = 0; i < G_N_ELEMENTS(FIXED); i++)
        g_ptr_array_add(words, g_strdup(FIXED[i]));
    g_ptr_array_add(words, g_strdup_printf("--include=%s", recipe->packages));
    g_ptr_array_add(words,
                    g_strdup_printf("--customize-hook=chroot \"$1\" python3 -m compileall -q "
                                    "-f --invalidation-mode checked-hash %s",
                                    recipe->compile));
    g_ptr_array_add(words, g_strdup(recipe->release));
    g_ptr_array_add(words, g_strdup("-"));
    g_ptr_array_add(words, g_strdup("-"));
    g_ptr_array_add(words, NULL);
    return (char **)g_ptr_array_free(words, FALSE);
}

/* What the machine's user has set for dpkg, Perl or Python must not get into the image; proxies
 * count. */
static char **make_environment(const char *directory)
{
    static const char *const KEPT[] = {"http_proxy",  "https_proxy", "no_proxy", "HTTP_PROXY",
                                       "HTTPS_PROXY", "NO_PROXY",    "HOME",     "USER"};
    char **environment = g_environ_setenv(NULL, "PATH", SAFE_PATH, TRUE);
    environment = g_environ_setenv(environment, "TMPDIR", directory, TRUE);
    environment = g_environ_setenv(environment, "LC_ALL", "C.UTF-8", TRUE);
    environment = g_environ_setenv(environment, "SOURCE_DATE_EPOCH", "0", TRUE);
    for (size_t i = 0; i < G_N_ELEMENTS(KEPT); i++)
        if (g_getenv(KEPT[i]))
            environment = g_environ_setenv(environment, KEPT[i], g_getenv(KEPT[i]), TRUE);
    return environment;
}

static bool give_sources(int input, const char *sources, GError **error)
{
    /* The pipe holds them: they are a few lines, and it 64 KiB. */
    bool given = io_write_all(input, sources, strlen(sources), error);
    close(input);
    return given;
}

/* Its path by ours, its own programs by the system's. It always works as root: by itself it would
 * take a namespace for who is not, but one that does not end with it, and whose root does not get
 * through a data directory that is the user's alone. */
static char **make_command(const BootstrapRecipe *recipe, GError **error)
{
    char *program = g_find_program_in_path(BOOTSTRAP_PROGRAM);
    if (!program) {
        g_set_error(error, BOOTSTRAP_ERROR, 0, BOOTSTRAP_PROGRAM " is not installed");
        return NULL;
    }
    g_auto(GStrv) arguments = make_arguments(recipe);
    g_autoptr(GPtrArray) words = g_ptr_array_new();
    if (userns_needed()) {
        g_ptr_array_add(words, g_strdup("/proc/self/exe"));
        g_ptr_array_add(words, g_strdup(USERNS_WORD));
    }
    g_ptr_array_add(words, program);
    for (char **argument = arguments + 1; *argument; argument++)
        g_ptr_array_add(words, g_strdup(*argument));
    g_ptr_array_add(words, NULL);
    return (char **)g_ptr_array_steal(words, NULL);
}

static bool start(BootstrapChild *child, const BootstrapRecipe *recipe, const char *sources,
                  GError **error)
{
    int input;
    g_auto(GStrv) arguments = make_command(recipe, error);
    if (!arguments)
        return false;
    g_auto(GStrv) environment = make_environment(child->directory);
    if (!g_spawn_async_with_pipes("/", arguments, environment, G_SPAWN_DO_NOT_REAP_CHILD,
                                  prepare_child, NULL, &child->pid, &input, &child->output,
                                  &child->errors, error))
        return false;
    child->group = child->pid;
    setpgid(child->pid, child->pid);
    int code = pthread_create(&child->thread, NULL, read_lines, child);
    child->reading = code == 0;
    if (!give_sources(input, sources, error))
        return false;
    return child->reading || io_fail(error, code, "starting a thread");
}

BootstrapChild *bootstrap_child_new(const BootstrapRecipe *recipe, const char *sources,
                                    const char *below, Progress *progress, GError **error)
{
    g_autoptr(BootstrapChild) child = g_new0(BootstrapChild, 1);
    child->output = child->errors = child->lock = -1;
    bootstrap_sweep(below);
    child->progress = progress;
    child->directory = held_make(below, PREFIX, 0711, &child->lock, error);
    if (!child->directory || !start(child, recipe, sources, error))
        return NULL;
    return g_steal_pointer(&child);
}

static bool has_ended(BootstrapChild *child)
{
    pid_t pid;
    do
        pid = waitpid(child->pid, &child->status, WNOHANG);
    while (pid < 0 && errno == EINTR);
    if (pid == 0)
        return false;
    child->pid = 0;
    return true;
}

/* What it may have left, until that is gone, too. */
static void end_group(const BootstrapChild *child)
{
    for (int waited = 0; waited < GROUP_MS && kill(-child->group, SIGKILL) == 0; waited += LOOK_MS)
        g_usleep(LOOK_MS * 1000);
}

static void end_process(BootstrapChild *child)
{
    if (child->pid == 0)
        return;
    kill(-child->group, SIGTERM);
    for (int waited = 0; !has_ended(child); waited += LOOK_MS) {
        if (waited >= PATIENCE_MS)
            kill(-child->group, SIGKILL);
        g_usleep(LOOK_MS * 1000);
    }
    end_group(child);
}

static void end_reading(BootstrapChild *child)
{
    if (child->reading)
        pthread_join(child->thread, NULL);
    child->reading = false;
}

void bootstrap_child_free(BootstrapChild *child)
{
    if (!child)
        return;
    io_close(&child->output); /* a full pipe would keep it from hearing the signal */
    end_process(child);
    end_reading(child);
    io_close(&child->errors);
    if (child->directory)
        unpack_remove(child->directory, NULL);
    io_close(&child->lock);
    g_queue_clear_full(&child->lines, g_free);
    g_free(child->directory);
    g_free(child);
}

int bootstrap_child_output(BootstrapChild *child)
{
    return child->output;
}

/* -- why it failed -- */

static bool any_line(const BootstrapChild *child, const char *const *words)
{
    for (const GList *link = child->lines.head; link; link = link->next)
        for (const char *const *word = words; *word; word++)
            if (!g_str_has_prefix(link->data, "I: ") && strstr(link->data, *word))
                return true;
    return false;
}

/* Its own words: the last lines that tell an error, else the last lines. */
static char *last_words(const BootstrapChild *child)
{
    g_autoptr(GString) words = g_string_new(NULL);
    for (int errors_only = 1; errors_only >= 0 && words->len == 0; errors_only--) {
        int taken = 0;
        for (const GList *link = child->lines.tail; link && taken < SHOWN_LINES;
             link = link->prev) {
            const char *line = link->data;
            bool tells = g_str_has_prefix(line, "E:") || g_str_has_prefix(line, "Err:") ||
                         g_str_has_prefix(line, "W:") || strstr(line, "rror");
            if (errors_only && !tells)
                continue;
            g_autofree char *masked = mask_text(line);
            g_autofree char *shown = g_strconcat("\n  ", masked, NULL);
            g_string_prepend(words, shown);
            taken++;
        }
    }
    return g_string_free(g_steal_pointer(&words), FALSE);
}

static void fail(const BootstrapChild *child, GError **error)
{
    static const char *const NETWORK[] = {"Could not resolve", "Could not connect",
                                          "Connection failed", "Failed to fetch",
                                          "apt-get update",    "Connection timed out",
                                          "Unable to connect", NULL};
    static const char *const KEYS[] = {"NO_PUBKEY", "is not signed", "EXPKEYSIG", NULL};
    static const char *const RIGHTS[] = {"unable to unshare",       "newuidmap",           "subuid",
                                         "Operation not permitted", "unable to pick mode", NULL};
    static const char *const DISK[] = {"No space left", NULL};
    const char *what =
        any_line(child, DISK)      ? "the disk is full; make room, or set another --data"
        : any_line(child, KEYS)    ? "the mirror's signature is not trusted here; install "
                                     "debian-archive-keyring, or the mirror's own key"
        : any_line(child, NETWORK) ? "no mirror of Debian could be used; name one that this "
                                     "machine reaches: --set build.apt_mirror=URL"
        : any_line(child, RIGHTS)  ? "this user may not; run it as root, or see `waybill doctor`"
                                   : "see what it says";
    g_autofree char *words = last_words(child);
    g_set_error(error, BOOTSTRAP_ERROR, 0, "mmdebstrap failed: %s%s", what, words);
}

bool bootstrap_child_wait(BootstrapChild *child, GError **error)
{
    while (!has_ended(child)) {
        if (progress_stopped(child->progress)) {
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED, "stopped");
            return false;
        }
        g_usleep(LOOK_MS * 1000);
    }
    end_group(child); /* what would keep its standard error open */
    end_reading(child);
    if (WIFEXITED(child->status) && WEXITSTATUS(child->status) == 0)
        return true;
    fail(child, error);
    return false;
}
