#include <string.h>

#include "command/command.h"
#include "command/mirror.h"
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

/* The columns before the message, as wide as what stands in them. */
enum { COLUMN_NAME, COLUMN_VERSION, COLUMN_STATUS, COLUMN_TYPE, COLUMN_SIZE, COLUMN_COUNT };

static const char *heading(const Terminal *terminal, int column)
{
    static const char *const EN[] = {"Name", "Version", "Status", "Type", "Size", "Last event"},
                             *const ZH[] = {"名称", "版本", "状态", "类型", "大小", "最近事件"};
    return terminal->language == LANGUAGE_ZH ? ZH[column] : EN[column];
}

static char *cell_text(const Model *model, int column)
{
    switch (column) {
    case COLUMN_NAME:
        return g_strdup(model->name);
    case COLUMN_VERSION:
        return g_strdup(model->version);
    case COLUMN_STATUS:
        return g_strdup(model_status(model));
    case COLUMN_TYPE:
        return g_strdup(model->type ? model->type : "-");
    default:
        return model->size >= 0 ? format_bytes(model->size) : g_strdup("-");
    }
}

static void column_widths(const Terminal *terminal, const GPtrArray *models, int *widths)
{
    for (int column = 0; column < COLUMN_COUNT; column++) {
        widths[column] = terminal->is_terminal ? text_width(heading(terminal, column)) : 1;
        for (guint i = 0; i < models->len; i++) {
            g_autofree char *text = cell_text(models->pdata[i], column);
            widths[column] = MAX(widths[column], text_width(text));
        }
    }
    if (terminal->width)
        widths[COLUMN_NAME] = MIN(widths[COLUMN_NAME], 24);
}

/* Of a deleted model, in place of its last event: when and by whom. */
static char *deletion(const Terminal *terminal, const Model *model)
{
    g_autofree char *time = format_time(terminal, model->deleted_at);
    const bool zh = terminal->language == LANGUAGE_ZH;
    if (!model->deleted_by)
        return g_steal_pointer(&time);
    g_autofree char *who = text_safe(model->deleted_by);
    return g_strdup_printf(zh ? "%s 由 %s 删除" : "%s by %s", time, who);
}

static void print_model(Session *session, const Model *model, const int *widths)
{
    const Terminal *terminal = &session->out;
    const Color colors[COLUMN_COUNT] = {
        [COLUMN_NAME] = COLOR_BOLD, [COLUMN_STATUS] = status_color(model_status(model))};
    int rest = terminal->width - 1;
    for (int column = 0; column < COLUMN_COUNT; column++) {
        g_autofree char *text = cell_text(model, column);
        print_cell(terminal, text, widths[column], colors[column]);
        rest -= widths[column] + 2;
    }
    g_autofree char *message =
        model->deleted_at ? deletion(terminal, model) : last_message(session, model);
    g_autofree char *fitted = terminal->width ? text_fit(message, MAX(rest, 8)) : g_strdup(message);
    fprintf(terminal->out, "%s\n", g_strchomp(fitted));
}

static void print_heading(const Terminal *terminal, const int *widths, bool deleted)
{
    const char *last = terminal->language == LANGUAGE_ZH ? "删除时间" : "Deleted";
    for (int column = 0; column < COLUMN_COUNT; column++)
        print_cell(terminal, heading(terminal, column), widths[column], COLOR_DIM);
    fprintf(terminal->out, "%s%s%s\n", terminal_color(terminal, COLOR_DIM),
            deleted ? last : heading(terminal, COLUMN_COUNT), terminal_plain(terminal));
}

/* items: what the server sent, or NULL. */
static json_t *item_json(Session *session, GHashTable *items, const Model *model, GError **error)
{
    return items ? json_incref(g_hash_table_lookup(items, model->id))
                 : model_item(session->service, model, error);
}

static int print_models(Session *session, GPtrArray *models, GHashTable *items, bool deleted,
                        bool json)
{
    g_autoptr(GError) error = NULL;
    int widths[COLUMN_COUNT];
    column_widths(&session->out, models, widths);
    if (!json && session->out.is_terminal && models->len > 0)
        print_heading(&session->out, widths, deleted);
    for (guint i = 0; i < models->len; i++) {
        if (!json) {
            print_model(session, models->pdata[i], widths);
            continue;
        }
        json_t *item = item_json(session, items, models->pdata[i], &error);
        if (!item)
            return complain_of(error);
        print_json_line(item);
    }
    if (models->len == 0 && !json && session->out.is_terminal && !session->quiet && deleted)
        puts(session->out.language == LANGUAGE_ZH ? "没有已删除的模型" : "no model was deleted");
    else if (models->len == 0 && !json && session->out.is_terminal && !session->quiet)
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
    gboolean json = FALSE, deleted = FALSE;
    g_autofree char *status_wanted = NULL, *name = NULL;
    const GOptionEntry entries[] = {
        {"status", 0, 0, G_OPTION_ARG_FILENAME, &status_wanted,
         "publishing, published, failed, building, building_failed", "STATUS"},
        {"name", 0, 0, G_OPTION_ARG_FILENAME, &name, "Only names that contain this", "TEXT"},
        {"deleted", 0, 0, G_OPTION_ARG_NONE, &deleted, "Those that were deleted, when and by whom",
         NULL},
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
    g_autoptr(GHashTable) items = NULL;
    if (session->remote &&
        !mirror_list(session->service, session->remote, name, deleted, &items, &error))
        return complain_of(error);
    g_autoptr(GPtrArray) models =
        deleted ? models_list_deleted(session->service->db, session_project(session), name, &error)
                : models_list(session->service->db, session_project(session), name, &error);
    if (!models)
        return complain_of(error);
    for (guint i = models->len; status_wanted && i > 0; i--)
        if (strcmp(model_status(models->pdata[i - 1]), status_wanted) != 0)
            g_ptr_array_remove_index(models, i - 1);
    return print_models(session, models, items, deleted, json);
}
