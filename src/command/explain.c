#include <string.h>

#include "command/answer_view.h"
#include "command/command.h"
#include "command/mirror.h"
#include "event/advice.h"

static void print_lines(const Terminal *terminal, const char *heading, const char *lines,
                        bool numbered)
{
    if (!lines || !*lines)
        return;
    g_auto(GStrv) parts = g_strsplit(lines, "\n", -1);
    fprintf(terminal->out, "\n%s%s%s\n", terminal_color(terminal, COLOR_BOLD), heading,
            terminal_plain(terminal));
    for (int i = 0; parts[i]; i++) {
        int indent = 2;
        fputs("  ", terminal->out);
        if (numbered) {
            fprintf(terminal->out, "%d  ", i + 1);
            indent = 5;
        }
        terminal_wrap(terminal, parts[i], indent);
    }
}

/* What can be behind the event: whose turn it is, the summary as a template, the steps. */
static void print_kinds(const Terminal *terminal, const CatalogRow *row)
{
    Language language = terminal->language;
    for (size_t i = 0; i < kind_count(); i++) {
        const KindRow *kind = kind_row(i);
        if (catalog_row(kind->reason) != row)
            continue;
        const char *name =
            *kind->kind ? kind->kind : (language == LANGUAGE_ZH ? "诊断" : "Diagnosis");
        g_autofree char *heading =
            g_strdup_printf("%s: %s", name, fix_by_words(kind->fix_by, language));
        print_lines(terminal, heading, kind->summary[language], false);
        g_auto(GStrv) steps = advice_steps(kind, language, NULL);
        for (int step = 0; steps[step]; step++) {
            fprintf(terminal->out, "  %d  ", step + 1);
            terminal_wrap(terminal, steps[step], 5);
        }
    }
}

static Color row_color(const CatalogRow *row)
{
    if (row->type == EVENT_TYPE_ABNORMAL)
        return COLOR_RED;
    return row->type == EVENT_TYPE_HINT ? COLOR_YELLOW : COLOR_GREEN;
}

static void print_row(const Terminal *terminal, const CatalogRow *row)
{
    Language language = terminal->language;
    bool zh = language == LANGUAGE_ZH;
    g_autofree char *number =
        row->number
            ? g_strdup_printf(zh ? "原系统第 %d 号" : "number %d of the original", row->number)
            : g_strdup(zh ? "Waybill 自有" : "Waybill's own");
    fprintf(terminal->out, "%s%s%s  %s%s%s  %s\n", terminal_color(terminal, COLOR_BOLD),
            row->reason, terminal_plain(terminal), terminal_color(terminal, row_color(row)),
            event_type_name(row->type), terminal_plain(terminal), number);
    fputs("  ", terminal->out);
    terminal_wrap(terminal, row->message[language], 2);
    fputs("  ", terminal->out);
    terminal_wrap(terminal, row->message[zh ? LANGUAGE_EN : LANGUAGE_ZH], 2);
    print_lines(terminal, zh ? "何时发生" : "When", row->when[language], false);
    print_lines(terminal, zh ? "常见原因" : "Likely causes", row->causes[language], false);
    print_lines(terminal, zh ? "怎么办" : "What to do", row->advice[language], true);
    print_kinds(terminal, row);
    print_lines(terminal, zh ? "原文解决方案" : "The original's solution", row->solution[language],
                false);
}

static void print_catalogue(const Terminal *terminal)
{
    for (int i = 0; i < EVENT_COUNT; i++) {
        const CatalogRow *row = catalog_row((EventReason)i);
        g_autofree char *number = row->number ? g_strdup_printf("%d", row->number) : g_strdup("-");
        g_autofree char *type = text_fit(event_type_name(row->type), 9);
        g_autofree char *reason = text_fit(row->reason, 35);
        fprintf(terminal->out, "%3s  %s%s%s %s%s%s ", number,
                terminal_color(terminal, row_color(row)), type, terminal_plain(terminal),
                terminal_color(terminal, COLOR_BOLD), reason, terminal_plain(terminal));
        terminal_wrap(terminal, row->message[terminal->language], 51);
    }
}

static int unknown_name(const char *name)
{
    g_autofree const CatalogRow **nearest = catalog_nearest(name);
    if (nearest && nearest[0])
        complain("there is no event %s, nor a model; did you mean %s?", name, nearest[0]->reason);
    else
        complain("there is no event %s, nor a model; waybill explain lists all events, waybill "
                 "models the models",
                 name);
    return EXIT_USAGE;
}

/* -- one event of a model -- */

/* What the answer above does not show already. */
static void print_evidence(const Terminal *terminal, const json_t *event)
{
    bool zh = terminal->language == LANGUAGE_ZH, any = false;
    const char *key;
    json_t *value;
    json_object_foreach (json_object_get(event, "evidence"), key, value) {
        if (strcmp(key, "snippet") == 0)
            continue;
        if (!any)
            fprintf(terminal->out, "\n%s%s%s\n", terminal_color(terminal, COLOR_BOLD),
                    zh ? "证据" : "Evidence", terminal_plain(terminal));
        any = true;
        bool plain = json_is_string(value);
        char *text = plain ? strdup(json_string_value(value)) : json_dumps(value, JSON_ENCODE_ANY);
        g_autofree char *name = text_fit(key, MAX(text_width(key), 14));
        fprintf(terminal->out, "  %s%s%s  ", terminal_color(terminal, COLOR_DIM), name,
                terminal_plain(terminal));
        terminal_wrap(terminal, text ? text : "", 4 + text_width(name));
        free(text);
    }
}

