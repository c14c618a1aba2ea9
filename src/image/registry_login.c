#include "image/registry_login.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error_domain.h"
#include "base/io.h"

#define FILE_BYTES     ((size_t)1 << 20)
#define HELPER_PREFIX  "docker-credential-"
#define HELPER_SECONDS 30
/* What docker calls the registry of docker.io in its files. */
#define DOCKER_IO_KEY  "https://index.docker.io/v1/"

DEFINE_ERROR_DOMAIN(registry_login_error);

RegistryLogin *registry_login_new(const char *user, const char *secret, const char *origin)
{
    RegistryLogin *login = g_new0(RegistryLogin, 1);
    login->user = g_strdup(user);
    login->secret = g_strdup(secret);
    login->origin = origin;
    return login;
}

RegistryLogin *registry_login_copy(const RegistryLogin *login)
{
    return login ? registry_login_new(login->user, login->secret, login->origin) : NULL;
}

static void forget(char *secret)
{
    if (secret)
        explicit_bzero(secret, strlen(secret));
    g_free(secret);
}

void registry_login_free(RegistryLogin *login)
{
    if (!login)
        return;
    g_free(login->user);
    forget(login->secret);
    g_free(login);
}

/* -- the files -- */

static void add_path(GPtrArray *paths, const char *directory, const char *name)
{
    if (directory && *directory)
        g_ptr_array_add(paths, g_build_filename(directory, name, NULL));
}

static GPtrArray *usual_files(void)
{
    GPtrArray *paths = g_ptr_array_new_with_free_func(g_free);
    const char *given = g_getenv("REGISTRY_AUTH_FILE"), *docker = g_getenv("DOCKER_CONFIG");
    if (given && *given)
        g_ptr_array_add(paths, g_strdup(given));
    add_path(paths, g_getenv("XDG_RUNTIME_DIR"), "containers/auth.json");
    add_path(paths, g_get_user_config_dir(), "containers/auth.json");
    if (docker && *docker)
        add_path(paths, docker, "config.json");
    else
        add_path(paths, g_get_home_dir(), ".docker/config.json");
    return paths;
}

/* A new reference; NULL with *error unset: there is no such file. */
static json_t *load_file(const char *path, bool must_exist, GError **error)
{
    g_autoptr(GError) failure = NULL;
    g_autoptr(GBytes) content = io_read_file(AT_FDCWD, path, FILE_BYTES, &failure);
    if (!content) {
        if (must_exist || !g_error_matches(failure, IO_ERROR, ENOENT))
            g_set_error(error, REGISTRY_LOGIN_ERROR, REGISTRY_LOGIN_ERROR_FILE,
                        "the registry logins: %s", failure->message);
        return NULL;
    }
    gsize size;
    const char *text = g_bytes_get_data(content, &size);
    json_error_t fault;
    json_t *root = json_loadb(text, size, 0, &fault);
    if (json_is_object(root))
        return root;
    json_decref(root);
    g_set_error(error, REGISTRY_LOGIN_ERROR, REGISTRY_LOGIN_ERROR_FILE,
                "the registry logins: %s, line %d: no JSON object", path, fault.line);
    return NULL;
}

/* -- one entry -- */

static RegistryLogin *login_of_auth(const char *auth)
{
    gsize size;
    g_autofree guchar *bytes = g_base64_decode(auth, &size);
    char *pair = g_strndup((const char *)bytes, size);
    char *colon = strchr(pair, ':');
    RegistryLogin *login = NULL;
    if (colon) {
        *colon = '\0';
        login = registry_login_new(pair, colon + 1, "auth_file");
        explicit_bzero(colon + 1, strlen(colon + 1));
    }
    explicit_bzero(bytes, size);
    g_free(pair);
    return login;
}

/* "auth" is what docker and podman write; Kubernetes takes "username" and "password", too, in a
 * Secret of the type kubernetes.io/dockerconfigjson. */
