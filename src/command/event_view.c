#include "command/event_view.h"

#include <string.h>

#define COLUMN_TYPE  8
#define COLUMN_STAGE 11 /* environment */

static const char *text_of(const json_t *event, const char *key)
{
    const char *text = json_string_value(json_object_get(event, key));
    return text ? text : "";
}

static const char *word(const Terminal *terminal, const char *en, const char *zh)
{
    return terminal->language == LANGUAGE_ZH ? zh : en;
}

static const char *type_word(const Terminal *terminal, const char *type)
{
    if (strcmp(type, "normal") == 0)
        return word(terminal, "normal", "正常");
    return strcmp(type, "hint") == 0 ? word(terminal, "hint", "提示")
                                     : word(terminal, "abnormal", "异常");
}

static Color type_color(const char *type, const char *reason)
{
    if (strcmp(type, "abnormal") == 0)
        return COLOR_RED;
    if (strcmp(type, "hint") == 0)
        return COLOR_YELLOW;
    return strcmp(reason, "ModelImported") == 0 ? COLOR_GREEN : COLOR_NONE;
}

static int time_width(const Terminal *terminal)
{
    if (!terminal->is_terminal)
        return 24;
    return terminal->utc ? 20 : 8;
}

void event_view_heading(const Terminal *terminal)
{
    g_autofree char *time = text_fit(word(terminal, "Time", "时间"), time_width(terminal));
    g_autofree char *type = text_fit(word(terminal, "Type", "类型"), COLUMN_TYPE);
    g_autofree char *stage = text_fit(word(terminal, "Stage", "阶段"), COLUMN_STAGE);
    g_autoptr(GDateTime) now = g_date_time_new_now_local();
    g_autofree char *offset = terminal->utc ? g_strdup("") : g_date_time_format(now, "  (%:z)");
    fprintf(terminal->out, "%s%3s %s %s %s %s%s%s\n", terminal_color(terminal, COLOR_DIM), "#",
            time, type, stage, word(terminal, "Event", "事件"), offset, terminal_plain(terminal));
}

/* "12.3 MiB in 5 files": what a normal event's evidence says in a few words. */
static char *evidence_note(const Terminal *terminal, const json_t *evidence, const json_t *event)
{
    GString *note = g_string_new(NULL);
    const json_t *size = json_object_get(evidence, "size"),
                 *bytes = json_object_get(evidence, "bytes");
    const json_t *files = json_object_get(evidence, "files"),
                 *took = json_object_get(event, "duration_ms");
    if (json_is_integer(size) || json_is_integer(bytes)) {
        g_autofree char *amount = format_bytes(json_integer_value(size ? size : bytes));
        g_string_append(note, amount);
    }
    if (json_is_integer(files)) {
        int n = (int)json_integer_value(files);
        if (terminal->language == LANGUAGE_ZH)
            g_string_append_printf(note, "%s%d 个文件", note->len ? "," : "", n);
        else
            g_string_append_printf(note, "%s%d %s", note->len ? " in " : "", n,
                                   n == 1 ? "file" : "files");
    }
    if (json_is_integer(took)) {
        g_autofree char *duration = format_duration(json_integer_value(took));
        g_string_append_printf(note, "%s%s", note->len ? word(terminal, ", ", ",") : "", duration);
    }
    return g_string_free(note, FALSE);
}

/* Behind the message where it fits, else beneath it; ends the line in any case. */
static void print_note(const Terminal *terminal, const char *note, int column, int indent)
{
    bool beneath = terminal->width && column + 2 + text_width(note) > terminal->width - 1;
    if (*note && beneath)
        fprintf(terminal->out, "\n%*s", indent - 2, "");
    if (*note)
        fprintf(terminal->out, "  %s%s%s", terminal_color(terminal, COLOR_DIM), note,
                terminal_plain(terminal));
    fputc('\n', terminal->out);
}

