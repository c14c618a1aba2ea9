/* Who works on what. */
#include <string.h>

#include "base/clock.h"
#include "command/command.h"
#include "import/progress_board.h"

enum { COLUMN_WORKER, COLUMN_STAGE, COLUMN_TIME, COLUMN_MODEL, COLUMN_COUNT };

typedef struct {
    char *cells[COLUMN_COUNT];
    char *rest; /* what is done, or why it waits */
} Row;

static void row_free(gpointer data)
{
    Row *row = data;
    for (int i = 0; i < COLUMN_COUNT; i++)
        g_free(row->cells[i]);
    g_free(row->rest);
    g_free(row);
}

static int64_t number_of(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static char *model_of(const json_t *worker)
{
    const char *project = text_of(worker, "project"), *name = text_of(worker, "model_name");
    if (!name)
        return g_strdup("-");
    g_autofree char *model =
        strcmp(project ? project : PROJECT_DEFAULT, PROJECT_DEFAULT) == 0
            ? g_strdup_printf("%s:%s", name, text_of(worker, "model_version"))
            : g_strdup_printf("%s/%s:%s", project, name, text_of(worker, "model_version"));
    return text_safe(model);
}

/* "1.0 GiB of 4.0 GiB, 120.0 MiB/s, 0:25 left", or why nothing goes on. */
static char *progress_text(const json_t *worker, bool zh)
{
    const char *hint = text_of(worker, zh ? "hint_cn" : "hint");
    int64_t total = number_of(worker, "bytes_total");
    if (hint)
        return text_safe(hint);
    if (!total)
        return g_strdup("");
    g_autofree char *done = format_bytes(number_of(worker, "bytes_done"));
    g_autofree char *all = format_bytes(total);
    GString *text = g_string_new(NULL);
    g_string_append_printf(text, zh ? "%s/%s" : "%s of %s", done, all);
    if (json_object_get(worker, "rate")) {
        g_autofree char *rate = format_bytes(number_of(worker, "rate"));
        g_string_append_printf(text, zh ? ",%s/s" : ", %s/s", rate);
    }
    if (json_object_get(worker, "eta_ms")) {
        g_autofree char *left = format_duration(number_of(worker, "eta_ms"));
        g_string_append_printf(text, zh ? ",剩余 %s" : ", %s left", left);
    }
    return g_string_free(text, FALSE);
}

static Row *row_of(const json_t *worker, bool zh)
{
    Row *row = g_new0(Row, 1);
    const char *stage = text_of(worker, "stage");
    bool busy = json_is_true(json_object_get(worker, "busy"));
    row->cells[COLUMN_WORKER] = text_safe(text_of(worker, "worker"));
    row->cells[COLUMN_STAGE] = !busy   ? g_strdup(zh ? "空闲" : "idle")
                               : stage ? text_safe(stage)
                                       : g_strdup("-");
    row->cells[COLUMN_TIME] =
        format_duration(MAX(clock_now_ms() - number_of(worker, "since"), 0) / 1000 * 1000);
    row->cells[COLUMN_MODEL] = model_of(worker);
    row->rest = progress_text(worker, zh);
    return row;
}

static void print_row(const Terminal *terminal, char *const *cells, const char *rest,
                      const int *widths, const Color *colors)
{
    int left = terminal->width - 1;
    for (int i = 0; i < COLUMN_COUNT; i++) {
        g_autofree char *cell = text_fit(cells[i], widths[i]);
        fprintf(terminal->out, "%s%s%s  ", terminal_color(terminal, colors[i]), cell,
                terminal_plain(terminal));
        left -= widths[i] + 2;
    }
    g_autofree char *fitted = terminal->width ? text_cut(rest, MAX(left, 8)) : g_strdup(rest);
    fprintf(terminal->out, "%s\n", fitted);
}

static void print_heading(const Terminal *terminal, const int *widths)
{
    static const char *const EN[] = {"Worker", "Stage", "For", "Model", "Progress"},
                             *const ZH[] = {"工作进程", "阶段", "已用时", "模型", "进度"};
    static const Color DIM[COLUMN_COUNT] = {COLOR_DIM, COLOR_DIM, COLOR_DIM, COLOR_DIM};
    const char *const *names = terminal->language == LANGUAGE_ZH ? ZH : EN;
    print_row(terminal, (char *const *)names, names[COLUMN_COUNT], widths, DIM);
}

static void print_rows(const Terminal *terminal, const GPtrArray *rows)
{
    int widths[COLUMN_COUNT];
    static const Color COLORS[COLUMN_COUNT] = {
        [COLUMN_WORKER] = COLOR_BOLD, [COLUMN_STAGE] = COLOR_CYAN};
    for (int i = 0; i < COLUMN_COUNT; i++) {
        widths[i] = terminal->is_terminal ? 8 : 1;
        for (guint k = 0; k < rows->len; k++)
            widths[i] = MAX(widths[i], text_width(((const Row *)rows->pdata[k])->cells[i]));
    }
    if (terminal->width) {
        widths[COLUMN_WORKER] = MIN(widths[COLUMN_WORKER], 20);
        widths[COLUMN_MODEL] = MIN(widths[COLUMN_MODEL], 24);
    }
    if (terminal->is_terminal && rows->len)
        print_heading(terminal, widths);
    for (guint i = 0; i < rows->len; i++) {
        const Row *row = rows->pdata[i];
        print_row(terminal, row->cells, row->rest, widths, COLORS);
    }
}

/* Of those that take what waits; a command works on its own import alone. */
static void print_counts(const Terminal *terminal, const json_t *answer)
{
    int queued = (int)number_of(json_object_get(answer, "queue"), "queued");
    int alive = (int)number_of(answer, "workers_alive");
    fprintf(terminal->out,
            terminal->language == LANGUAGE_ZH
                ? "服务的工作进程 %d 个,其中忙碌 %d 个;等待的导入 %d 个\n"
                : "workers of a server: %d, busy: %d; imports that "
                  "wait: %d\n",
            alive, (int)number_of(answer, "workers_busy"), queued);
}

static void show(const Session *session, const json_t *answer, bool json)
{
    size_t i;
    json_t *worker;
    g_autoptr(GPtrArray) rows = g_ptr_array_new_with_free_func(row_free);
    json_array_foreach (json_object_get(answer, "workers"), i, worker) {
        if (json)
            print_json_line(json_incref(worker));
        else
            g_ptr_array_add(rows, row_of(worker, session->out.language == LANGUAGE_ZH));
    }
    if (json)
        return;
    print_rows(&session->out, rows);
    if (!session->quiet)
        print_counts(&session->out, answer);
}

/* NULL: *error. */
static json_t *ask(Session *session, GError **error)
{
    if (session->remote)
        return remote_call(session->remote, "GET", "/v1/workers", NULL, error);
    g_autoptr(ProgressBoard) board = progress_board_read(session->service, error);
    return board ? progress_workers_json(board, NULL) : NULL;
}

int command_workers(Session *session, int argc, char **argv)
{
    gboolean json = FALSE;
    const GOptionEntry entries[] = {{"json", 0, 0, G_OPTION_ARG_NONE, &json, "One object a line",
                                     NULL},
                                    {NULL}};
    int status = session_parse(session, command_find("workers"), entries, &argc, &argv, 0, 0);
    if (status >= 0)
        return status;
    if (!session->remote && !session_open(session, false))
        return EXIT_UNREACHABLE;
    g_autoptr(GError) error = NULL;
    json_auto_t *answer = ask(session, &error);
    if (!answer)
        return complain_of(error);
    show(session, answer, json);
    return EXIT_DONE;
}