static RegistryLogin *login_of_entry(const json_t *entry)
{
    const char *token = json_string_value(json_object_get(entry, "identitytoken"));
    const char *auth = json_string_value(json_object_get(entry, "auth"));
    const char *user = json_string_value(json_object_get(entry, "username"));
    const char *password = json_string_value(json_object_get(entry, "password"));
    if (token && *token)
        return registry_login_new(NULL, token, "auth_file");
    if (auth && *auth)
        return login_of_auth(auth);
    return user && *user && password ? registry_login_new(user, password, "auth_file") : NULL;
}

/* Docker's own files name a registry by a URL, too. */
static bool is_host(const char *key, const char *host)
{
    g_autofree char *url = g_strdup_printf("https://%s", host);
    return g_ascii_strcasecmp(key, host) == 0 || g_ascii_strcasecmp(key, url) == 0 ||
           (strcmp(host, "docker.io") == 0 && strcmp(key, DOCKER_IO_KEY) == 0);
}

/* The longest of HOST/NAMESPACE/NAME, HOST/NAMESPACE, HOST. Borrowed. */
static const json_t *find_entry(const json_t *entries, const char *host, const char *repository)
{
    g_autofree char *place = g_strdup_printf("%s/%s", host, repository);
    for (char *slash = place + strlen(place); slash; slash = strrchr(place, '/')) {
        *slash = '\0';
        const json_t *entry = json_object_get(entries, place);
        if (entry)
            return entry;
    }
    const char *key;
    json_t *entry;
    json_object_foreach ((json_t *)entries, key, entry)
        if (is_host(key, host))
            return entry;
    return NULL;
}

/* -- credential helpers -- */

typedef struct {
    GMainLoop *loop;
    GSubprocess *helper;
    GCancellable *late;
    char *output;
    GError *error;
    bool done;
} HelperRun;

/* What it has begun may hold its output open: that is not waited for either. */
static gboolean give_up(gpointer data)
{
    HelperRun *run = data;
    g_subprocess_force_exit(run->helper);
    g_cancellable_cancel(run->late);
    return G_SOURCE_REMOVE;
}

/* Not a pipe: writing to a helper that reads nothing would end us. -1 with *error. */
static int input_of(const char *host, GError **error)
{
    autofd file = memfd_create("registry", MFD_CLOEXEC);
    ssize_t size = (ssize_t)strlen(host);
    if (file >= 0 && write(file, host, (size_t)size) == size && lseek(file, 0, SEEK_SET) == 0)
        return io_steal_fd(&file);
    g_set_error(error, IO_ERROR, errno, "a file in memory: %s", g_strerror(errno));
    return -1;
}

static GSubprocess *start_helper(const char *program, const char *host, GError **error)
{
    int input = input_of(host, error);
    if (input < 0)
        return NULL;
    g_autoptr(GSubprocessLauncher) launcher = g_subprocess_launcher_new(
        G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_SILENCE);
    g_subprocess_launcher_take_stdin_fd(launcher, input);
    return g_subprocess_launcher_spawn(launcher, error, program, "get", NULL);
}

static void helper_ended(GObject *helper, GAsyncResult *result, gpointer data)
{
    HelperRun *run = data;
    run->done = g_subprocess_communicate_utf8_finish(G_SUBPROCESS(helper), result, &run->output,
                                                     NULL, &run->error);
    g_main_loop_quit(run->loop);
}

/* What `docker-credential-NAME get` prints, given a host; in a main context of its own, for a limit
 * on its time. */
