#include "import/scan_events.h"

#include <string.h>

#include "scan/scan.h"

#define NAMES_MAX  20 /* imports, files of one event */
#define SPOKEN_MAX 5  /* names in a message */
#define CHUNK      ((size_t)1 << 18)

typedef struct {
    const Package *package;
    bool told, denied; /* of pickles: check.pickle */
    GPtrArray *found, *denied_ones, *unread, *truncated, *broken, *external; /* of Event */
} Telling;

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static json_int_t number_of(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

/* "a, b, c (+2)" */
static char *spoken(const json_t *names, json_int_t count)
{
    GString *text = g_string_new(NULL);
    size_t i;
    json_t *name;
    json_array_foreach (names, i, name)
        if (i < SPOKEN_MAX)
            g_string_append_printf(text, "%s%s", i ? ", " : "", json_string_value(name));
    json_int_t more = count - (json_int_t)MIN(json_array_size(names), SPOKEN_MAX);
    if (more > 0)
        g_string_append_printf(text, " (+%" JSON_INTEGER_FORMAT ")", more);
    return g_string_free(text, FALSE);
}

static char *file_of(const Telling *telling, const json_t *report)
{
    return package_path_in_source(telling->package->child, text_of(report, "path"));
}

static Event *with_file(const Telling *telling, const json_t *report, Event *event)
{
    g_autofree char *file = file_of(telling, report);
    event_with_text(event, "file", file);
    return event_with_text(event, "format", text_of(report, "format"));
}

/* -- pickles -- */

/* Names of one rank, at most NAMES_MAX with those that are there; NULL rank: of any but listed. */
static json_t *names_of(const json_t *report, const char *rank)
{
    json_t *names = json_array();
    size_t i;
    json_t *import;
    json_array_foreach (json_object_get(report, "imports"), i, import) {
        const char *own = text_of(import, "rank");
        bool wanted = rank ? strcmp(own, rank) == 0 : strcmp(own, "listed") != 0;
        if (wanted && json_array_size(names) < NAMES_MAX)
            json_array_append(names, json_object_get(import, "name"));
    }
    return names;
}

static void with_unread(Event *event, const json_t *report, bool with_member)
{
    if (!json_object_get(report, "unread"))
        return;
    event_with_text(event, "unread", text_of(report, "unread"));
    if (with_member && text_of(report, "unread_member"))
        event_with_text(event, "member", text_of(report, "unread_member"));
}

static Event *with_imports(const Telling *telling, const json_t *report, Event *event)
{
    const json_t *first = json_array_get(json_object_get(report, "imports"), 0);
    bool dangerous = number_of(report, "dangerous") > 0;
    with_file(telling, report, event);
    event_with_json(event, "imports", names_of(report, NULL));
    event_with(event, "{s:I, s:I}", "count",
               number_of(report, "dangerous") + number_of(report, "unlisted"), "position",
               number_of(first, "position"));
    if (text_of(first, "member"))
        event_with_text(event, "member", text_of(first, "member"));
    if (dangerous)
        event_with_json(event, "dangerous", names_of(report, "dangerous"));
    if (dangerous && number_of(report, "unlisted") > 0)
        event_with_json(event, "others", names_of(report, "unlisted"));
    with_unread(event, report, false);
    return event_with(event, "{s:s}", "setting", "check.pickle");
}

static void tell_imports(Telling *telling, const json_t *report)
{
    json_int_t dangerous = number_of(report, "dangerous"),
               count = dangerous + number_of(report, "unlisted");
    json_auto_t *names = names_of(report, NULL);
    g_autofree char *file = file_of(telling, report), *said = spoken(names, count);
    Event *event;
    if (telling->denied)
        event = event_with_kind(event_pickle_imports_denied(file, said),
                                dangerous ? "dangerous" : "unlisted");
    else
        event = event_with_kind(event_pickle_imports_found(file, said),
                                dangerous ? "dangerous" : "unlisted");
    with_imports(telling, report, event);
    g_ptr_array_add(telling->denied ? telling->denied_ones : telling->found, event);
}

static void tell_unread(Telling *telling, const json_t *report)
{
    const char *why = text_of(report, "unread");
    g_autofree char *file = file_of(telling, report);
    Event *event = telling->denied
                       ? event_with_kind(event_pickle_imports_denied(file, why), "unread")
                       : event_pickle_not_read(file, why);
    with_file(telling, report, event);
    with_unread(event, report, true);
    event_with(event, "{s:s}", "setting", "check.pickle");
    g_ptr_array_add(telling->denied ? telling->denied_ones : telling->unread, event);
}

/* -- formats -- */

static void tell_truncated(Telling *telling, const json_t *report)
{
    const json_t *truncated = json_object_get(report, "truncated");
    json_int_t expected = number_of(truncated, "expected"), found = number_of(truncated, "found");
    g_autofree char *file = file_of(telling, report),
                    *found_text = g_strdup_printf("%" JSON_INTEGER_FORMAT, found),
                    *expected_text = g_strdup_printf("%" JSON_INTEGER_FORMAT, expected);
    Event *event = event_model_file_truncated(file, found_text, expected_text);
    with_file(telling, report, event);
    event_with(event, "{s:I, s:I, s:I}", "found", found, "expected", expected, "lacking",
               expected - found);
    g_ptr_array_add(telling->truncated, event);
}

static void tell_broken(Telling *telling, const json_t *report)
{
    const char *what = text_of(report, "broken");
    g_autofree char *file = file_of(telling, report);
    Event *event = event_model_format_broken(file, text_of(report, "format"), what);
    with_file(telling, report, event);
    event_with_text(event, "what", what);
    if (json_object_get(report, "broken_expected"))
        event_with(event, "{s:I}", "expected", number_of(report, "broken_expected"));
    if (json_object_get(report, "broken_found"))
        event_with(event, "{s:I}", "found", number_of(report, "broken_found"));
    g_ptr_array_add(telling->broken, event);
}

/* A path that leaves the folder of the model that names it. */
static bool leads_outside(const char *path)
{
    g_auto(GStrv) parts = g_strsplit_set(path, "/\\", -1);
    bool outside = *path == '/' || *path == '\\' || (g_ascii_isalpha(*path) && path[1] == ':');
    for (char **part = parts; *part; part++)
        outside = outside || strcmp(*part, "..") == 0;
    return outside;
}

/* The file beside the model that names it; NULL: there is none. */
static const PackageFile *beside(const Telling *telling, const json_t *report, const char *path)
{
    g_autofree char *folder = g_path_get_dirname(text_of(report, "path"));
    while (g_str_has_prefix(path, "./"))
        path += 2;
    g_autofree char *whole =
        strcmp(folder, ".") == 0 ? g_strdup(path) : g_strconcat(folder, "/", path, NULL);
    return package_find(telling->package, whole);
}

static void tell_external(Telling *telling, const json_t *report)
{
    json_auto_t *outside = json_array(), *missing = json_array(), *cut = json_array();
    json_int_t expected = 0, found = 0;
    size_t i;
    json_t *external;
    json_array_foreach (json_object_get(report, "external"), i, external) {
        json_t *path = json_object_get(external, "path");
        const PackageFile *file = beside(telling, report, json_string_value(path));
        if (leads_outside(json_string_value(path))) {
            json_array_append(outside, path);
        } else if (!file) {
            json_array_append(missing, path);
        } else if (number_of(external, "end") > file->identity.size) {
            if (json_array_size(cut) == 0) {
                expected = number_of(external, "end");
                found = file->identity.size;
            }
            json_array_append(cut, path);
        }
    }
    bool is_outside = json_array_size(outside) > 0, is_missing = json_array_size(missing) > 0;
    const json_t *names = is_outside ? outside : is_missing ? missing : cut;
    if (json_array_size(names) == 0)
        return;
    g_autofree char *file = file_of(telling, report),
                    *said = spoken(names, (json_int_t)json_array_size(names));
    Event *event =
        event_with_kind(event_onnx_external_data_missing(file, said), is_outside   ? "outside"
                                                                      : is_missing ? "missing"
                                                                                   : "short");
    with_file(telling, report, event);
    event_with_json(event, "missing", json_deep_copy(names));
    if (is_outside && is_missing)
        event_with_json(event, "absent", json_deep_copy(missing));
    if (names == cut)
        event_with(event, "{s:I, s:I}", "expected", expected, "found", found);
    g_ptr_array_add(telling->external, event);
}

/* -- all of them -- */

static int rank_compare(gconstpointer a, gconstpointer b)
{
    const Event *const *left = a, *const *right = b;
    bool is_left = g_strcmp0((*left)->kind, "dangerous") == 0,
         is_right = g_strcmp0((*right)->kind, "dangerous") == 0;
    if (is_left != is_right)
        return is_left ? -1 : 1;
    int order = g_strcmp0((*left)->kind, (*right)->kind);
    return order
               ? order
               : g_strcmp0(text_of((*left)->evidence, "file"), text_of((*right)->evidence, "file"));
}

/* The event that stands for those from `first` on. */
static void with_more(Event *event, const GPtrArray *events, guint first)
{
    json_t *files = json_array();
    for (guint i = first; i < events->len && json_array_size(files) < NAMES_MAX; i++) {
        const Event *other = events->pdata[i];
        json_array_append(files, json_object_get(other->evidence, "file"));
    }
    event_with(event, "{s:i}", "more", (int)(events->len - first));
    event_with_json(event, "files", files);
}

/* Events of one kind, taken over. */
static void add_kind(Findings *findings, GPtrArray *events)
{
    if (events->len > SCAN_EVENTS_MAX)
        with_more(events->pdata[SCAN_EVENTS_MAX - 1], events, SCAN_EVENTS_MAX);
    for (guint i = 0; i < events->len; i++) {
        if (i < SCAN_EVENTS_MAX)
            findings_add(findings, events->pdata[i]);
        else
            event_free(events->pdata[i]);
    }
    g_ptr_array_set_size(events, 0);
}

/* Takes the events over. None of a kind is crowded out by those of another. */
static void add_some(Findings *findings, GPtrArray *events)
{
    g_autoptr(GPtrArray) kind = g_ptr_array_new();
    g_ptr_array_sort(events, rank_compare);
    for (guint i = 0; i < events->len; i++) {
        Event *event = events->pdata[i], *last = kind->len ? kind->pdata[kind->len - 1] : NULL;
        if (last && g_strcmp0(last->kind, event->kind) != 0)
            add_kind(findings, kind);
        g_ptr_array_add(kind, event);
    }
    add_kind(findings, kind);
    g_ptr_array_unref(events);
}

static void tell(Telling *telling, const json_t *report)
{
    bool imports = number_of(report, "dangerous") + number_of(report, "unlisted") > 0;
    if (telling->told && imports)
        tell_imports(telling, report);
    else if (telling->told && json_object_get(report, "unread"))
        tell_unread(telling, report);
    if (json_object_get(report, "truncated"))
        tell_truncated(telling, report);
    if (json_object_get(report, "broken"))
        tell_broken(telling, report);
    if (json_object_get(report, "external"))
        tell_external(telling, report);
}

void scan_events_add(const Settings *settings, const Package *package, const json_t *reports,
                     Findings *findings)
{
    const char *policy = settings_text(settings, "check.pickle");
    Telling telling = {.package = package,
                       .told = strcmp(policy, "off") != 0,
                       .denied = strcmp(policy, "deny") == 0,
                       .found = g_ptr_array_new(),
                       .denied_ones = g_ptr_array_new(),
                       .unread = g_ptr_array_new(),
                       .truncated = g_ptr_array_new(),
                       .broken = g_ptr_array_new(),
                       .external = g_ptr_array_new()};
    size_t i;
    json_t *report;
    json_array_foreach (reports, i, report)
        tell(&telling, report);
    add_some(findings, telling.denied_ones);
    add_some(findings, telling.found);
    add_some(findings, telling.unread);
    add_some(findings, telling.truncated);
    add_some(findings, telling.broken);
    add_some(findings, telling.external);
}

/* -- `check` -- */

/* NULL: there is nothing to tell, or *finding says why it cannot be read. */
static json_t *scan_file(Package *package, const PackageFile *file, Progress *progress,
                         uint8_t *buffer, Event **finding)
{
    g_autoptr(PackageReader) reader =
        package->source->open(package->source, package->child, file, finding);
    if (!reader)
        return NULL;
    g_autoptr(Scan) scan = scan_new(file->path, file->identity.size);
    for (;;) {
        ssize_t got = reader->read(reader, buffer, CHUNK, finding);
        if (got < 0 || progress_stopped(progress))
            return NULL;
        if (got == 0 || !scan_feed(scan, buffer, (size_t)got))
            return scan_end(scan);
    }
}

void scan_package(const Settings *settings, Package *package, Progress *progress,
                  Findings *findings)
{
    json_auto_t *reports = json_array();
    g_autofree uint8_t *buffer = g_malloc(CHUNK);
    for (guint i = 0; i < package->files->len && !progress_stopped(progress); i++) {
        Event *finding = NULL;
        const PackageFile *file = package->files->pdata[i];
        json_auto_t *report = scan_file(package, file, progress, buffer, &finding);
        if (finding)
            findings_add(findings, finding);
        if (!report || scan_report_is_quiet(report))
            continue;
        json_object_set_new(report, "path", json_string(file->path));
        json_array_append(reports, report);
    }
    guint before = findings->events->len;
    scan_events_add(settings, package, reports, findings);
    for (guint i = before; i < findings->events->len; i++)
        ((Event *)findings->events->pdata[i])->stage = "check";
}