static void print_line(const Terminal *terminal, int indent, const char *label, const char *text)
{
    if (!*text)
        return;
    int width = terminal->language == LANGUAGE_ZH ? 6 : 10;
    g_autofree char *padded = text_fit(label, width);
    fprintf(terminal->out, "%*s%s%s%s", indent, "", terminal_color(terminal, COLOR_DIM), padded,
            terminal_plain(terminal));
    terminal_wrap(terminal, text, indent + width);
}

static char *json_shown(const json_t *value)
{
    if (json_is_string(value))
        return g_strdup(json_string_value(value));
    char *text = value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    char *copy = g_strdup(text ? text : "");
    free(text);
    return copy;
}

/* model/config.json:21:12, or the path. */
static char *evidence_place(const json_t *evidence)
{
    const char *file = text_of(evidence, "file"), *path = text_of(evidence, "path");
    const json_t *line = json_object_get(evidence, "line");
    if (*file && line)
        return g_strdup_printf("%s:%d:%d", file, (int)json_integer_value(line),
                               (int)json_integer_value(json_object_get(evidence, "column")));
    return g_strdup(*path ? path : file);
}

/* The stored lines around a place, with a caret beneath it: they are shown when the source is long
 * gone, too. */
static void print_snippet(const Terminal *terminal, const json_t *evidence, int indent)
{
    const json_t *snippet = json_object_get(evidence, "snippet"),
                 *lines = json_object_get(snippet, "lines");
    int first = (int)json_integer_value(json_object_get(snippet, "first_line"));
    int place = (int)json_integer_value(json_object_get(evidence, "line"));
    int column = (int)json_integer_value(json_object_get(snippet, "column"));
    int length = (int)json_integer_value(json_object_get(snippet, "length"));
    size_t i;
    json_t *line;
    json_array_foreach (lines, i, line) {
        const char *text = json_string_value(line);
        bool here = first + (int)i == place;
        g_autofree char *shown =
            terminal->width ? text_fit(text, terminal->width - indent - 8) : g_strdup(text);
        fprintf(terminal->out, "%*s%s%4d | %s%s\n", indent, "",
                terminal_color(terminal, here ? COLOR_NONE : COLOR_DIM), first + (int)i,
                g_strchomp(shown), terminal_plain(terminal));
        if (!here)
            continue;
        g_autofree char *before =
            g_utf8_substring(text, 0, MIN(column - 1, g_utf8_strlen(text, -1)));
        int room = terminal->width ? terminal->width - indent - 8 - text_width(before) : length;
        g_autofree char *carets = g_strnfill((gsize)CLAMP(length, 1, MAX(room, 1)), '^');
        fprintf(terminal->out, "%*s     | %*s%s%s%s\n", indent, "", text_width(before), "",
                terminal_color(terminal, COLOR_RED), carets, terminal_plain(terminal));
    }
}

static void print_steps(const Terminal *terminal, const json_t *event, int indent)
{
    bool zh = terminal->language == LANGUAGE_ZH;
    const json_t *steps = json_object_get(event, zh ? "advice_cn" : "advice");
    size_t i;
    const json_t *step;
    json_array_foreach (steps, i, step) {
        g_autofree char *text = g_strdup_printf("%zu. %s", i + 1, json_string_value(step));
        print_line(terminal, indent, i == 0 ? word(terminal, "to do", "处理") : "", text);
    }
}

