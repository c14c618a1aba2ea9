/* Events as the report shows them: what a terminal shows of each, and all of its evidence. */
#include <string.h>

#include "base/mask.h"
#include "event/timeline.h"
#include "upkeep/report_parts.h"

#define INDENT 4 /* of what belongs to an event */

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static void put_line(Report *report, const char *en, const char *zh, const char *text)
{
    if (!*text)
        return;
    g_autofree char *line = g_strdup_printf("%s: %s", report_word(report, en, zh), text);
    report_block(report, INDENT, line);
}

static void put_place(Report *report, const json_t *event)
{
    g_autofree char *time = report_time(json_integer_value(json_object_get(event, "occur_time")));
    g_autofree char *place =
        g_strdup_printf("#%d  %s  %s  %s  %s%s%s",
                        (int)json_integer_value(json_object_get(event, "seq")), time,
                        text_of(event, "event_type"), text_of(event, "stage"),
                        text_of(event, "reason"), *text_of(event, "kind") ? " " : "",
                        text_of(event, "kind"));
    report_block(report, 0, place);
    report_block(report, INDENT, text_of(event, report->zh ? "event_info_cn" : "event_info"));
}

static void put_steps(Report *report, const json_t *event)
{
    size_t i;
    const json_t *step;
    json_array_foreach (json_object_get(event, report->zh ? "advice_cn" : "advice"), i, step) {
        g_autofree char *text = g_strdup_printf("%zu. %s", i + 1, json_string_value(step));
        put_line(report, "to do", "处理", text);
    }
}

static void put_snippet(Report *report, const json_t *snippet)
{
    size_t i;
    const json_t *line;
    int first = (int)json_integer_value(json_object_get(snippet, "first_line"));
    json_array_foreach (json_object_get(snippet, "lines"), i, line) {
        g_autofree char *text =
            g_strdup_printf("%4d | %s", first + (int)i, json_string_value(line));
        report_block(report, INDENT, text);
    }
}

static void put_evidence(Report *report, const json_t *evidence)
{
    json_t *rest = json_copy((json_t *)evidence);
    put_snippet(report, json_object_get(evidence, "snippet"));
    json_object_del(rest, "snippet");
    if (json_object_size(rest) > 0) {
        char *text = json_dumps(rest, JSON_COMPACT);
        put_line(report, "evidence", "证据", text);
        free(text);
    }
    json_decref(rest);
}

/* Masked as a whole first: there a secret's name stands beside it. */
static bool put_event(const char *json, int64_t seq, gpointer data)
{
    Report *report = data;
    json_t *stored = json_loads(json, 0, NULL);
    json_t *event = mask_json(stored);
    put_place(report, event);
    put_line(report, "problem", "问题", text_of(event, report->zh ? "summary_cn" : "summary"));
    put_steps(report, event);
    put_line(report, "solution", "方案", text_of(event, report->zh ? "solution_cn" : "solution"));
    if (json_object_get(event, "cause")) {
        g_autofree char *cause =
            g_strdup_printf("#%d", (int)json_integer_value(json_object_get(event, "cause")));
        put_line(report, "cause", "原因", cause);
    }
    put_evidence(report, json_object_get(event, "evidence"));
    json_decref(event);
    json_decref(stored);
    return true;
}

bool report_problem(Report *report, GError **error)
{
    if (strcmp(report->model->outcome, "failed") != 0)
        return true;
    g_autofree char *text = timeline_last(report->service->db, report->model->id, error);
    if (!text)
        return false;
    json_t *stored = json_loads(text, 0, NULL);
    json_t *event = mask_json(stored);
    report_heading(report, 2, "%s", report_word(report, "Problem", "问题"));
    report_block(report, 0, text_of(event, report->zh ? "summary_cn" : "summary"));
    put_steps(report, event);
    json_decref(event);
    json_decref(stored);
    return true;
}

bool report_events(Report *report, int attempt, GError **error)
{
    const TimelineFilter filter = {.attempt = attempt};
    report_heading(report, 3, "%s", report_word(report, "Events", "事件"));
    return timeline_each(report->service->db, report->model->id, &filter, put_event, report, error);
}
