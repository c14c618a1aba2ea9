/* Which OCI runtime works here. */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "build/sandbox.h"
#include "build/userns.h"

#define PROBE_MS 20000

static bool fail_runtime(GError **error, const char *text)
{
    g_set_error_literal(error, SANDBOX_ERROR, SANDBOX_ERROR_RUNTIME, text);
    return false;
}

/* Both where they are looked for and where they lie: PATH may lack sbin. */
static char *find_program(const char *name)
{
    char *path = g_find_program_in_path(name);
    static const char *const PLACES[] = {"/usr/bin", "/usr/sbin", "/usr/local/bin"};
    for (size_t i = 0; !path && i < G_N_ELEMENTS(PLACES) && !g_getenv("WAYBILL_ONLY_PATH"); i++) {
        path = g_build_filename(PLACES[i], name, NULL);
        if (access(path, X_OK) < 0)
            g_clear_pointer(&path, g_free);
    }
    return path;
}

typedef struct {
    GString *text; /* its first line of standard error */
} Said;

static void hear(gpointer data, const char *stream, const char *text)
{
    Said *said = data;
    if (said->text->len == 0 && *text)
        g_string_append(said->text, text);
}

bool sandbox_probe(const char *runtime, const char *scratch, char **disk, GError **error)
{
    static const char *const COMMAND[] = {"/bin/true", NULL};
    static const char *const ENVIRONMENT[] = {"PATH=/usr/bin:/bin", NULL};
    static char root[] = ".";
    g_autoptr(GPtrArray) lowers = g_ptr_array_new();
    g_ptr_array_add(lowers, root);
    /* In a user namespace nothing may be seen without what is mounted in it: not "/", but /usr,
     * whose bin and lib are those of the root on every merged system. */
    const SandboxSpec spec = {.directory = scratch,
                              .lower_root = userns_needed() ? "/usr" : "/",
                              .lowers = lowers,
                              .runtime = runtime,
                              .network = SANDBOX_NETWORK_NONE,
                              .memory_mib = 64,
                              .cpus = 1,
                              .pids = 32,
                              .disk_mib = 16};
    g_autoptr(GString) text = g_string_new(NULL);
    Said said = {text};
    const SandboxCommand command = {.argv = COMMAND,
                                    .environment = ENVIRONMENT,
                                    .deadline = clock_monotonic_ms() + PROBE_MS,
                                    .line = hear,
                                    .data = &said};
    SandboxEnd end;
    g_autoptr(Sandbox) sandbox = sandbox_open(&spec, error);
    if (!sandbox || !sandbox_run(sandbox, &command, &end, error))
        return false;
    if (disk)
        *disk = g_strdup(sandbox_disk(sandbox));
    if (end.exit_status == 0)
        return true;
    return fail_runtime(error, text->len ? text->str : "it did not run /bin/true");
}

/* Of two that are there the first that starts: some machines' cgroups are not to the other's taste.
 * Where neither does, the first says why when it is used. */
static char *choose_runtime(const char *scratch)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static char *chosen; /* once for the process */
    g_autofree char *runc = find_program("runc"), *crun = find_program("crun");
    if (!runc || !crun || !scratch)
        return runc ? g_steal_pointer(&runc) : g_steal_pointer(&crun);
    pthread_mutex_lock(&lock);
    if (!chosen)
        chosen = g_strdup(sandbox_probe(runc, scratch, NULL, NULL) ||
                                  !sandbox_probe(crun, scratch, NULL, NULL)
                              ? runc
                              : crun);
    char *path = g_strdup(chosen);
    pthread_mutex_unlock(&lock);
    return path;
}

char *sandbox_runtime(const char *setting, const char *scratch, GError **error)
{
    g_autofree char *mend = NULL, *obstacle = userns_obstacle(false, &mend);
    if (obstacle) {
        g_set_error(error, SANDBOX_ERROR, SANDBOX_ERROR_RUNTIME, "%s: %s", obstacle, mend);
        return NULL;
    }
    char *path = *setting ? find_program(setting) : choose_runtime(scratch);
    if (!path && *setting)
        g_set_error(error, SANDBOX_ERROR, SANDBOX_ERROR_RUNTIME,
                    "the OCI runtime %s (build.runtime) is not there", setting);
    else if (!path)
        fail_runtime(error, "no OCI runtime (runc or crun) is installed");
    return path;
}
