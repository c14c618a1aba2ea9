#include "build/environment.h"

#include <errno.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>

#include "base/clock.h"
#include "base/io.h"
#include "build/proxy.h"
#include "build/resolved.h"
#include "build/rootfs.h"
#include "build/unpack.h"
#include "build/userns.h"
#include "build/wheels.h"

#define DISK_FULL_BYTES (1 << 20) /* less is free: it is full */
#define HOST_FULL_BYTES (8 << 20) /* the same of the data directory's disk */

typedef struct {
    const EnvironmentSpec *spec;
    EnvironmentResult *result;
    char *unpacked, *scratch, *runtime, *python;
    GPtrArray *lowers;
    Sandbox *sandbox;
    Proxy *proxy;
    bool apt_sources;
    OutputTail tail;
    int64_t began, deadline;
    int held; /* unpack_hold */
} Build;

static void build_clear(Build *build)
{
    proxy_free(build->proxy);
    sandbox_free(build->sandbox);
    if (build->lowers)
        g_ptr_array_unref(build->lowers);
    output_tail_clear(&build->tail);
    io_close(&build->held);
    g_free(build->unpacked);
    g_free(build->scratch);
    g_free(build->runtime);
    g_free(build->python);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Build, build_clear)

char *environment_scratch(const char *data)
{
    return g_build_filename(data, "sandbox", NULL);
}

void environment_result_clear(EnvironmentResult *result)
{
    packed_layer_clear(&result->layer);
    json_decref(result->packages);
    event_free(result->event);
    io_close(&result->lock);
    *result = ENVIRONMENT_RESULT_NONE;
}

