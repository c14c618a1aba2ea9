#include "command/answer_view.h"

#include <string.h>

#include "event/advice.h"
#include "event/evidence.h"
#include "event/finding.h"
#include "event/phrases.h"
#include "import/difference_line.h"

#define GUTTER        7   /* columns of "   6 | " */
#define OTHERS_SHOWN  3   /* findings that are named beside the one that is told */
#define PLACE_BEGIN   30  /* characters of a place that tell it from another */
#define VALUE_COLUMNS 210 /* of a value found or expected: three lines */

static const char *word(const Terminal *terminal, const char *en, const char *zh)
{
    return terminal->language == LANGUAGE_ZH ? zh : en;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

/* -- what the evidence says -- */

/* "a, b" of an array. */
static char *value_shown(const json_t *value)
{
    if (json_is_string(value))
        return g_strdup(json_string_value(value));
    if (json_is_array(value)) {
        GString *list = g_string_new(NULL);
        size_t i;
        json_t *element;
        json_array_foreach (value, i, element) {
            g_autofree char *shown = value_shown(element);
            g_string_append_printf(list, "%s%s", i ? ", " : "", shown);
        }
        return g_string_free(list, FALSE);
    }
    char *text = value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    char *copy = g_strdup(text ? text : "");
    free(text);
    return copy;
}

/* In the terminal's language. */
static char *evidence_shown(const Terminal *terminal, const json_t *evidence, const char *key)
{
    g_autofree char *value = value_shown(json_object_get(evidence, key));
    return terminal->language == LANGUAGE_ZH && phrase_is_field(key) ? phrase_chinese(value)
                                                                     : g_steal_pointer(&value);
}

static char *place_shown(const json_t *event, bool with_column)
{
    return evidence_place(json_object_get(event, "evidence"), with_column);
}

/* -- the summary -- */

/* Whether the summary names the place; a long path is cut in its middle there. */
static bool names_place(const char *summary, const char *place, bool has_line)
{
    glong length = has_line ? -1 : MIN(g_utf8_strlen(place, -1), PLACE_BEGIN);
    g_autofree char *begin = g_utf8_substring(place, 0, length);
    return strstr(summary, begin) != NULL;
}

/* "PLACE: SUMMARY", or the summary alone where it names the place itself. */
static char *summary_shown(const Terminal *terminal, const json_t *event)
{
    const char *summary = text_of(event, word(terminal, "summary", "summary_cn"));
    if (!*summary)
        summary = text_of(event, word(terminal, "event_info", "event_info_cn"));
    g_autofree char *place = place_shown(event, false), *whole = place_shown(event, true);
    g_autofree char *cut = text_cut(whole, VALUE_COLUMNS / 3);
    bool has_line = json_object_get(json_object_get(event, "evidence"), "line");
    return names_place(summary, place, has_line) ? g_strdup(summary)
                                                 : g_strdup_printf("%s: %s", cut, summary);
}

void answer_view_summary(const Terminal *terminal, const json_t *event, int indent)
{
    g_autofree char *summary = summary_shown(terminal, event);
    fprintf(terminal->out, "%*s", indent, "");
    terminal_wrap(terminal, summary, indent);
}

/* -- the lines around the place -- */

/* Of a long line as much around the place as fits the terminal: *before is what stands before it,
 * *marked the place, *after the rest. */
static void line_window(const char *line, int column, int length, int room, char **before,
                        char **marked, char **after)
{
    glong characters = g_utf8_strlen(line, -1);
    glong start = CLAMP(column - 1, 0, characters), end = MIN(start + MAX(length, 0), characters);
    g_autofree char *left = g_utf8_substring(line, 0, start);
    g_autofree char *place = g_utf8_substring(line, start, end);
    const char *right = g_utf8_offset_to_pointer(line, end);
    if (room <= 0 || text_width(line) <= room) {
        *before = g_steal_pointer(&left);
        *marked = g_steal_pointer(&place);
        *after = g_strdup(right);
        return;
    }
    *marked = text_cut(place, room * 2 / 3);
    if (text_width(place) > room * 2 / 3)
        right = ""; /* the cut place stands for it */
    int rest = room - text_width(*marked);
    int ahead = MIN(text_width(right), rest / 3);
    *before = text_cut_left(left, rest - ahead);
    *after = text_cut(right, rest - text_width(*before));
}

static void print_place_line(const Terminal *terminal, int number, const char *line,
                             const json_t *snippet, int indent)
{
    int column = (int)json_integer_value(json_object_get(snippet, "column"));
    int length = (int)json_integer_value(json_object_get(snippet, "length"));
    int room = terminal->width ? terminal->width - 1 - indent - GUTTER : 0;
    g_autofree char *safe = text_safe(line), *before = NULL, *marked = NULL, *after = NULL;
    line_window(safe, column, length, room, &before, &marked, &after);
    fprintf(terminal->out, "%*s%4d | %s%s%s%s%s\n", indent, "", number, before,
            terminal_color(terminal, COLOR_RED), marked, terminal_plain(terminal), after);
    g_autofree char *carets = g_strnfill((gsize)MAX(text_width(marked), 1), '^');
    fprintf(terminal->out, "%*s     | %*s%s%s%s\n", indent, "", text_width(before), "",
            terminal_color(terminal, COLOR_RED), carets, terminal_plain(terminal));
}

static void print_other_line(const Terminal *terminal, int number, const char *line, int indent)
{
    int room = terminal->width ? terminal->width - 1 - indent - GUTTER : 0;
    g_autofree char *safe = text_safe(line);
    g_autofree char *shown = room ? text_cut(safe, room) : g_strdup(safe);
    fprintf(terminal->out, "%*s%s%4d | %s%s\n", indent, "", terminal_color(terminal, COLOR_DIM),
            number, shown, terminal_plain(terminal));
}

/* The line of the place. A comma is missing on the line before it, as a rule: of a syntax error
 * that one is shown too. */
static void print_snippet(const Terminal *terminal, const json_t *event, const AnswerView *view)
{
    const json_t *evidence = json_object_get(event, "evidence"),
                 *snippet = json_object_get(evidence, "snippet");
    int first = (int)json_integer_value(json_object_get(snippet, "first_line"));
    int place = (int)json_integer_value(json_object_get(evidence, "line"));
    int earliest = strcmp(text_of(event, "kind"), "syntax") == 0 ? place - 1 : place;
    size_t i;
    json_t *line;
    json_array_foreach (json_object_get(snippet, "lines"), i, line) {
        int number = first + (int)i;
        const char *text = json_string_value(line);
        if (number == place)
            print_place_line(terminal, number, text, snippet, view->indent);
        else if (view->whole || (number >= earliest && number < place))
            print_other_line(terminal, number, text, view->indent);
    }
}

/* -- the labelled lines -- */

static void print_line(const Terminal *terminal, int indent, const char *label, const char *text)
{
    if (!*text)
        return;
    int width = terminal->language == LANGUAGE_ZH ? 6 : 10;
    g_autofree char *padded = text_fit(label, width);
    fprintf(terminal->out, "%*s%s%s%s", indent + 2, "", terminal_color(terminal, COLOR_DIM), padded,
            terminal_plain(terminal));
    terminal_wrap(terminal, text, indent + 2 + width);
}

static const json_t *steps_of(const Terminal *terminal, const json_t *event)
{
    return json_object_get(event, word(terminal, "advice", "advice_cn"));
}

static bool is_said(const Terminal *terminal, const json_t *event, const char *value)
{
    g_autofree char *summary = summary_shown(terminal, event);
    size_t i;
    json_t *step;
    bool said = strstr(summary, value) != NULL;
    json_array_foreach (steps_of(terminal, event), i, step)
        said = said || strstr(json_string_value(step), value);
    return said;
}

/* Whether the place is a gap: then what is missing is said by summary and steps. */
static bool found_nothing(const json_t *evidence)
{
    static const char *const GAPS[] = {"missing", "nothing", "none", NULL};
    return g_strv_contains(GAPS, text_of(evidence, "found"));
}

/* Found, expected and the like, where neither the summary nor a step says them. What was found
 * stands above the caret already. */
static void print_values(const Terminal *terminal, const json_t *event, int indent)
{
    static const struct {
        const char *key, *label[2];
    } VALUES[] = {{"found", {"found", "实际"}},
                  {"expected", {"expected", "应为"}},
                  {"target", {"target", "指向"}},
                  {"error", {"error", "错误"}}};
    const json_t *evidence = json_object_get(event, "evidence");
    size_t skipped = json_object_get(evidence, "snippet") ? 1 : found_nothing(evidence) ? 2 : 0;
    for (size_t i = skipped; i < G_N_ELEMENTS(VALUES); i++) {
        g_autofree char *value = evidence_shown(terminal, evidence, VALUES[i].key);
        g_autofree char *cut = text_cut(value, VALUE_COLUMNS);
        if (!is_said(terminal, event, value))
            print_line(terminal, indent, VALUES[i].label[terminal->language], cut);
    }
}

static void print_steps(const Terminal *terminal, const json_t *event, int indent)
{
    size_t i;
    const json_t *step;
    json_array_foreach (steps_of(terminal, event), i, step) {
        fprintf(terminal->out, "%*s%zu. ", indent + 2, "", i + 1);
        terminal_wrap(terminal, json_string_value(step), indent + 5);
    }
}

/* "2 more: config.json:12 HealthCheckUrlInvalid, model ModelFileMissing". */
static void print_others(const Terminal *terminal, const AnswerView *view)
{
    size_t count = json_array_size(view->others);
    if (count == 0)
        return;
    g_autoptr(GString) text = g_string_new(NULL);
    bool zh = terminal->language == LANGUAGE_ZH;
    g_string_printf(text, zh ? "另有 %zu 个:" : "%zu more: ", count);
    for (size_t i = 0; i < MIN(count, OTHERS_SHOWN); i++) {
        const json_t *other = json_array_get(view->others, i);
        g_autofree char *place = place_shown(other, false);
        g_autofree char *cut = text_cut(place, VALUE_COLUMNS / 5);
        g_string_append_printf(text, "%s%s%s%s", i ? ", " : "", cut, *cut ? " " : "",
                               text_of(other, "reason"));
    }
    g_string_append(text, count > OTHERS_SHOWN ? ", …" : "");
    print_line(terminal, view->indent, word(terminal, "also", "其他"), text->str);
    if (!view->model)
        return;
    g_autofree char *command =
        g_strdup_printf(zh ? "查看全部:`waybill events %s --type problems`"
                           : "`waybill events %s --type problems` shows all of them",
                        view->model);
    print_line(terminal, view->indent, "", command);
}

/* Whose turn it is, and whether the same again may work. What fails nothing is nobody's turn. */
static void print_turn(const Terminal *terminal, const json_t *event, int indent)
{
    const CatalogRow *row = catalog_find(text_of(event, "reason"));
    if (row && !row_is_fatal(row))
        return;
    const char *name = text_of(event, "fix_by");
    const json_t *at = json_object_get(event, "retry_at");
    bool zh = terminal->language == LANGUAGE_ZH;
    bool retryable = json_is_true(json_object_get(event, "retryable"));
    for (FixBy fix_by = FIX_BY_YOU; *name && fix_by < FIX_BY_CAUSE; fix_by++) {
        if (strcmp(name, fix_by_name(fix_by)) != 0)
            continue;
        g_autofree char *time = at ? format_time(terminal, json_integer_value(at)) : NULL;
        g_autofree char *when =
            at ? g_strdup_printf(zh ? ",%s 之后" : ", from %s on", time) : g_strdup("");
        const char *again =
            retryable ? word(terminal, "retrying as it is may help", "不做修改直接重试也可能成功")
                      : word(terminal, "retrying without a change fails again",
                             "不做修改直接重试仍会失败");
        g_autofree char *turn =
            g_strdup_printf("%s%s%s%s", fix_by_words(fix_by, terminal->language), when,
                            word(terminal, "; ", ";"), again);
        print_line(terminal, indent, word(terminal, "who", "处理"), turn);
    }
}

/* Where the original says to contact technical support, and the steps do not say it. */
static void print_contact(const Terminal *terminal, const json_t *event, int indent)
{
    const char *contact = advice_contact(terminal->language);
    bool asked = strstr(text_of(event, "solution"), "technical support") ||
                 strcmp(text_of(event, "fix_by"), fix_by_name(FIX_BY_ADMIN)) == 0;
    if (contact && asked && !is_said(terminal, event, contact))
        print_line(terminal, indent, word(terminal, "contact", "联系"), contact);
}

/* What to type next. */
static void print_commands(const Terminal *terminal, const json_t *event, const AnswerView *view)
{
    const json_t *seq = json_object_get(event, "seq");
    g_autofree char *retry = g_strdup_printf("waybill retry %s", view->model ? view->model : "");
    g_autofree char *explain =
        view->model && seq
            ? g_strdup_printf("waybill explain %s#%d", view->model, (int)json_integer_value(seq))
            : g_strdup_printf("waybill explain %s", text_of(event, "reason"));
    if (view->model)
        print_line(terminal, view->indent, word(terminal, "retry", "重试"), retry);
    if (!view->whole)
        print_line(terminal, view->indent, word(terminal, "explain", "详情"), explain);
}

void answer_view_print(const Terminal *terminal, const json_t *event, const AnswerView *view)
{
    fputs(terminal_color(terminal, COLOR_BOLD), terminal->out);
    g_autofree char *summary = summary_shown(terminal, event);
    fprintf(terminal->out, "%*s", view->indent, "");
    terminal_wrap_open(terminal, summary, view->indent);
    fprintf(terminal->out, "%s\n", terminal_plain(terminal));
    print_snippet(terminal, event, view);
    print_values(terminal, event, view->indent);
    print_steps(terminal, event, view->indent);
    print_line(terminal, view->indent, word(terminal, "changed", "变化"),
               view->difference ? view->difference : "");
    print_others(terminal, view);
    print_turn(terminal, event, view->indent);
    print_commands(terminal, event, view);
    print_contact(terminal, event, view->indent);
    print_line(terminal, view->indent, word(terminal, "original", "原文"),
               text_of(event, word(terminal, "solution", "solution_cn")));
}

/* -- the answer of an attempt -- */

static json_t *event_load(Db *db, const char *model_id, int64_t seq, GError **error)
{
    g_autofree char *text = timeline_event(db, model_id, seq, error);
    return text ? json_loads(text, 0, NULL) : NULL;
}

json_t *answer_view_cause(Db *db, const Model *model, const json_t *failed, json_t **others,
                          GError **error)
{
    json_t *own = NULL, *found = NULL;
    if (!failed) {
        int64_t seq = 0;
        if (strcmp(model->outcome, "failed") != 0 ||
            !timeline_find(db, model->id, model->attempt, "ImportFailed", &seq, error) || !seq)
            return NULL;
        failed = own = event_load(db, model->id, seq, error);
    }
    int64_t cause = json_integer_value(json_object_get(failed, "cause"));
    if (cause)
        found = event_load(db, model->id, cause, error);
    size_t i;
    const json_t *seq;
    if (found && others) {
        *others = json_array();
        json_array_foreach (json_object_get(failed, "causes"), i, seq)
            if (json_integer_value(seq) != cause)
                json_array_append_new(*others,
                                      event_load(db, model->id, json_integer_value(seq), NULL));
    }
    json_decref(own);
    return found;
}

/* Without it the answer is as true. */
char *answer_view_difference(const Terminal *terminal, Service *service, const Model *model)
{
    g_autoptr(GError) error = NULL;
    return difference_line_since_worked(service, model, model->attempt, terminal->language,
                                        terminal->utc, &error);
}

bool answer_view_closing(const Terminal *terminal, Service *service, const Model *model,
                         GError **error)
{
    GError *failure = NULL;
    json_t *others = NULL, *cause = answer_view_cause(service->db, model, NULL, &others, &failure);
    if (cause) {
        g_autofree char *name = g_strconcat(model->name, ":", model->version, NULL);
        fputc('\n', terminal->out);
        g_autofree char *difference = answer_view_difference(terminal, service, model);
        answer_view_print(terminal, cause,
                          &(AnswerView){.model = name, .others = others, .difference = difference});
        fflush(terminal->out);
    }
    json_decref(others);
    json_decref(cause);
    if (failure)
        g_propagate_error(error, failure);
    return !failure;
}
