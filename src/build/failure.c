#include "build/failure.h"

#include <string.h>

#include "base/mask.h"

#define SHOWN_LINES 10

/* -- the lines -- */

void output_tail_add(OutputTail *tail, const char *text)
{
    g_queue_push_tail(&tail->lines, mask_text(text));
    if (tail->lines.length > FAILURE_LINES)
        g_free(g_queue_pop_head(&tail->lines));
}

void output_tail_clear(OutputTail *tail)
{
    g_queue_clear_full(&tail->lines, g_free);
}

/* The last line that fits, and what its groups hold (NULL-terminated; [0] is the whole). */
static char **find(OutputTail *tail, const char *pattern)
{
    g_autoptr(GRegex) regex = g_regex_new(pattern, 0, 0, NULL);
    g_assert(regex);
    for (GList *at = tail->lines.tail; at; at = at->prev) {
        g_autoptr(GMatchInfo) match = NULL;
        if (g_regex_match(regex, at->data, 0, &match))
            return g_match_info_fetch_all(match);
    }
    return NULL;
}

static bool said(OutputTail *tail, const char *pattern)
{
    g_auto(GStrv) found = find(tail, pattern);
    return found != NULL;
}

static bool is_error_line(const char *line)
{
    static const char *const SIGNS[] = {"ERROR",         "error:",
                                        "E: ",           "Error:",
                                        "fatal:",        "Killed",
                                        "No space left", "ModuleNotFoundError",
                                        "Could not"};
    for (size_t i = 0; i < G_N_ELEMENTS(SIGNS); i++)
        if (strstr(line, SIGNS[i]))
            return true;
    return false;
}

/* Those that look like errors; where none does, the last ones. */
static json_t *error_lines(OutputTail *tail)
{
    json_t *lines = json_array();
    for (GList *at = tail->lines.tail; at && json_array_size(lines) < SHOWN_LINES; at = at->prev)
        if (is_error_line(at->data))
            json_array_insert_new(lines, 0, json_string(at->data));
    for (GList *at = json_array_size(lines) ? NULL : tail->lines.tail;
         at && json_array_size(lines) < SHOWN_LINES; at = at->prev)
        if (*(char *)at->data)
            json_array_insert_new(lines, 0, json_string(at->data));
    return lines;
}

/* -- who and what -- */

char *failure_package(OutputTail *tail, const char **doing)
{
    static const struct {
        const char *pattern, *doing;
    } LINES[] = {{"^\\s*Building wheel for (\\S+)", "compiling from source"},
                 {"^\\s*Preparing metadata \\(", "compiling from source"},
                 {"^\\s*Downloading (\\S+)", "downloading"},
                 {"^Collecting (\\S+)", "resolving"},
                 {"^Processing \\S*/([^/ ]+)$", "installing"},
                 {"^Installing collected packages: (.*)$", "installing"},
                 {"^Setting up (\\S+)", "installing"},
                 {"^Unpacking (\\S+)", "installing"},
                 {"^Get:\\d+ \\S+ \\S+ \\S+ (\\S+)", "downloading"}};
    *doing = "installing";
    for (GList *at = tail->lines.tail; at; at = at->prev)
        for (size_t i = 0; i < G_N_ELEMENTS(LINES); i++) {
            g_autoptr(GRegex) regex = g_regex_new(LINES[i].pattern, 0, 0, NULL);
            g_autoptr(GMatchInfo) match = NULL;
            if (!g_regex_match(regex, at->data, 0, &match))
                continue;
            *doing = LINES[i].doing;
            if (g_match_info_get_match_count(match) > 1)
                return g_match_info_fetch(match, 1);
            g_auto(GStrv) collected = find(tail, "^(?:Collecting|Processing) (?:\\S*/)?([^/ ]+)");
            return collected ? g_strdup(collected[1]) : NULL;
        }
    return NULL;
}

/* "name-1.0.tar.gz", "name==1.0 (from …)" -> name. */
static char *plain_name(const char *text)
{
    g_autoptr(GRegex) regex = g_regex_new(
        "^([A-Za-z0-9][A-Za-z0-9._-]*?)(?:-[0-9][^-]*)?(?:\\.tar\\.gz|\\.zip|\\.whl|-py.*"
        "|[<>=!~\\[ ].*)?$",
        0, 0, NULL);
    g_autoptr(GMatchInfo) match = NULL;
    return g_regex_match(regex, text, 0, &match) ? g_match_info_fetch(match, 1) : g_strdup(text);
}

