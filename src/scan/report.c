#include "scan/report.h"

#include <string.h>

#include "scan/imports.h"

#define MAX_DISTINCT 4096  /* names that are counted; of more, how many is not told exactly */
#define MAX_BEHIND   65536 /* imports behind those that are looked up: each takes its time */
#define MAX_EXTERNAL 100
#define MAX_SHOWN    300 /* bytes of a name */

static const char *const RANKS[] = {"dangerous", "unlisted", "listed"};

struct Report {
    const char *format;
    GHashTable *seen; /* of char *: names */
    int counts[IMPORT_RANKS];
    int behind; /* imports when no more names were counted */
    json_t *imports[IMPORT_RANKS];
    const char *unread;
    char *unread_member;
    int64_t truncated_expected, truncated_found;
    const char *broken;
    int64_t broken_expected, broken_found;
    json_t *external;
};

Report *report_new(void)
{
    Report *report = g_new0(Report, 1);
    report->seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for (int rank = 0; rank < IMPORT_RANKS; rank++)
        report->imports[rank] = json_array();
    report->external = json_array();
    report->truncated_expected = -1;
    return report;
}

void report_free(Report *report)
{
    if (!report)
        return;
    g_hash_table_unref(report->seen);
    for (int rank = 0; rank < IMPORT_RANKS; rank++)
        json_decref(report->imports[rank]);
    json_decref(report->external);
    g_free(report->unread_member);
    g_free(report);
}

/* Of any bytes, cut: what JSON and a terminal can take. */
static char *readable(const char *bytes)
{
    g_autofree char *cut = g_strndup(bytes, MAX_SHOWN);
    char *text = g_utf8_make_valid(cut, -1);
    for (char *at = text; *at; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            *at = '?';
    g_autofree char *valid = text;
    GString *out = g_string_new(NULL);
    for (const char *at = valid; *at; at = g_utf8_next_char(at)) {
        gunichar c = g_utf8_get_char(at);
        g_string_append_unichar(out, g_unichar_iscntrl(c) ? '?' : c);
    }
    return g_string_free(out, FALSE);
}

void report_format(Report *report, const char *format)
{
    if (!report->format)
        report->format = format;
}

/* Whether it is to be counted. "a.b" + "c" is another one than "a" + "b.c", and one that is not
 * written out another than "?". */
static bool is_new(Report *report, const char *module, const char *name)
{
    bool full = g_hash_table_size(report->seen) >= MAX_DISTINCT;
    if (full && report->behind >= MAX_BEHIND)
        return false;
    g_autofree char *key = g_strdup_printf("%s\n%s", module ? module : "\n", name ? name : "\n");
    if (g_hash_table_contains(report->seen, key))
        return false;
    if (!full)
        return g_hash_table_add(report->seen, g_steal_pointer(&key));
    report->behind++;
    report_unread(report, "it imports more names than are followed", NULL);
    return true;
}

void report_import(Report *report, const char *module, const char *name, const char *member,
                   int64_t position)
{
    if (!is_new(report, module, name))
        return;
    ImportRank rank = import_rank(module, name);
    report->counts[rank]++;
    if (json_array_size(report->imports[rank]) >= SCAN_MAX_NAMES)
        return;
    g_autofree char *whole = g_strdup_printf("%s.%s", module ? module : "?", name ? name : "?");
    g_autofree char *shown = readable(whole);
    json_t *import = json_pack("{s:s, s:s, s:I}", "name", shown, "rank", RANKS[rank], "position",
                               (json_int_t)position);
    if (member) {
        g_autofree char *shown_member = readable(member);
        json_object_set_new(import, "member", json_string(shown_member));
    }
    json_array_append_new(report->imports[rank], import);
}

void report_unread(Report *report, const char *why, const char *member)
{
    if (report->unread)
        return;
    report->unread = why;
    report->unread_member = member ? readable(member) : NULL;
}

void report_truncated(Report *report, int64_t expected, int64_t found)
{
    if (report->truncated_expected >= expected)
        return;
    report->truncated_expected = expected;
    report->truncated_found = found;
}

void report_broken(Report *report, const char *what, int64_t expected, int64_t found)
{
    if (report->broken)
        return;
    report->broken = what;
    report->broken_expected = expected;
    report->broken_found = found;
}

void report_external(Report *report, const char *path, int64_t end)
{
    g_autofree char *shown = readable(path);
    size_t i;
    json_t *entry;
    json_array_foreach (report->external, i, entry) {
        if (strcmp(json_string_value(json_object_get(entry, "path")), shown) != 0)
            continue;
        if (json_integer_value(json_object_get(entry, "end")) < end)
            json_object_set_new(entry, "end", json_integer(end));
        return;
    }
    if (json_array_size(report->external) < MAX_EXTERNAL)
        json_array_append_new(report->external,
                              json_pack("{s:s, s:I}", "path", shown, "end", (json_int_t)end));
}

static void put_imports(const Report *report, json_t *json)
{
    int count = 0;
    json_t *imports = json_array();
    for (int rank = 0; rank < IMPORT_RANKS; rank++) {
        count += report->counts[rank];
        json_array_extend(imports, report->imports[rank]);
    }
    if (count > 0) {
        json_object_set(json, "imports", imports);
        json_object_set_new(json, "count", json_integer(count));
        json_object_set_new(json, "dangerous", json_integer(report->counts[IMPORT_DANGEROUS]));
        json_object_set_new(json, "unlisted", json_integer(report->counts[IMPORT_UNLISTED]));
    }
    json_decref(imports);
}

static void put_broken(const Report *report, json_t *json)
{
    if (report->truncated_expected >= 0)
        json_object_set_new(json, "truncated",
                            json_pack("{s:I, s:I}", "expected",
                                      (json_int_t)report->truncated_expected, "found",
                                      (json_int_t)report->truncated_found));
    if (!report->broken)
        return;
    json_object_set_new(json, "broken", json_string(report->broken));
    if (report->broken_expected >= 0)
        json_object_set_new(json, "broken_expected", json_integer(report->broken_expected));
    if (report->broken_found >= 0)
        json_object_set_new(json, "broken_found", json_integer(report->broken_found));
}

json_t *report_json(const Report *report)
{
    json_t *json = json_object();
    put_imports(report, json);
    put_broken(report, json);
    if (report->unread)
        json_object_set_new(json, "unread", json_string(report->unread));
    if (report->unread_member)
        json_object_set_new(json, "unread_member", json_string(report->unread_member));
    if (json_array_size(report->external) > 0)
        json_object_set(json, "external", report->external);
    if (json_object_size(json) == 0) {
        json_decref(json);
        return NULL;
    }
    json_object_set_new(json, "format", json_string(report->format ? report->format : "pickle"));
    return json;
}