/* answer: the event whose answer is told, which of ImportFailed is its cause's. */
static int print_event(Session *session, const Model *model, const json_t *event,
                       const json_t *answer, const json_t *others, bool json)
{
    const Terminal *out = &session->out;
    if (json) {
        print_json_line(json_deep_copy(event));
        return EXIT_DONE;
    }
    bool zh = out->language == LANGUAGE_ZH;
    const char *reason = json_string_value(json_object_get(event, "reason"));
    const char *message =
        json_string_value(json_object_get(event, zh ? "event_info_cn" : "event_info"));
    g_autofree char *name = g_strconcat(model->name, ":", model->version, NULL);
    g_autofree char *time =
        format_time(out, json_integer_value(json_object_get(event, "occur_time")));
    fprintf(out->out, "%s%s#%d%s  %s  %s\n", terminal_color(out, COLOR_BOLD), name,
            (int)json_integer_value(json_object_get(event, "seq")), terminal_plain(out), reason,
            time);
    terminal_wrap(out, message, 0);
    if (json_object_get(event, "summary")) {
        fputc('\n', out->out);
        answer_view_print(out, answer,
                          &(AnswerView){.model = name, .others = others, .whole = true});
    }
    print_evidence(out, event);
    fprintf(out->out,
            zh ? "\n该事件的含义:waybill explain %s\n"
               : "\nwhat such an event means: waybill explain %s\n",
            reason);
    return EXIT_DONE;
}

/* 0: it is no number of an event. */
static int64_t seq_parse(const char *text)
{
    char *end;
    gint64 seq = g_ascii_strtoll(text, &end, 10);
    return g_ascii_isdigit(*text) && !*end ? seq : 0;
}

static int explain_seq(Session *session, const Model *model, const char *text, bool json)
{
    g_autoptr(GError) error = NULL;
    int64_t seq = seq_parse(text);
    g_autofree char *stored =
        seq ? timeline_event(session->service->db, model->id, seq, &error) : NULL;
    if (error)
        return complain_of(error);
    if (!stored) {
        complain("%s:%s has no event #%s: its events are #1 to #%d", model->name, model->version,
                 text, (int)model->last_seq);
        return EXIT_FAILED;
    }
    json_t *event = json_loads(stored, 0, NULL), *others = NULL;
    json_t *cause = NULL;
    if (strcmp(json_string_value(json_object_get(event, "reason")),
               catalog_row(EVENT_ImportFailed)->reason) == 0)
        cause = answer_view_cause(session->service->db, model, event, &others, &error);
    int status = print_event(session, model, event, cause ? cause : event, others, json);
    json_decref(cause);
    json_decref(others);
    json_decref(event);
    return status;
}

/* What the newest attempt failed for. */
static int explain_failure(Session *session, const Model *model, bool json)
{
    g_autoptr(GError) error = NULL;
    json_t *others = NULL;
    json_t *cause = answer_view_cause(session->service->db, model, NULL, &others, &error);
    if (error)
        return complain_of(error);
    if (!cause) {
        complain("%s:%s has not failed: its status is %s; one of its events: waybill explain "
                 "%s:%s#1",
                 model->name, model->version, model_status(model), model->name, model->version);
        return EXIT_FAILED;
    }
    int status = print_event(session, model, cause, cause, others, json);
    json_decref(cause);
    json_decref(others);
    return status;
}

/* NULL with *status < 0: there is no such model, or no data directory. */
static Model *model_named(Session *session, const char *name, int *status)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *directory = session_data_directory(session);
    *status = -1;
    if (session->remote) {
        Model *model = mirror_model(session->service, session->remote, name, &error);
        if (error)
            *status = complain_of(error);
        return model;
    }
    if (!g_file_test(directory, G_FILE_TEST_IS_DIR))
        return NULL;
    if (!session_open(session, false)) {
        *status = EXIT_UNREACHABLE;
        return NULL;
    }
    Model *model = model_find(session->service->db, session_project(session), name, &error);
    if (error)
        *status = complain_of(error);
    return model;
}

static int explain_model(Session *session, const char *name, bool json)
{
    const char *hash = strrchr(name, '#');
    int status;
    if (hash) {
        g_autofree char *model_name = g_strndup(name, (gsize)(hash - name));
        g_autoptr(Model) model = session_model(session, model_name, &status);
        return model ? explain_seq(session, model, hash + 1, json) : status;
    }
    g_autoptr(Model) model = model_named(session, name, &status);
    if (model)
        return explain_failure(session, model, json);
    return status < 0 ? unknown_name(name) : status;
}

/* -- */

static int explain_catalogue(const Session *session, const CatalogRow *wanted, bool json)
{
    if (json) {
        json_t *array = json_array();
        for (int i = 0; i < EVENT_COUNT; i++)
            if (!wanted || wanted == catalog_row((EventReason)i))
                json_array_append_new(array, catalog_row_json(catalog_row((EventReason)i)));
        print_json_line(array);
    } else if (wanted) {
        print_row(&session->out, wanted);
    } else {
        print_catalogue(&session->out);
    }
    return EXIT_DONE;
}

int command_explain(Session *session, int argc, char **argv)
{
    gboolean json = FALSE;
    const GOptionEntry entries[] = {{"json", 0, 0, G_OPTION_ARG_NONE, &json,
                                     "An array of objects; of a model one event object", NULL},
                                    {NULL}};
    int status = session_parse(session, command_find("explain"), entries, &argc, &argv, 0, 1);
    if (status >= 0)
        return status;
    const CatalogRow *wanted = argc > 1 ? catalog_find(argv[1]) : NULL;
    return argc > 1 && !wanted ? explain_model(session, argv[1], json)
                               : explain_catalogue(session, wanted, json);
}
