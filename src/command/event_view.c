#include "command/event_view.h"

#include "command/answer_view.h"

#include <string.h>

#define INDENT       4 /* of what stands beneath a row */
#define COLUMN_TYPE  8
#define COLUMN_STAGE 11 /* environment */
#define COLUMN_PLACE 18 /* NAME:VERSION#SEQ */

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

/* Of an import that waits: what for, and until when. */
static void note_maintenance(const Terminal *terminal, GString *note, const json_t *evidence)
{
    const char *message = json_string_value(json_object_get(evidence, "message"));
    const char *until = json_string_value(json_object_get(evidence, "until"));
    g_autofree char *safe = message ? text_safe(message) : NULL;
    if (safe)
        g_string_append(note, safe);
    if (until)
        g_string_append_printf(note, "%s%s %s", note->len ? word(terminal, ", ", ",") : "",
                               word(terminal, "until", "至"), until);
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
    if (strcmp(text_of(event, "reason"), catalog_row(EVENT_SystemUpgrading)->reason) == 0)
        note_maintenance(terminal, note, evidence);
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

/* The event's own line. */
static void print_row(const Terminal *terminal, const json_t *event)
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
}

void event_view_print_of(const Terminal *terminal, const json_t *event, const char *model)
{
    const char *type = text_of(event, "event_type");
    g_autofree char *clock =
        format_clock(terminal, json_integer_value(json_object_get(event, "occur_time")));
    g_autofree char *place =
        g_strdup_printf("%s#%d", model, (int)json_integer_value(json_object_get(event, "seq")));
    g_autofree char *time = text_fit(clock, time_width(terminal));
    g_autofree char *type_column = text_fit(type_word(terminal, type), COLUMN_TYPE);
    g_autofree char *place_column = text_fit(place, MAX(COLUMN_PLACE, text_width(place)));
    fprintf(terminal->out, "%s %s%s%s %s ", time,
            terminal_color(terminal, type_color(type, text_of(event, "reason"))), type_column,
            terminal_plain(terminal), place_column);
    terminal_wrap(terminal,
                  text_of(event,
                          terminal->language == LANGUAGE_ZH ? "event_info_cn" : "event_info"),
                  time_width(terminal) + 1 + COLUMN_TYPE + 1 + COLUMN_PLACE + 1);
}

static bool is_reason(const json_t *event, EventReason reason)
{
    return strcmp(text_of(event, "reason"), catalog_row(reason)->reason) == 0;
}

static bool is_problem(const json_t *event)
{
    return strcmp(text_of(event, "event_type"), event_type_name(EVENT_TYPE_NORMAL)) != 0;
}

void event_view_print(const Terminal *terminal, const json_t *event)
{
    print_row(terminal, event);
    if (is_problem(event))
        answer_view_print(terminal, event, &(AnswerView){.indent = INDENT});
}

typedef struct {
    const Terminal *terminal;
    Service *service;
    const Model *model;
    char *name; /* NAME:VERSION */
    EventViewForm form;
    int64_t last;
    GError *error;
} Printing;

/* Of the newest attempt the whole answer; what an earlier one failed for is told by what follows
 * it.
 */
static void print_end(Printing *printing, const json_t *event)
{
    json_int_t attempt = json_integer_value(json_object_get(event, "attempt"));
    json_t *others = NULL;
    json_t *cause = attempt == printing->model->attempt && printing->form == EVENT_VIEW_ROWS
                        ? answer_view_cause(printing->service->db, printing->model, event, &others,
                                            &printing->error)
                        : NULL;
    if (cause) {
        fputc('\n', printing->terminal->out);
        g_autofree char *difference =
            answer_view_difference(printing->terminal, printing->service, printing->model);
        answer_view_print(printing->terminal, cause,
                          &(AnswerView){.model = printing->name,
                                        .others = others,
                                        .difference = difference});
    } else {
        answer_view_summary(printing->terminal, event, INDENT);
    }
    json_decref(cause);
    json_decref(others);
}

static void print_person(Printing *printing, const json_t *event)
{
    print_row(printing->terminal, event);
    if (is_reason(event, EVENT_ImportFailed))
        print_end(printing, event);
    else if (is_problem(event) && printing->form == EVENT_VIEW_ANSWERS)
        answer_view_print(printing->terminal, event,
                          &(AnswerView){.indent = INDENT, .model = printing->name});
    else if (is_problem(event))
        answer_view_summary(printing->terminal, event, INDENT);
}

static bool print_event(const char *text, int64_t seq, gpointer data)
{
    Printing *printing = data;
    printing->last = seq;
    if (printing->form == EVENT_VIEW_JSON) {
        fprintf(printing->terminal->out, "%s\n", text);
    } else {
        json_t *event = json_loads(text, 0, NULL);
        print_person(printing, event);
        json_decref(event);
    }
    fflush(printing->terminal->out);
    return !printing->error;
}

bool event_view_timeline(const Terminal *terminal, Service *service, const char *model_id,
                         TimelineFilter *filter, EventViewForm form, GError **error)
{
    g_autoptr(Model) model = model_load(service->db, model_id, error);
    if (!model)
        return false;
    g_autofree char *name = g_strconcat(model->name, ":", model->version, NULL);
    Printing printing = {.terminal = terminal,
                         .service = service,
                         .model = model,
                         .name = name,
                         .form = form,
                         .last = filter->after};
    bool done = timeline_each(service->db, model_id, filter, print_event, &printing, error);
    filter->after = printing.last;
    if (!printing.error)
        return done;
    g_propagate_error(error, printing.error);
    return false;
}