/* The answer first, then where it is from; the original's solution last. */
static void print_problem(const Terminal *terminal, const json_t *event, int indent)
{
    const json_t *evidence = json_object_get(event, "evidence");
    g_autofree char *place = evidence_place(evidence);
    g_autofree char *found = json_shown(json_object_get(evidence, "found"));
    const char *expected = text_of(evidence, "expected"), *error = text_of(evidence, "error");
    const json_t *cause = json_object_get(event, "cause");
    const char *solution =
        text_of(event, terminal->language == LANGUAGE_ZH ? "solution_cn" : "solution");
    print_line(terminal, indent, word(terminal, "problem", "问题"),
               text_of(event, terminal->language == LANGUAGE_ZH ? "summary_cn" : "summary"));
    print_line(terminal, indent, word(terminal, "where", "位置"), place);
    print_snippet(terminal, evidence, indent);
    print_line(terminal, indent, word(terminal, "found", "实际"), found);
    print_line(terminal, indent, word(terminal, "expected", "应为"), expected);
    print_line(terminal, indent, word(terminal, "target", "指向"), text_of(evidence, "target"));
    print_line(terminal, indent, word(terminal, "error", "错误"), error);
    print_steps(terminal, event, indent);
    if (json_is_integer(cause)) {
        g_autofree char *seq = g_strdup_printf("#%d", (int)json_integer_value(cause));
        print_line(terminal, indent, word(terminal, "cause", "原因"), seq);
    } else {
        g_autofree char *explain = g_strdup_printf("waybill explain %s", text_of(event, "reason"));
        print_line(terminal, indent, word(terminal, "more", "详情"), explain);
    }
    print_line(terminal, indent, word(terminal, "solution", "方案"), solution);
}

/* "  3 16:50:15 " of an event; a finding has no place in a timeline. Returns its columns. */
static int print_place(const Terminal *terminal, const json_t *event)
{
    const json_t *time = json_object_get(event, "occur_time"), *seq = json_object_get(event, "seq");
    if (!seq)
        return 0;
    g_autofree char *clock = format_clock(terminal, json_integer_value(time));
    g_autofree char *column = text_fit(clock, time_width(terminal));
    fprintf(terminal->out, "%3d %s ", (int)json_integer_value(seq), column);
    return 3 + 1 + time_width(terminal) + 1;
}

void event_view_print(const Terminal *terminal, const json_t *event)
{
    const char *type = text_of(event, "event_type");
    const char *message =
        text_of(event, terminal->language == LANGUAGE_ZH ? "event_info_cn" : "event_info");
    bool problem = strcmp(type, "normal") != 0;
    g_autofree char *type_column = text_fit(type_word(terminal, type), COLUMN_TYPE);
    g_autofree char *stage_column = text_fit(text_of(event, "stage"), COLUMN_STAGE);
    g_autofree char *note =
        problem ? g_strdup("") : evidence_note(terminal, json_object_get(event, "evidence"), event);
    int indent = print_place(terminal, event) + COLUMN_TYPE + 1 + COLUMN_STAGE + 1;

    fprintf(terminal->out, "%s%s%s %s ",
            terminal_color(terminal, type_color(type, text_of(event, "reason"))), type_column,
            terminal_plain(terminal), stage_column);
    fputs(problem ? terminal_color(terminal, COLOR_BOLD) : "", terminal->out);
    int column = terminal_wrap_open(terminal, message, indent);
    fputs(problem ? terminal_plain(terminal) : "", terminal->out);
    print_note(terminal, note, column, indent);
    if (problem)
        print_problem(terminal, event, 4);
}

typedef struct {
    const Terminal *terminal;
    bool json;
    int64_t last;
} Printing;

static bool print_event(const char *text, int64_t seq, gpointer data)
{
    Printing *printing = data;
    printing->last = seq;
    if (printing->json) {
        fprintf(printing->terminal->out, "%s\n", text);
    } else {
        json_t *event = json_loads(text, 0, NULL);
        event_view_print(printing->terminal, event);
        json_decref(event);
    }
    fflush(printing->terminal->out);
    return true;
}

bool event_view_timeline(const Terminal *terminal, Db *db, const char *model_id,
                         TimelineFilter *filter, bool json, GError **error)
{
    Printing printing = {.terminal = terminal, .json = json, .last = filter->after};
    bool done = timeline_each(db, model_id, filter, print_event, &printing, error);
    filter->after = printing.last;
    return done;
}