static void say(Build *build, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void say(Build *build, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *text = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    build->spec->line(build->spec->log, "waybill", text);
}

static void hear(gpointer data, const char *stream, const char *text)
{
    Build *build = data;
    output_tail_add(&build->tail, text);
    build->spec->line(build->spec->log, stream, text);
}

static void hear_pause(gpointer data)
{
    Build *build = data;
    build->spec->flush(build->spec->log);
}

/* -- making it ready -- */

static bool build_open(Build *build, GError **error)
{
    const Settings *settings = build->spec->settings;
    build->unpacked = unpack_directory(build->spec->data);
    build->scratch = environment_scratch(build->spec->data);
    build->held = unpack_hold(build->unpacked, error);
    if (build->held < 0)
        return false;
    unpack_sweep(build->unpacked);
    build->runtime =
        sandbox_runtime(settings_text(settings, "build.runtime"), build->scratch, error);
    build->lowers = build->runtime ? unpack_image(build->unpacked, build->spec->images,
                                                  build->spec->base, build->spec->progress, error)
                                   : NULL;
    if (!build->lowers)
        return false;
    build->python = rootfs_python(build->unpacked, build->lowers);
    const SandboxSpec sandbox = {.directory = build->scratch,
                                 .lower_root = build->unpacked,
                                 .lowers = build->lowers,
                                 .runtime = build->runtime,
                                 .network = build->spec->sources->network,
                                 .memory_mib = (int)settings_int(settings, "build.memory_mib"),
                                 .cpus = (int)settings_int(settings, "build.cpus"),
                                 .pids = (int)settings_int(settings, "build.pids"),
                                 .disk_mib = (int)settings_int(settings, "build.disk_mib")};
    build->sandbox = sandbox_open(&sandbox, error);
    build->result->unpack_ms = clock_monotonic_ms() - build->began;
    return build->sandbox != NULL;
}

static bool bind_wheels(Build *build, GError **error)
{
    g_autofree char *directory = sandbox_directory(build->sandbox, "wheels", error);
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    for (guint i = 0; i < build->spec->dependencies->len; i++) {
        Dependency *dependency = build->spec->dependencies->pdata[i];
        if (dependency_is_wheel(dependency))
            g_ptr_array_add(names, dependency->name);
    }
    if (!directory ||
        !wheels_extract(build->spec->images, build->spec->model_layers, names, directory, error))
        return false;
    sandbox_bind(build->sandbox, directory, INSTALL_WHEELS);
    return true;
}

static bool bind_sources(Build *build, GError **error)
{
    const PackageSources *sources = build->spec->sources;
    g_autofree char *release = rootfs_os_release(build->unpacked, build->lowers);
    g_autofree char *list = install_apt_sources(sources, release);
    g_autofree char *directory = sandbox_directory(build->sandbox, "apt", error);
    g_autofree char *file = directory ? g_build_filename(directory, "sources.list", NULL) : NULL;
    if (!directory || (list && !g_file_set_contents(file, list, -1, error)))
        return false;
    build->apt_sources = list != NULL;
    sandbox_bind(build->sandbox, directory, INSTALL_ROOT "/apt");
    if (sources->ca_file)
        sandbox_bind(build->sandbox, sources->ca_file, INSTALL_CA);
    for (guint i = 0; i < sources->links->len; i++) {
        const char *link = sources->links->pdata[i];
        g_autofree char *target = g_strdup_printf(INSTALL_LINKS "/%u", i);
        if (g_str_has_prefix(link, "file://"))
            link += strlen("file://");
        if (*link == '/' && g_file_test(link, G_FILE_TEST_IS_DIR))
            sandbox_bind(build->sandbox, link, target);
    }
    return true;
}

/* -- installing -- */

static bool disk_is_full(const Build *build)
{
    struct statvfs about;
    return fstatvfs(sandbox_upper(build->sandbox), &about) == 0 &&
           (int64_t)about.f_bavail * (int64_t)about.f_frsize < DISK_FULL_BYTES;
}

/* The sparse file of the sandbox's disk could not grow: not the package's fault. */
static bool host_is_full(const Build *build, GError **error)
{
    struct statvfs about;
    if (statvfs(build->scratch, &about) < 0 ||
        (int64_t)about.f_bavail * (int64_t)about.f_frsize >= HOST_FULL_BYTES)
        return false;
    io_fail(error, ENOSPC, "%s", build->scratch);
    return true;
}

static Event *event_timeout(Build *build, const InstallStep *step, const SandboxEnd *end)
{
    const char *doing;
    const char *minutes = settings_text(build->spec->settings, "build.timeout_minutes");
    Event *event = event_image_build_timeout(minutes);
    g_autofree char *package = failure_package(&build->tail, &doing);
    const Dependency *first = step->packages->len ? step->packages->pdata[0] : NULL;
    struct utsname machine;
    uname(&machine);
    event_with(event, "{s:s, s:s, s:s, s:I, s:I, s:s, s:{s:I}}", "doing", doing, "setting",
               "build.timeout_minutes", "arch", machine.machine, "seconds",
               (json_int_t)(end->wall_ms / 1000), "cpu_ms", (json_int_t)end->cpu_ms, "installer",
               installer_name(step->installer), "log", "to",
               (json_int_t)build->spec->line_number(build->spec->log));
    event_with_text(event, "minutes", minutes);
    event_with_text(event, "package", package ? package : first ? first->name : "apt-get update");
    if (build->python)
        event_with_text(event, "python", build->python);
    return event;
}

static Event *event_failed(Build *build, const InstallStep *step, const SandboxEnd *end,
                           char **argv, int64_t log_from)
{
    struct utsname machine;
    uname(&machine);
    g_autofree char *blocked = build->proxy ? proxy_blocked(build->proxy) : NULL;
    const Settings *settings = build->spec->settings;
    const Failure failure = {.step = step,
                             .sources = build->spec->sources,
                             .dependencies = build->spec->dependencies,
                             .end = end,
                             .tail = &build->tail,
                             .argv = argv,
                             .python = build->python,
                             .arch = machine.machine,
                             .base = build->spec->base_reference,
                             .memory_mib = (int)settings_int(settings, "build.memory_mib"),
                             .memory_each = userns_needed(),
                             .disk_mib = (int)settings_int(settings, "build.disk_mib"),
                             .disk_full = disk_is_full(build),
                             .log_from = log_from,
                             .log_to = build->spec->line_number(build->spec->log),
                             .blocked = blocked};
    return failure_event(&failure);
}

static char **image_path(const Image *base)
{
    const json_t *list = json_object_get(json_object_get(base->config_json, "config"), "Env"),
                 *entry;
    size_t i;
    json_array_foreach (list, i, entry)
        if (json_string_value(entry) && g_str_has_prefix(json_string_value(entry), "PATH="))
            return g_strsplit(json_string_value(entry) + strlen("PATH="), "\n", 1);
    return NULL;
}

/* Of what pip says of an index only what is wrong with it. */
static void hear_diagnosis(gpointer data, const char *stream, const char *text)
{
    if (strstr(text, "Could not fetch URL") || strstr(text, "401 Error") ||
        strstr(text, "not a trusted or secure host"))
        hear(data, stream, text);
}

/* pip takes an index that refuses or is away for one that has nothing, and says the rest only when
 * it is asked to. */
static bool diagnose(Build *build, const InstallStep *step, const InstallSetting *setting,
                     GError **error)
{
    g_autofree char *name = failure_missing(&build->tail);
    if (step->installer != INSTALLER_PIP || !name || !package_sources_pip(build->spec->sources))
        return true;
    g_auto(GStrv) argv = install_diagnosis(name, setting);
    g_auto(GStrv) environment = install_environment(setting);
    const SandboxCommand command = {.argv = (const char *const *)argv,
                                    .environment = (const char *const *)environment,
                                    .deadline = build->deadline,
                                    .progress = build->spec->progress,
                                    .line = hear_diagnosis,
                                    .data = build};
    SandboxEnd end;
    return sandbox_run(build->sandbox, &command, &end, error);
}

static InstallSetting install_setting(const Build *build, const char *path)
{
    const Settings *settings = build->spec->settings;
    return (InstallSetting){.sources = build->spec->sources,
                            .apt_sources = build->apt_sources,
                            .path = path,
                            .http_proxy = package_proxy(settings, PACKAGE_PROXY_HTTP),
                            .https_proxy = package_proxy(settings, PACKAGE_PROXY_HTTPS),
                            .no_proxy = package_proxy(settings, PACKAGE_PROXY_NONE)};
}

static bool run_step(Build *build, const InstallStep *step, GError **error)
{
    g_auto(GStrv) path = image_path(build->spec->base);
    const InstallSetting setting = install_setting(build, path ? path[0] : NULL);
    g_auto(GStrv) argv = install_argv(step, &setting);
    g_auto(GStrv) environment = install_environment(&setting);
    g_autofree char *shown = g_strjoinv(" ", argv);
    const SandboxCommand command = {.argv = (const char *const *)argv,
                                    .environment = (const char *const *)environment,
                                    .deadline = build->deadline,
                                    .progress = build->spec->progress,
                                    .line = hear,
                                    .pause = hear_pause,
                                    .data = build};
    SandboxEnd end;
    say(build, "$ %s", shown);
    int64_t from = build->spec->line_number(build->spec->log);
    output_tail_clear(&build->tail);
    if (!sandbox_run(build->sandbox, &command, &end, error))
        return false;
    build->spec->flush(build->spec->log);
    if (end.outcome == SANDBOX_STOPPED) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED, "stopped");
        return false;
    }
    if (end.outcome == SANDBOX_TIMEOUT) {
        say(build, "stopped: the limit of %s min is over",
            settings_text(build->spec->settings, "build.timeout_minutes"));
        build->result->event = event_timeout(build, step, &end);
        build->result->timed_out = true;
    } else if (end.exit_status != 0 && host_is_full(build, error)) {
        return false;
    } else if (end.exit_status != 0) {
        say(build, "exit status %d after %.1f s", end.exit_status, (double)end.wall_ms / 1000);
        if (!diagnose(build, step, &setting, error))
            return false;
        build->result->event = event_failed(build, step, &end, argv, from);
    }
    return true;
}

