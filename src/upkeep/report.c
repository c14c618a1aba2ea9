#include "upkeep/report.h"

#include <string.h>

#include "base/mask.h"
#include "base/size.h"
#include "event/timeline.h"
#include "import/difference_line.h"
#include "import/request.h"
#include "store/attempts.h"
#include "upkeep/report_parts.h"

#define LOG_LINES 200
#define KEY_LINES 300 /* of a private key that begins before them */

/* -- text -- */

void report_heading(Report *report, int level, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_string_append_printf(report->text, "%s%.*s ", report->text->len ? "\n" : "", level, "###");
    g_string_append_vprintf(report->text, format, arguments);
    g_string_append(report->text, "\n\n");
    va_end(arguments);
}

/* As an indented code block, in which Markdown takes nothing for a sign of its own. Masked before
 * it is taken apart: a name may stand in one line and its secret in the next. */
void report_block(Report *report, int indent, const char *text)
{
    g_autofree char *masked = mask_text(text);
    g_auto(GStrv) lines = g_strsplit(g_strchomp(masked), "\n", -1);
    for (char **line = lines; *line; line++) {
        g_autofree char *shown = event_text(*line);
        g_string_append_printf(report->text, "%*s%s\n", *shown ? 4 + indent : 0, "", shown);
    }
}

void report_fact(Report *report, const char *en, const char *zh, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *value = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    if (!*value)
        return;
    /* with its name, by which a secret is known */
    g_autofree char *row = g_strdup_printf("%s: %s", report_word(report, en, zh), value);
    report_block(report, 0, row);
}

const char *report_word(const Report *report, const char *en, const char *zh)
{
    return report->zh ? zh : en;
}

char *report_time(int64_t ms)
{
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(ms / 1000);
    g_autofree char *seconds = g_date_time_format(time, "%Y-%m-%dT%H:%M:%S");
    return g_strdup_printf("%s.%03dZ", seconds, (int)(ms % 1000));
}

/* -- the model -- */

static void put_model(Report *report)
{
    const Model *model = report->model;
    g_autofree char *created = report_time(model->created_at);
    report_heading(report, 2, "%s", report_word(report, "Model", "模型"));
    report_fact(report, "model", "模型", "%s:%s", model->name, model->version);
    report_fact(report, "id", "id", "%s", model->id);
    report_fact(report, "project", "项目", "%s", model->project);
    report_fact(report, "status", "状态", "%s", model_status(model));
    report_fact(report, "type", "类型", "%s", model->type ? model->type : "");
    report_fact(report, "description", "描述", "%s", model->description);
    report_fact(report, "created", "创建时间", "%s", created);
    report_fact(report, "attempts", "尝试次数", "%d", model->attempt);
    if (model->size >= 0) {
        g_autofree char *size = size_text(model->size);
        report_fact(report, "size", "大小", "%s (%" G_GINT64_FORMAT " B)", size, model->size);
    }
    report_fact(report, "image", "镜像", "%s", model->image_digest ? model->image_digest : "");
}

/* -- attempts -- */

static void put_request(Report *report, const Attempt *attempt, const ImportRequest *request)
{
    g_autofree char *created = report_time(attempt->created_at);
    report_fact(report, "outcome", "结果", "%s", attempt->outcome);
    report_fact(report, "asked for", "请求时间", "%s", created);
    if (attempt->ended_at) {
        g_autofree char *ended = report_time(attempt->ended_at);
        report_fact(report, "ended", "结束时间", "%s", ended);
    }
    report_fact(report, "source", "来源", "%s", request->source);
    report_fact(report, "directory", "目录", "%s",
                request->source_path ? request->source_path : "");
    report_fact(report, "--child", "--child", "%s", request->child ? request->child : "");
    report_fact(report, "--type", "--type", "%s", request->type ? request->type : "");
    report_fact(report, "--runtime", "--runtime", "%s", request->runtime ? request->runtime : "");
    report_fact(report, "--config", "--config", "%s",
                request->config_file ? request->config_file : "");
    if (request->dereference)
        report_fact(report, "--dereference", "--dereference", "%s", "true");
    report_fact(report, "runtime", "运行时", "%s", attempt->runtime ? attempt->runtime : "");
}

static void put_config(Report *report, const Attempt *attempt, const ImportRequest *request)
{
    const char *config = attempt->config ? attempt->config : request->config_text;
    if (!config)
        return;
    report_heading(report, 3, "%s",
                   report->zh ? "最近一次尝试的配置" : "Config of the newest attempt");
    report_block(report, 0, config);
}

static bool put_layers(Report *report, int attempt, GError **error)
{
    g_autoptr(GPtrArray) layers = layers_of(report->service->db, report->model->id, attempt, error);
    for (guint i = 0; layers && i < layers->len; i++) {
        const LayerRow *row = layers->pdata[i];
        g_autofree char *size = size_text(row->size);
        report_fact(report, "layer", "镜像层", "%s  %s  %s  %s", row->digest, row->origin, size,
                    row->file ? row->file : "");
    }
    return layers != NULL;
}

static bool put_attempt(Report *report, int number, GError **error)
{
    g_autoptr(Attempt) attempt =
        attempt_load(report->service->db, report->model->id, number, error);
    g_autoptr(ImportRequest) request =
        attempt ? import_request_from_json(attempt->request, error) : NULL;
    if (!request)
        return false;
    report_heading(report, 2, report->zh ? "第 %d 次尝试" : "Attempt %d", number);
    put_request(report, attempt, request);
    if (!put_layers(report, number, error))
        return false;
    if (!report_events(report, number, error))
        return false;
    if (number == report->model->attempt)
        put_config(report, attempt, request);
    return true;
}