char *failure_order(OutputTail *tail, char **needs)
{
    const char *doing;
    g_auto(GStrv) module = find(tail, "ModuleNotFoundError: No module named '([A-Za-z0-9_]+)");
    bool building = said(tail, "(?:subprocess-exited-with-error|metadata-generation-failed|"
                               "Failed building wheel|python setup.py)");
    if (!module || !building)
        return NULL;
    g_autofree char *package = failure_package(tail, &doing);
    *needs = g_strdup(module[1]);
    return package ? plain_name(package) : g_strdup("?");
}

char *failure_missing(OutputTail *tail)
{
    g_auto(GStrv) found =
        find(tail, "ERROR: Could not find a version that satisfies the requirement "
                   "([^ ;(<>=]+).*\\(from versions: none\\)");
    return found ? g_strdup(found[1]) : NULL;
}

static void put_text(Event *event, const char *key, const char *text)
{
    if (text && *text)
        event_with_text(event, key, text);
}

static char *index_text(const Failure *failure)
{
    g_autofree char *text = package_sources_text(failure->sources);
    const PackageSources *sources = failure->sources;
    if (failure->step->installer == INSTALLER_APT)
        return g_strdup(sources->mirror ? sources->mirror : "the base image's apt sources");
    return sources->index ? mask_text(sources->index) : g_steal_pointer(&text);
}

/* -- what pip says -- */

static bool take_conflict(const Failure *failure, Event *event)
{
    OutputTail *tail = failure->tail;
    static const char WANTS[] = "^ +(\\S+(?: \\S+)?) depends on ([A-Za-z0-9._-]+)(.*)$";
    g_auto(GStrv) last = find(tail, WANTS);
    g_auto(GStrv) asked = find(tail, "^ +The user requested ([A-Za-z0-9._-]+)(.*)$");
    if (!last || !said(tail, "The conflict is caused by:|conflicting dependencies"))
        return false;
    g_autofree char *other = NULL, *wants = asked ? g_strdup(asked[2]) : NULL;
    g_autoptr(GRegex) regex = g_regex_new(WANTS, 0, 0, NULL);
    for (GList *at = tail->lines.tail; at && !asked; at = at->prev) {
        g_autoptr(GMatchInfo) match = NULL;
        if (!g_regex_match(regex, at->data, 0, &match))
            continue;
        g_autofree char *who = g_match_info_fetch(match, 1), *what = g_match_info_fetch(match, 2);
        if (strcmp(who, last[1]) == 0 || strcmp(what, last[2]) != 0)
            continue;
        other = g_steal_pointer(&who);
        wants = g_match_info_fetch(match, 3);
        break;
    }
    put_text(event, "package", last[2]);
    put_text(event, "a", other ? other : "the list of dependencies");
    put_text(event, "x", wants && *g_strstrip(wants) ? wants : "another version");
    put_text(event, "b", last[1]);
    put_text(event, "y", *g_strstrip(last[3]) ? last[3] : "any");
    return true;
}

static bool take_no_version(const Failure *failure, Event *event)
{
    g_auto(GStrv) pip = find(failure->tail, "ERROR: Could not find a version that satisfies the "
                                            "requirement ([^ ;(]+).*\\(from versions: (.*)\\)");
    g_auto(GStrv) none = find(failure->tail, "ERROR: No matching distribution found for ([^ ;(]+)");
    g_auto(GStrv) unknown = find(failure->tail, "E: Unable to locate package (\\S+)");
    g_auto(GStrv) candidate =
        find(failure->tail, "E: Package '(\\S+)' has no installation candidate");
    g_auto(GStrv) version = find(failure->tail, "E: Version '(\\S+)' for '(\\S+)' was not found");
    char **any = pip ? pip : none ? none : unknown ? unknown : candidate ? candidate : version;
    if (!any)
        return false;
    g_autofree char *name = plain_name(version ? version[2] : any[1]);
    put_text(event, "package", name);
    const char *wanted = version ? version[1] : any[1] + MIN(strlen(name), strlen(any[1]));
    put_text(event, "wanted", wanted);
    g_auto(GStrv) versions = g_strsplit(pip ? pip[2] : "none", ", ", -1);
    json_t *list = json_array();
    guint count = g_strv_length(versions);
    for (guint i = count > 12 ? count - 12 : 0; i < count; i++)
        json_array_append_new(list, json_string(versions[i]));
    event_with_json(event, "versions", list);
    return true;
}

