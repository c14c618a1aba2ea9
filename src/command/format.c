#include "command/format.h"

#include <string.h>

static const Format FORMATS[] = {
    {"github", format_write_github, true},      {"gitlab", format_write_gitlab, false},
    {"sarif", format_write_sarif, false},       {"junit", format_write_junit, false},
    {"markdown", format_write_markdown, false},
};

/* -- which one -- */

static const Format *format_find(const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(FORMATS); i++)
        if (strcmp(FORMATS[i].name, name) == 0)
            return &FORMATS[i];
    return NULL;
}

static const Format *format_of_environment(void)
{
    if (g_strcmp0(g_getenv("GITHUB_ACTIONS"), "true") == 0)
        return format_find("github");
    return g_strcmp0(g_getenv("GITLAB_CI"), "true") == 0 ? format_find("gitlab") : NULL;
}

bool format_choose(const Session *session, const char *name, bool json, const Format **format)
{
    *format = NULL;
    if (!name) {
        if (!json && !session->out.is_terminal)
            *format = format_of_environment();
        return true;
    }
    if (json) {
        complain("--format and --json: standard output has one or the other");
        return false;
    }
    *format = format_find(name);
    if (*format || strcmp(name, "plain") == 0)
        return true;
    complain("--format %s: expected github, gitlab, sarif, junit, markdown, or plain", name);
    return false;
}

/* -- the rows beside it -- */

const Terminal *format_rows(const Session *session, const Format *format)
{
    return !format || format->among_rows ? &session->out : &session->err;
}

char *format_rows_begin(const Session *session, const Format *format)
{
    if (!format || !format->among_rows || session->quiet)
        return NULL;
    char *token = g_uuid_string_random();
    fprintf(session->out.out, "::stop-commands::%s\n", token);
    fflush(session->out.out);
    return token;
}

void format_rows_end(const Session *session, char *token)
{
    if (token)
        fprintf(session->out.out, "::%s::\n", token);
    g_free(token);
}

/* -- the findings -- */

static void finding_free(FormatFinding *finding)
{
    g_free(finding->path);
    g_free(finding->text);
    g_free(finding->fingerprint);
    g_free(finding);
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static const char *without_dot(const char *path)
{
    while (g_str_has_prefix(path, "./") && path[2])
        path += 2;
    return path;
}

/* Evidence names files relative to the source; a config of the request and absolute paths are named
 * as they are. */
static char *finding_path(const json_t *evidence, const ImportRequest *request)
{
    const char *file = text_of(evidence, "file");
    if (!*file)
        file = text_of(evidence, "path");
    bool as_it_is = g_path_is_absolute(file) || g_strcmp0(file, request->config_file) == 0;
    if (!*file || (import_request_is_reference(request) && !as_it_is))
        return NULL;
    g_autofree char *source = event_text(request->source);
    g_autofree char *path = as_it_is ? g_strdup(file) : g_build_filename(source, file, NULL);
    return g_strdup(without_dot(path));
}

static void append_line(GString *text, const char *label, const char *value)
{
    if (*value)
        g_string_append_printf(text, "%s%s%s", text->len ? "\n" : "", label, value);
}

/* The steps of the answer, or the solution where there are none. */
static void append_advice(GString *text, const json_t *event, bool zh)
{
    const json_t *steps = json_object_get(event, zh ? "advice_cn" : "advice");
    size_t i;
    json_t *step;
    json_array_foreach (steps, i, step)
        append_line(text, "", json_string_value(step));
    if (json_array_size(steps) == 0)
        append_line(text, "", text_of(event, zh ? "solution_cn" : "solution"));
}

static char *finding_text(const json_t *event, bool zh)
{
    GString *text = g_string_new(NULL);
    const json_t *evidence = json_object_get(event, "evidence");
    const char *summary = text_of(event, zh ? "summary_cn" : "summary");
    append_line(text, "", *summary ? summary : text_of(event, zh ? "event_info_cn" : "event_info"));
    append_line(text, zh ? "实际:" : "found: ", text_of(evidence, "found"));
    append_line(text, zh ? "应为:" : "expected: ", text_of(evidence, "expected"));
    append_line(text, zh ? "错误:" : "error: ", text_of(evidence, "error"));
    append_advice(text, event, zh);
    return g_string_free(text, FALSE);
}

/* Of what stays the same when lines move and the language changes; `seen` numbers those that are
 * alike otherwise. */
static char *finding_fingerprint(const FormatFinding *finding, GHashTable *seen)
{
    const json_t *evidence = json_object_get(finding->event, "evidence");
    g_autofree char *identity =
        g_strjoin("\n", finding->reason, text_of(finding->event, "kind"),
                  text_of(finding->event, "event_info"), finding->path ? finding->path : "",
                  text_of(evidence, "pointer"), NULL);
    int alike = GPOINTER_TO_INT(g_hash_table_lookup(seen, identity));
    g_autofree char *numbered = g_strdup_printf("%s\n%d", identity, alike);
    g_hash_table_insert(seen, g_steal_pointer(&identity), GINT_TO_POINTER(alike + 1));
    return g_compute_checksum_for_string(G_CHECKSUM_SHA256, numbered, -1);
}

static FormatFinding *finding_new(const json_t *event, const ImportRequest *request, bool zh,
                                  GHashTable *seen)
{
    const json_t *evidence = json_object_get(event, "evidence");
    FormatFinding *finding = g_new0(FormatFinding, 1);
    finding->event = event;
    finding->reason = text_of(event, "reason");
    finding->ends_it =
        strcmp(text_of(event, "event_type"), event_type_name(EVENT_TYPE_ABNORMAL)) == 0 ||
        strcmp(finding->reason, catalog_row(EVENT_ModelFileAmbiguous)->reason) == 0;
    finding->path = finding_path(evidence, request);
    finding->line = (int)json_integer_value(json_object_get(evidence, "line"));
    finding->column = (int)json_integer_value(json_object_get(evidence, "column"));
    finding->text = finding_text(event, zh);
    finding->fingerprint = finding_fingerprint(finding, seen);
    return finding;
}

/* Normal events say nothing to a CI system; ImportFailed only sums up what its causes say. */
static bool is_finding(const json_t *event)
{
    return strcmp(text_of(event, "event_type"), event_type_name(EVENT_TYPE_NORMAL)) != 0 &&
           (strcmp(text_of(event, "reason"), catalog_row(EVENT_ImportFailed)->reason) != 0 ||
            json_array_size(json_object_get(event, "causes")) == 0);
}

void format_write(const Session *session, const Format *format, const char *command,
                  const ImportRequest *request, const json_t *events)
{
    g_autofree char *source = event_text(request->source);
    g_autoptr(GPtrArray) findings = g_ptr_array_new_with_free_func((GDestroyNotify)finding_free);
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    FormatReport report = {.out = session->out.out,
                           .language = session->out.language,
                           .command = command,
                           .source = without_dot(source),
                           .findings = findings};
    size_t i;
    json_t *event;
    json_array_foreach (events, i, event) {
        if (!is_finding(event))
            continue;
        FormatFinding *finding = finding_new(event, request, report.language == LANGUAGE_ZH, seen);
        report.errors += finding->ends_it;
        g_ptr_array_add(findings, finding);
    }
    format->write(&report);
    fflush(report.out);
}