/* What pip says stands in the way is in the list, above: then the list is installed one by one. */
static bool should_go_apart(Build *build, const InstallStep *step)
{
    g_autofree char *needs = NULL, *package = failure_order(&build->tail, &needs);
    if (!package || step->packages->len < 2 || build->result->timed_out)
        return false;
    for (guint i = 0; i < step->packages->len; i++) {
        const Dependency *dependency = step->packages->pdata[i];
        g_autofree char *lower = g_ascii_strdown(dependency->name, -1);
        g_autofree char *wanted = g_ascii_strdown(needs, -1);
        if (g_ascii_strcasecmp(dependency->name, package) == 0)
            return false; /* it stands above what it needs */
        if (strncmp(lower, wanted, strlen(wanted)) == 0)
            return true;
    }
    return false;
}

static bool run_apart(Build *build, const InstallStep *step, GError **error)
{
    g_autoptr(GPtrArray) plan = install_apart(step);
    g_clear_pointer(&build->result->event, event_free);
    say(build, "a package is built with one that stands above it: one by one, in their order");
    for (guint i = 0; i < plan->len && !build->result->event; i++)
        if (!run_step(build, plan->pdata[i], error))
            return false;
    return true;
}

static bool install_all(Build *build, GError **error)
{
    g_autoptr(GPtrArray) plan = install_plan(build->spec->dependencies);
    for (guint i = 0; i < plan->len && !build->result->event; i++) {
        const InstallStep *step = plan->pdata[i];
        if (!run_step(build, step, error))
            return false;
        if (build->result->event && step->installer == INSTALLER_PIP &&
            should_go_apart(build, step) && !run_apart(build, step, error))
            return false;
    }
    return true;
}