static bool take_compile(const Failure *failure, Event *event)
{
    const char *doing;
    g_auto(GStrv) wheel = find(failure->tail, "ERROR: (?:Failed building wheel for|Could not build "
                                              "wheels for) ([^ ,]+)");
    bool metadata = said(failure->tail, "metadata-generation-failed|subprocess-exited-with-error|"
                                        "Getting requirements to build wheel did not run");
    if (!wheel && !metadata)
        return false;
    g_autofree char *worked_on = failure_package(failure->tail, &doing);
    g_autofree char *name = plain_name(wheel ? wheel[1] : worked_on ? worked_on : "?");
    g_auto(GStrv) line =
        find(failure->tail,
             "^\\s*((?:[A-Za-z]+Error: |.*fatal error: |.*: command not found|error: "
             "(?!subprocess-exited|metadata-gen|legacy-install)).*)$");
    put_text(event, "package", name);
    put_text(event, "error_line", line ? line[1] : "the build backend failed");
    return true;
}

static bool take_unsupported(const Failure *failure, Event *event)
{
    g_auto(GStrv) wheel =
        find(failure->tail, "ERROR: (\\S+\\.whl) is not a supported wheel on this platform");
    g_auto(GStrv) python =
        find(failure->tail, "ERROR: Package '(\\S+)' requires a different Python: (.*)$");
    if (!wheel && !python)
        return false;
    put_text(event, "package", wheel ? wheel[1] : python[1]);
    if (python)
        put_text(event, "wanted", python[2]);
    return true;
}

static void take_line(const Failure *failure, Event *event)
{
    json_t *lines = error_lines(failure->tail);
    const char *last = json_string_value(json_array_get(lines, json_array_size(lines) - 1));
    put_text(event, "error_line", last ? last : "it said nothing");
    json_decref(lines);
}

static bool take_order(const Failure *failure, Event *event)
{
    g_autofree char *needs = NULL, *package = failure_order(failure->tail, &needs);
    if (!package)
        return false;
    put_text(event, "package", package);
    put_text(event, "needs", needs);
    return true;
}

/* Conda's channels are the base image's own; only what it says tells that it could not reach them.
 */
#define CONDA_AWAY "CondaHTTPError|CONNECTION FAILED|ConnectionFailed|NoInternet|ProxyError"

/* Whether anything had to be downloaded, and there is nothing to download it from. */
static bool needs_network(const Failure *failure)
{
    switch (failure->step->installer) {
    case INSTALLER_PIP:
        return !package_sources_pip(failure->sources);
    case INSTALLER_APT:
        return !package_sources_apt(failure->sources);
    case INSTALLER_CONDA:
        return (failure->blocked || failure->sources->network == SANDBOX_NETWORK_NONE) &&
               said(failure->tail, CONDA_AWAY);
    }
    g_assert_not_reached();
}

/* What lets the installer out. */
static const char *network_setting(Installer installer)
{
    static const char *const SETTINGS[] = {[INSTALLER_PIP] = "build.pip_index_url",
                                           [INSTALLER_APT] = "build.apt_mirror",
                                           [INSTALLER_CONDA] = "build.network_hosts"};
    return SETTINGS[installer];
}

static bool take_no_network(const Failure *failure, Event *event)
{
    if (!needs_network(failure))
        return false;
    if (!take_no_version(failure, event) && failure->step->installer == INSTALLER_PIP &&
        !failure->blocked)
        return false;
    if (!json_object_get(event->evidence, "package")) {
        const Dependency *first =
            failure->step->packages->len ? failure->step->packages->pdata[0] : NULL;
        for (guint i = 0; !first && i < failure->dependencies->len; i++) {
            const Dependency *dependency = failure->dependencies->pdata[i];
            if (dependency->installer == failure->step->installer)
                first = dependency;
        }
        put_text(event, "package", first ? first->name : "a package");
    }
    put_text(event, "setting", network_setting(failure->step->installer));
    return true;
}

