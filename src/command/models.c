#include <string.h>

#include "command/command.h"
#include "event/timeline.h"
#include "import/details.h"

static Color status_color(const char *status)
{
    if (strcmp(status, "published") == 0)
        return COLOR_GREEN;
    return g_str_has_suffix(status, "failed") ? COLOR_RED : COLOR_CYAN;
}

/* The newest event's message; of a failed import the message of the event that explains it. */
static char *last_message(Session *session, const Model *model)
{
    Db *db = session->service->db;
    g_autofree char *text = timeline_last(db, model->id, NULL);
    json_t *event = text ? json_loads(text, 0, NULL) : NULL;
    int64_t cause = json_integer_value(json_object_get(event, "cause"));
    g_autofree char *why = cause ? timeline_event(db, model->id, cause, NULL) : NULL;
    if (why) {
        json_decref(event);
        event = json_loads(why, 0, NULL);
    }
    const char *key = session->out.language == LANGUAGE_ZH ? "event_info_cn" : "event_info";
    char *message = g_strdup(json_string_value(json_object_get(event, key)));
    json_decref(event);
    return message ? message : g_strdup("");
}

static void print_cell(const Terminal *terminal, const char *text, int width, Color color)
{
    g_autofree char *cell = text_fit(text, width);
    fprintf(terminal->out, "%s%s%s  ", terminal_color(terminal, color), cell,
            terminal_plain(terminal));
}

static int name_width(const GPtrArray *models)
{
    int width = 4;
    for (guint i = 0; i < models->len; i++)
        width = MAX(width, text_width(((const Model *)models->pdata[i])->name));
    return width;
}

static void print_model(Session *session, const Model *model, int width)
{
    const Terminal *terminal = &session->out;
    g_autofree char *size = model->size >= 0 ? format_bytes(model->size) : g_strdup("-");
    g_autofree char *message = last_message(session, model);
    int rest = terminal->width - width - 2 - 10 - 17 - 14 - 10 - 1;
    print_cell(terminal, model->name, width, COLOR_BOLD);
    print_cell(terminal, model->version, 8, COLOR_NONE);
    print_cell(terminal, model_status(model), 15, status_color(model_status(model)));
    print_cell(terminal, model->type ? model->type : "-", 12, COLOR_NONE);
    print_cell(terminal, size, 8, COLOR_NONE);
    g_autofree char *fitted = terminal->width ? text_fit(message, MAX(rest, 8)) : g_strdup(message);
    fprintf(terminal->out, "%s\n", g_strchomp(fitted));
}

static void print_heading(const Terminal *terminal, int width)
{
    bool zh = terminal->language == LANGUAGE_ZH;
    print_cell(terminal, zh ? "名称" : "Name", width, COLOR_DIM);
    print_cell(terminal, zh ? "版本" : "Version", 8, COLOR_DIM);
    print_cell(terminal, zh ? "状态" : "Status", 15, COLOR_DIM);
    print_cell(terminal, zh ? "类型" : "Type", 12, COLOR_DIM);
    print_cell(terminal, zh ? "大小" : "Size", 8, COLOR_DIM);
    fprintf(terminal->out, "%s%s%s\n", terminal_color(terminal, COLOR_DIM),
            zh ? "最近事件" : "Last event", terminal_plain(terminal));
}

static int print_models(Session *session, GPtrArray *models, bool json)
{
    g_autoptr(GError) error = NULL;
    int width = CLAMP(name_width(models), 4, session->out.width ? 24 : 64);
    if (!json && session->out.is_terminal && models->len > 0)
        print_heading(&session->out, width);
    for (guint i = 0; i < models->len; i++) {
        if (!json) {
            print_model(session, models->pdata[i], width);
            continue;
        }
        json_t *item = model_item(session->service, models->pdata[i], &error);
        if (!item)
            return complain_of(error);
        print_json_line(item);
    }
    if (models->len == 0 && !json && session->out.is_terminal && !session->quiet)
        puts(session->out.language == LANGUAGE_ZH
                 ? "没有模型;导入第一个:waybill import 目录"
                 : "no models; import the first one: waybill import DIRECTORY");
    return EXIT_DONE;
}

static bool is_status(const char *status)
{
    static const char *const STATUSES[] = {"publishing", "published",       "failed",
                                           "building",   "building_failed", NULL};
    return g_strv_contains(STATUSES, status);
}

int command_models(Session *session, int argc, char **argv)
{
    gboolean json = FALSE;
    g_autofree char *status_wanted = NULL, *name = NULL;
    const GOptionEntry entries[] = {
        {"status", 0, 0, G_OPTION_ARG_FILENAME, &status_wanted,
         "publishing, published, failed, building, building_failed", "STATUS"},
        {"name", 0, 0, G_OPTION_ARG_FILENAME, &name, "Only names that contain this", "TEXT"},
        {"json", 0, 0, G_OPTION_ARG_NONE, &json, "One object a line", NULL},
        {NULL}};
    int status = session_parse(session, command_find("models"), entries, &argc, &argv, 0, 0);
    if (status >= 0)
        return status;
    if (status_wanted && !is_status(status_wanted)) {
        complain("--status %s: expected publishing, published, failed, building or building_failed",
                 status_wanted);
        return EXIT_USAGE;
    }
    if (!session_open(session, false))
        return EXIT_UNREACHABLE;
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) models =
        models_list(session->service->db, session_project(session), name, &error);
    if (!models)
        return complain_of(error);
    for (guint i = models->len; status_wanted && i > 0; i--)
        if (strcmp(model_status(models->pdata[i - 1]), status_wanted) != 0)
            g_ptr_array_remove_index(models, i - 1);
    return print_models(session, models, json);
}