/* -- the layer -- */

static bool pack_result(Build *build, GError **error)
{
    int upper = sandbox_upper(build->sandbox);
    int64_t began = clock_monotonic_ms();
    EnvironmentResult *result = build->result;
    g_autofree char *status = rootfs_read(build->unpacked, build->lowers, "var/lib/dpkg/status");
    result->packages = resolved_packages(upper, status);
    result->lock = layout_lock(build->spec->images, false, error);
    if (result->lock < 0 ||
        !pack_upper(upper, build->spec->images, build->spec->progress, &result->layer, error))
        return false;
    result->pack_ms = clock_monotonic_ms() - began;
    if (result->layer.digest)
        say(build, "layer %s, %" G_GINT64_FORMAT " files, %" G_GINT64_FORMAT " bytes",
            result->layer.digest, result->layer.files, result->layer.size);
    else
        say(build, "nothing to install: the base image has it all");
    return true;
}

static bool begin_proxy(Build *build, GError **error)
{
    const Settings *settings = build->spec->settings;
    if (build->spec->sources->network != SANDBOX_NETWORK_PROXY)
        return true;
    const ProxySpec spec = {.listener = sandbox_listener(build->sandbox),
                            .hosts = build->spec->sources->hosts,
                            .http_proxy = package_proxy(settings, PACKAGE_PROXY_HTTP),
                            .https_proxy = package_proxy(settings, PACKAGE_PROXY_HTTPS),
                            .no_proxy = package_proxy(settings, PACKAGE_PROXY_NONE)};
    build->proxy = proxy_new(&spec, error);
    return build->proxy != NULL;
}

bool environment_build(const EnvironmentSpec *spec, EnvironmentResult *result, GError **error)
{
    static const char *const NETWORKS[] = {"none", "proxy", "host"};
    const double minutes =
        g_ascii_strtod(settings_text(spec->settings, "build.timeout_minutes"), NULL);
    g_auto(Build)
        build = {.spec = spec, .result = result, .began = clock_monotonic_ms(), .held = -1};
    *result = ENVIRONMENT_RESULT_NONE;
    if (!build_open(&build, error) || !bind_wheels(&build, error) || !bind_sources(&build, error) ||
        !begin_proxy(&build, error))
        return false;
    g_autofree char *sources = package_sources_text(spec->sources);
    say(&build, "base %s %s", spec->base_reference, spec->base->manifest->digest);
    say(&build, "sandbox %s, disk %s, network %s%s%s", build.runtime, sandbox_disk(build.sandbox),
        NETWORKS[spec->sources->network], *sources ? "; " : "", sources);
    int64_t began = clock_monotonic_ms();
    build.deadline = build.began + (int64_t)(minutes * 60000);
    if (!install_all(&build, error))
        return false;
    result->install_ms = clock_monotonic_ms() - began;
    return result->event || pack_result(&build, error);
}