static bool lacks_installer(const Failure *failure)
{
    return said(failure->tail, "executable file (?:not found|`[^`]*` not found)|"
                               "exec: \".*\": stat|No module named pip|no such file or directory: "
                               "unknown");
}

#define TLS "CERTIFICATE_VERIFY_FAILED|SSLError|SSLCertVerificationError|certificate verif"
#define AUTH                                                                              \
    "401 (?:Error|Unauthorized|Client)|403 (?:Error|Forbidden|Client)|HTTP error 40[13]|" \
    "User for |Credentials not correct"
#define AWAY                                                                                     \
    "NewConnectionError|Connection refused|ConnectTimeoutError|Read timed out|ReadTimeoutError|" \
    "Temporary failure|Name or service not known|HTTP error 5\\d\\d|50[234] (?:Error|Server|"    \
    "Bad|Service)|ProxyError|Connection failed|Could not connect|Could not resolve|"             \
    "RemoteDisconnected|Failed to fetch"

/* As Python, C++, C and compilers say it. */
#define REFUSED \
    "MemoryError|std::bad_alloc|Cannot allocate memory|virtual memory exhausted|[Oo]ut of memory"

/* The line that names it becomes the one that is shown. */
static bool take_said(const Failure *failure, Event *event, const char *pattern)
{
    g_autofree char *whole = g_strdup_printf("^\\s*(.*(?:%s).*)$", pattern);
    g_auto(GStrv) line = find(failure->tail, whole);
    if (line)
        put_text(event, "error_line", line[1]);
    return line != NULL;
}

static const char *failure_kind(const Failure *failure, Event *event)
{
    if (failure->end->out_of_memory)
        return "memory";
    if (failure->memory_each && take_said(failure, event, REFUSED))
        return "memory_refused";
    if (failure->disk_full)
        return "disk";
    if (lacks_installer(failure))
        return "no_installer";
    if (take_conflict(failure, event))
        return "conflict";
    if (take_unsupported(failure, event))
        return "unsupported";
    if (take_said(failure, event, TLS))
        return "index_tls";
    if (take_said(failure, event, AUTH))
        return "index_auth";
    if (take_no_network(failure, event))
        return "no_network";
    if (take_said(failure, event, AWAY))
        return "index_away";
    if (take_order(failure, event))
        return "order";
    if (take_compile(failure, event))
        return "compile";
    if (take_no_version(failure, event))
        return "no_version";
    return "command";
}

/* -- the event -- */

static void put_limits(const Failure *failure, Event *event)
{
    const char *doing;
    const SandboxEnd *end = failure->end;
    g_autofree char *package = failure_package(failure->tail, &doing);
    g_autofree char *what = package ? g_strdup_printf("%s %s", doing, package) : g_strdup(doing);
    put_text(event, "doing", what);
    if (end->memory_peak >= 0)
        event_with(event, "{s:I, s:i}", "peak", (json_int_t)(end->memory_peak >> 20), "limit",
                   failure->memory_mib);
    event_with(event, "{s:i}", "disk_limit", failure->disk_mib);
    if (end->signal)
        event_with(event, "{s:i}", "signal", end->signal);
}

Event *failure_event(const Failure *failure)
{
    Event *event = event_image_build_failed_see_log();
    const char *kind = failure_kind(failure, event);
    g_autofree char *command = g_strjoinv(" ", failure->argv);
    g_autofree char *masked = mask_text(command);
    g_autofree char *index = index_text(failure);
    event_with_kind(event, kind);
    put_text(event, "command", masked);
    event_with(event, "{s:i, s:s}", "exit_status", failure->end->exit_status, "installer",
               installer_name(failure->step->installer));
    event_with_json(event, "error_lines", error_lines(failure->tail));
    put_text(event, "index", index);
    put_text(event, "python", failure->python);
    put_text(event, "arch", failure->arch);
    put_text(event, "base", failure->base);
    put_text(event, "blocked", failure->blocked);
    if (failure->log_from)
        event_with(event, "{s:{s:I, s:I}}", "log", "from", (json_int_t)failure->log_from, "to",
                   (json_int_t)failure->log_to);
    put_limits(failure, event);
    if (!json_object_get(event->evidence, "error_line"))
        take_line(failure, event);
    return event;
}
