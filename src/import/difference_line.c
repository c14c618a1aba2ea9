#include "import/difference_line.h"

#include <string.h>

#define NAMED 2 /* dependencies and facts that are named; of the others how many they are */

typedef struct {
    GString *text;
    bool zh;
} Line;

static void part_add(Line *line, const char *format, ...) G_GNUC_PRINTF(2, 3);

static void part_add(Line *line, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (line->text->len)
        g_string_append(line->text, line->zh ? "," : ", ");
    g_string_append_vprintf(line->text, format, arguments);
    va_end(arguments);
}

static void add_config(Line *line, const LineDiff *config)
{
    int lines = config ? MAX(config->removed, config->added) : 0;
    if (lines && line->zh)
        part_add(line, "config.json %d 行", lines);
    else if (lines)
        part_add(line, "config.json %d %s", lines, lines == 1 ? "line" : "lines");
}

static void add_files(Line *line, const GPtrArray *files)
{
    static const struct {
        FileChangeKind kind;
        const char *en, *zh;
    } KINDS[] = {{FILE_CHANGED, "changed", "有变化"},
                 {FILE_ADDED, "new", "新增"},
                 {FILE_REMOVED, "gone", "已移除"},
                 {FILE_UNSURE, "written to", "被写过"}};
    for (size_t i = 0; i < G_N_ELEMENTS(KINDS); i++) {
        int count = 0;
        for (guint k = 0; k < files->len; k++)
            count += ((const FileChange *)files->pdata[k])->kind == KINDS[i].kind;
        if (count && line->zh)
            part_add(line, "%d 个文件%s", count, KINDS[i].zh);
        else if (count)
            part_add(line, "%d %s %s", count, count == 1 ? "file" : "files", KINDS[i].en);
    }
}

static void add_more(Line *line, guint count, const char *en, const char *zh)
{
    if (count > NAMED)
        part_add(line, line->zh ? "另有 %u 个%s" : "%u more %s", count - NAMED, line->zh ? zh : en);
}

static void add_dependencies(Line *line, const GPtrArray *dependencies)
{
    for (guint i = 0; i < MIN(dependencies->len, NAMED); i++) {
        const DependencyChange *change = dependencies->pdata[i];
        const char *old = change->versions[0], *new = change->versions[1];
        if (old && new)
            part_add(line, "%s %s -> %s", change->name, *old ? old : "*", *new ? new : "*");
        else
            part_add(line, "%c %s%s%s", new ? '+' : '-', change->name,
                     *(new ? new : old) ? " " : "", new ? new : old);
    }
    add_more(line, dependencies->len, "dependencies", "依赖");
}

static void add_facts(Line *line, const GPtrArray *facts)
{
    for (guint i = 0; i < MIN(facts->len, NAMED); i++) {
        const FactChange *change = facts->pdata[i];
        bool digest = g_str_has_suffix(change->fact, "digest");
        if (digest || !change->values[0] || !change->values[1] ||
            strcmp(change->fact, "description") == 0)
            part_add(line, line->zh ? "%s 有变化" : "%s changed", change->fact);
        else
            part_add(line, "%s %s -> %s", change->fact, change->values[0], change->values[1]);
    }
    add_more(line, facts->len, "changes", "处变化");
}

static char *day_of(int64_t ms, bool utc)
{
    g_autoptr(GDateTime) time =
        utc ? g_date_time_new_from_unix_utc(ms / 1000) : g_date_time_new_from_unix_local(ms / 1000);
    return g_date_time_format(time, "%Y-%m-%d");
}

/* "0.0.1"; "attempt 1" of the same version; NAME:VERSION of another model. */
static char *since_what(const Difference *difference, bool zh)
{
    const DifferenceSide *old = &difference->sides[0], *new = &difference->sides[1];
    if (strcmp(old->name, new->name) != 0)
        return difference_side_name(old, false);
    return strcmp(old->version, new->version) != 0
               ? g_strdup(old->version)
               : g_strdup_printf(zh ? "第 %d 次尝试" : "attempt %d", old->attempt);
}

char *difference_line(const Difference *difference, Language language, bool utc)
{
    Line line = {.text = g_string_new(NULL), .zh = language == LANGUAGE_ZH};
    add_config(&line, difference->config);
    add_files(&line, difference->files);
    add_dependencies(&line, difference->dependencies);
    add_facts(&line, difference->facts);
    if (!line.text->len)
        part_add(&line, "%s", line.zh ? "已知的内容没有变化" : "nothing changed in what is known");
    g_autofree char *what = g_string_free(line.text, FALSE);
    g_autofree char *since = since_what(difference, line.zh);
    g_autofree char *day = day_of(difference->sides[0].ended_at, utc);
    g_autofree char *name = difference_side_name(&difference->sides[1], false);
    return g_strdup_printf(line.zh ? "自 %s(%s 成功)以来:%s:waybill diff %s"
                                   : "Since %s (worked %s): %s: waybill diff %s",
                           since, day, what, name);
}

char *difference_line_since_worked(Service *service, const Model *model, int attempt,
                                   Language language, bool utc, GError **error)
{
    bool found;
    int old_attempt;
    g_autoptr(Model) old = NULL;
    if (!difference_baseline(service, model, attempt, &found, &old, &old_attempt, error) || !found)
        return NULL;
    g_autoptr(Difference) difference =
        difference_new(service, old, old_attempt, model, attempt, error);
    return difference ? difference_line(difference, language, utc) : NULL;
}