/* -- the build log -- */

/* Masked as one text before the times stand between the lines: a private key has several. */
static char *log_text(GPtrArray *times, json_t *lines)
{
    GString *text = g_string_new(NULL);
    json_t *masked = mask_json(lines);
    for (guint i = times->len > LOG_LINES ? times->len - LOG_LINES : 0; i < times->len; i++)
        g_string_append_printf(text, "%s  %s\n", (char *)times->pdata[i],
                               json_string_value(json_array_get(masked, i)));
    json_decref(masked);
    json_decref(lines);
    return g_string_free(text, FALSE);
}

/* NULL: *error. */
static char *log_end(Report *report, int64_t attempt, GError **error)
{
    g_autoptr(GError) failure = NULL;
    g_autoptr(DbRows) rows = db_query(
        report->service->db, error,
        "SELECT time, stream, text FROM (SELECT line, time, stream, text FROM build_log WHERE "
        "model_id = $1 AND attempt = $2 ORDER BY line DESC LIMIT $3) AS newest ORDER BY line",
        "sii", report->model->id, attempt, (int64_t)LOG_LINES + KEY_LINES);
    g_autoptr(GPtrArray) times = g_ptr_array_new_with_free_func(g_free);
    json_t *lines = json_array();
    while (rows && db_next(rows, &failure)) {
        g_autofree char *time = report_time(db_int(rows, 0)), *line = event_text(db_text(rows, 2));
        g_ptr_array_add(times, g_strdup_printf("%s %s", time, db_text(rows, 1)));
        json_array_append_new(lines, json_string(line));
    }
    if (rows && !failure)
        return log_text(times, lines);
    if (failure)
        g_propagate_error(error, g_steal_pointer(&failure));
    json_decref(lines);
    return NULL;
}

static bool put_log(Report *report, GError **error)
{
    int64_t attempt;
    if (!db_query_int(report->service->db, &attempt, 0, error,
                      "SELECT max(attempt) FROM build_log WHERE model_id = $1", "s",
                      report->model->id))
        return false;
    report_heading(report, 2, "%s", report_word(report, "Build log", "构建日志"));
    if (!attempt) {
        report_block(report, 0,
                     report_word(report, "There is none: no attempt reached a build.",
                                 "没有日志:尚无尝试进行到构建阶段。"));
        return true;
    }
    g_autofree char *text = log_end(report, attempt, error);
    if (!text)
        return false;
    g_string_append_printf(report->text,
                           report->zh ? "第 %d 次尝试,最后 %d 行以内:\n\n"
                                      : "Of attempt %d, at most the last %d lines:\n\n",
                           (int)attempt, LOG_LINES);
    report_block(report, 0, text);
    return true;
}

/* -- */

static bool put_difference(Report *report, GError **error)
{
    g_autoptr(GError) failure = NULL;
    g_autofree char *line =
        difference_line_since_worked(report->service, report->model, report->model->attempt,
                                     report->zh ? LANGUAGE_ZH : LANGUAGE_EN, true, &failure);
    if (failure) {
        g_propagate_error(error, g_steal_pointer(&failure));
        return false;
    }
    if (!line)
        return true;
    report_heading(report, 2, "%s", report->zh ? "变化" : "What changed");
    report_block(report, 0, line);
    return true;
}

static void put_title(Report *report)
{
    g_autofree char *now = report_time(g_get_real_time() / 1000);
    report_heading(report, 1, report->zh ? "Waybill 报告:%s:%s" : "Waybill report: %s:%s",
                   report->model->name, report->model->version);
    g_string_append_printf(
        report->text,
        report->zh ? "生成于 %s。已知形式的密钥和口令显示为 `" MASK
                     "`;`~` 为用户主目录,`~data` 为数据目录。发送前请再看一遍。\n"
                   : "Made %s. What is known as a secret stands as `" MASK
                     "`, `~` is the home directory,\n`~data` the data directory. Read it once "
                     "before you send it.\n",
        now);
}

/* Directories of the user; a resolved path may differ from the one that was given. */
static char *directories_hidden(const Report *report, char *text)
{
    const char *const PATHS[][2] = {{report->service->data->path, "~data"},
                                    {g_get_home_dir(), "~"}};
    for (size_t i = 0; i < G_N_ELEMENTS(PATHS); i++) {
        g_autofree char *resolved = realpath(PATHS[i][0], NULL);
        const char *const NAMES[] = {PATHS[i][0], resolved};
        for (size_t k = 0; k < G_N_ELEMENTS(NAMES); k++) {
            g_autofree char *former = text;
            text = mask_path(former, NAMES[k], PATHS[i][1]);
        }
    }
    return text;
}

char *report_make(Service *service, const Model *model, Language language, GError **error)
{
    g_autoptr(GString) text = g_string_new(NULL);
    g_autoptr(GError) failure = NULL;
    Report report = {.service = service,
                     .model = model,
                     .zh = language == LANGUAGE_ZH,
                     .text = text};
    put_title(&report);
    put_model(&report);
    bool done = report_problem(&report, &failure) && put_difference(&report, &failure);
    for (int attempt = model->attempt; done && attempt >= 1; attempt--)
        done = put_attempt(&report, attempt, &failure);
    done = done && put_log(&report, &failure) && report_machine(&report, &failure);
    if (!done) {
        g_propagate_error(error, g_steal_pointer(&failure));
        return NULL;
    }
    return directories_hidden(&report, mask_text(text->str));
}
