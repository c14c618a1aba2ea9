#include "store/audit.h"

#include "command/command.h"

#define USUAL_ROWS 50

typedef struct {
    const Terminal *terminal;
    bool json;
    GPtrArray *lines; /* the newest first */
} List;

static char *row_text(const Terminal *terminal, int64_t time, const AuditRow *row,
                      const char *model)
{
    const char *object = model ? model : row->object ? row->object : "-";
    g_autofree char *when = format_time(terminal, time);
    g_autofree char *whole =
        g_strdup_printf("%s  %s  %s  %s  %s  %s", when, row->action, object, row->outcome,
                        *row->actor ? row->actor : "-", row->project ? row->project : "-");
    g_autofree char *safe = text_safe(whole);
    return terminal->width ? text_cut(safe, terminal->width - 1) : g_steal_pointer(&safe);
}

static char *row_json(int64_t id, int64_t time, const AuditRow *row, const char *model)
{
    json_t *object =
        json_pack("{s:I, s:I, s:s, s:s?, s:s?, s:s, s:s?, s:s?, s:s, s:s?}", "id", (json_int_t)id,
                  "time", (json_int_t)time, "actor", row->actor, "credential", row->credential,
                  "project", row->project, "action", row->action, "object", row->object, "model",
                  model, "outcome", row->outcome, "request_id", row->request_id);
    char *text = json_dumps(object, JSON_COMPACT);
    char *copy = g_strdup(text);
    free(text);
    json_decref(object);
    return copy;
}

static void take_row(int64_t id, int64_t time, const AuditRow *row, const char *model,
                     gpointer data)
{
    const List *list = data;
    g_ptr_array_add(list->lines, list->json ? row_json(id, time, row, model)
                                            : row_text(list->terminal, time, row, model));
}

int command_audit(Session *session, int argc, char **argv)
{
    gboolean json = FALSE;
    int limit = USUAL_ROWS;
    const GOptionEntry entries[] = {{"limit", 0, 0, G_OPTION_ARG_INT, &limit,
                                     "The newest so many (50)", "N"},
                                    {"json", 0, 0, G_OPTION_ARG_NONE, &json, "One object a line",
                                     NULL},
                                    {NULL}};
    int status = session_parse(session, command_find("audit"), entries, &argc, &argv, 0, 0);
    if (status >= 0)
        return status;
    if (limit < 1) {
        complain("--limit %d: expected a whole number, 1 or more", limit);
        return EXIT_USAGE;
    }
    if (!session_open(session, false))
        return EXIT_UNREACHABLE;
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);
    List list = {&session->out, json, lines};
    const AuditSearch search = {.project = session->project, .limit = limit};
    if (!audit_search(session->service->db, &search, take_row, &list, &error))
        return complain_of(error);
    for (guint i = lines->len; i > 0; i--)
        puts(lines->pdata[i - 1]);
    if (lines->len == 0 && !json && !session->quiet)
        complain("nothing has been done here yet");
    return EXIT_DONE;
}