static char *run_helper(const char *program, const char *host, bool *succeeded, GError **error)
{
    g_autoptr(GSubprocess) helper = start_helper(program, host, error);
    if (!helper)
        return NULL;
    g_autoptr(GMainContext) context = g_main_context_new();
    g_autoptr(GMainLoop) loop = g_main_loop_new(context, FALSE);
    g_autoptr(GCancellable) late = g_cancellable_new();
    HelperRun run = {.loop = loop, .helper = helper, .late = late};
    g_main_context_push_thread_default(context);
    g_autoptr(GSource) limit = g_timeout_source_new_seconds(HELPER_SECONDS);
    g_source_set_callback(limit, give_up, &run, NULL);
    g_source_attach(limit, context);
    g_subprocess_communicate_utf8_async(helper, NULL, late, helper_ended, &run);
    g_main_loop_run(loop);
    g_source_destroy(limit);
    g_main_context_pop_thread_default(context);
    if (g_cancellable_is_cancelled(late))
        g_clear_error(&run.error);
    if (!run.done && !run.error)
        g_set_error(&run.error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT, "no answer within %d s",
                    HELPER_SECONDS);
    if (!run.done) {
        g_propagate_error(error, run.error);
        return NULL;
    }
    *succeeded = g_subprocess_get_successful(helper);
    return run.output;
}

static bool is_helper_name(const char *name)
{
    return *name && strspn(name, "abcdefghijklmnopqrstuvwxyz"
                                 "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == strlen(name);
}

/* NULL with *error unset: the helper has no login for it. */
static RegistryLogin *ask_helper(const char *name, const char *host, GError **error)
{
    if (!is_helper_name(name)) {
        g_set_error(error, REGISTRY_LOGIN_ERROR, REGISTRY_LOGIN_ERROR_HELPER,
                    "the registry logins name a credential helper that cannot be one");
        return NULL;
    }
    g_autofree char *program = g_strconcat(HELPER_PREFIX, name, NULL);
    g_autoptr(GError) failure = NULL;
    bool succeeded = false;
    char *output = run_helper(program, host, &succeeded, &failure);
    if (!output) {
        g_set_error(error, REGISTRY_LOGIN_ERROR, REGISTRY_LOGIN_ERROR_HELPER, "%s: %s", program,
                    failure->message);
        return NULL;
    }
    json_auto_t *answer = succeeded ? json_loads(output, 0, NULL) : NULL;
    const char *user = json_string_value(json_object_get(answer, "Username"));
    const char *secret = json_string_value(json_object_get(answer, "Secret"));
    RegistryLogin *login = NULL;
    if (user && secret)
        login = registry_login_new(strcmp(user, "<token>") == 0 ? NULL : user, secret, "auth_file");
    forget(output);
    return login;
}

/* -- all of it -- */

RegistryLogin *registry_login_read(const json_t *root, const char *host, const char *repository,
                                   const char **helper)
{
    *helper = json_string_value(find_entry(json_object_get(root, "credHelpers"), host, repository));
    if (*helper)
        return NULL;
    const json_t *entry = find_entry(json_object_get(root, "auths"), host, repository);
    RegistryLogin *login = login_of_entry(entry);
    if (!login)
        *helper = json_string_value(json_object_get(root, "credsStore"));
    return login;
}

static RegistryLogin *find_in(const json_t *root, const char *host, const char *repository,
                              GError **error)
{
    const char *helper;
    RegistryLogin *login = registry_login_read(root, host, repository, &helper);
    bool docker = strcmp(host, "docker.io") == 0;
    return helper ? ask_helper(helper, docker ? DOCKER_IO_KEY : host, error) : login;
}

RegistryLogin *registry_login_find(const Settings *settings, const char *host,
                                   const char *repository, GError **error)
{
    const char *given = settings_text(settings, "images.auth_file");
    g_autoptr(GPtrArray) paths = *given ? g_ptr_array_new_with_free_func(g_free) : usual_files();
    if (*given)
        g_ptr_array_add(paths, g_strdup(given));
    for (guint i = 0; i < paths->len; i++) {
        g_autoptr(GError) failure = NULL;
        json_auto_t *root = load_file(paths->pdata[i], *given, &failure);
        RegistryLogin *login = root ? find_in(root, host, repository, &failure) : NULL;
        if (login || failure) {
            if (failure)
                g_propagate_error(error, g_steal_pointer(&failure));
            return login;
        }
    }
    return NULL;
}
