/* What became of the imports: /v1/{project_id}/statistics for people, /metrics for Prometheus. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "server/api.h"
#include "store/maintenance.h"

#define DAY_MS    (INT64_C(24) * 3600 * 1000)
#define MOST_DAYS 366

/* -- statistics -- */

/* Imports that ended, by UTC day and outcome. */
static json_t *days_json(Db *db, const char *project, int64_t since, GError **error)
{
    g_autoptr(DbRows) rows =
        db_query(db, error,
                 "SELECT a.ended_at / 86400000, count(CASE a.outcome WHEN 'imported' THEN 1 END), "
                 "count(CASE a.outcome WHEN 'failed' THEN 1 END) FROM attempts a "
                 "JOIN models m ON m.id = a.model_id WHERE m.project = $1 AND a.ended_at >= $2 "
                 "GROUP BY 1 ORDER BY 1",
                 "si", project, since);
    json_t *days = json_array();
    while (rows && db_next(rows, error)) {
        g_autoptr(GDateTime) day = g_date_time_new_from_unix_utc(db_int(rows, 0) * DAY_MS / 1000);
        g_autofree char *date = g_date_time_format(day, "%Y-%m-%d");
        json_array_append_new(days, json_pack("{s:s, s:I, s:I}", "day", date, "imported",
                                              (json_int_t)db_int(rows, 1), "failed",
                                              (json_int_t)db_int(rows, 2)));
    }
    return days;
}

/* The abnormal events by reason, the most frequent first. ImportFailed follows from another one. */
static json_t *reasons_json(Db *db, const char *project, int64_t since, GError **error)
{
    g_autoptr(DbRows) rows =
        db_query(db, error,
                 "SELECT e.reason, count(*), count(DISTINCT e.model_id) FROM events e "
                 "JOIN models m ON m.id = e.model_id WHERE m.project = $1 AND e.occur_time >= $2 "
                 "AND e.event_type = 'abnormal' AND e.reason <> 'ImportFailed' "
                 "GROUP BY e.reason ORDER BY 2 DESC, 1",
                 "si", project, since);
    json_t *reasons = json_array();
    while (rows && db_next(rows, error))
        json_array_append_new(reasons, json_pack("{s:s, s:I, s:I}", "reason", db_text(rows, 0),
                                                 "count", (json_int_t)db_int(rows, 1), "models",
                                                 (json_int_t)db_int(rows, 2)));
    return reasons;
}

static int compare_ms(gconstpointer a, gconstpointer b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

/* By the nearest rank. */
static json_int_t percentile(const GArray *sorted, unsigned percent)
{
    guint rank = (sorted->len * percent + 99) / 100;
    return g_array_index(sorted, int64_t, MAX(rank, 1) - 1);
}

static void put_stage(json_t *stages, const char *stage, GArray *durations)
{
    if (!durations->len)
        return;
    g_array_sort(durations, compare_ms);
    json_array_append_new(stages,
                          json_pack("{s:s, s:i, s:I, s:I}", "stage", stage, "count",
                                    (int)durations->len, "p50_ms", percentile(durations, 50),
                                    "p95_ms", percentile(durations, 95)));
    g_array_set_size(durations, 0);
}

/* How long each stage took, of the events that closed one. */
static json_t *stages_json(Db *db, const char *project, int64_t since, GError **error)
{
    g_autoptr(GArray) durations = g_array_new(FALSE, FALSE, sizeof(int64_t));
    g_autoptr(DbRows) rows = db_query(
        db, error,
        "SELECT e.stage, e.event FROM events e JOIN models m ON m.id = e.model_id "
        "WHERE m.project = $1 AND e.occur_time >= $2 AND e.event_type = 'normal' ORDER BY e.stage",
        "si", project, since);
    json_t *stages = json_array();
    g_autofree char *stage = NULL;
    while (rows && db_next(rows, error)) {
        if (stage && g_strcmp0(stage, db_text(rows, 0)) != 0)
            put_stage(stages, stage, durations);
        g_free(stage);
        stage = g_strdup(db_text(rows, 0));
        json_t *event = json_loads(db_text(rows, 1), 0, NULL);
        const json_t *took = json_object_get(event, "duration_ms");
        int64_t ms = json_integer_value(took);
        if (took)
            g_array_append_val(durations, ms);
        json_decref(event);
    }
    if (stage)
        put_stage(stages, stage, durations);
    return stages;
}

HttpReply statistics_get(HttpRequest *request)
{
    HttpReply reply;
    int64_t days;
    g_autoptr(GError) error = NULL;
    const char *project = request->arguments[0];
    Service *service = api_service(request, &reply);
    if (!service || !api_number(request, "days", 30, &days, &reply))
        return reply;
    int64_t since = clock_now_ms() - MIN(days, MOST_DAYS) * DAY_MS;
    json_t *by_day = days_json(service->db, project, since, &error);
    json_t *reasons = error ? NULL : reasons_json(service->db, project, since, &error);
    json_t *stages = error ? NULL : stages_json(service->db, project, since, &error);
    if (error) {
        json_decref(by_day);
        json_decref(reasons);
        json_decref(stages);
        return api_failed(error);
    }
    return http_json(MHD_HTTP_OK, json_pack("{s:I, s:o, s:o, s:o}", "since", (json_int_t)since,
                                            "days", by_day, "reasons", reasons, "stages", stages));
}

/* -- metrics -- */

static void metric_head(GString *text, const char *name, const char *type, const char *help)
{
    g_string_append_printf(text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* Rows of (label's value, count); the values are words of our own. */
static bool metric_rows(Db *db, GString *text, const char *name, const char *label, const char *sql,
                        GError **error)
{
    GError *failure = NULL;
    g_autoptr(DbRows) rows = db_query(db, error, sql, "");
    while (rows && db_next(rows, &failure))
        g_string_append_printf(text, "%s{%s=\"%s\"} %" PRId64 "\n", name, label, db_text(rows, 0),
                               db_int(rows, 1));
    if (failure)
        g_propagate_error(error, failure);
    return rows && !failure;
}

static void metric_requests(GString *text, const RequestCounts *counts)
{
    int64_t sum = 0;
    metric_head(text, "waybill_http_requests_total", "counter", "Requests by class of status.");
    for (int i = 0; i < HTTP_CLASSES; i++)
        g_string_append_printf(text, "waybill_http_requests_total{class=\"%dxx\"} %" PRId64 "\n",
                               i + 1, counts->by_class[i]);
    metric_head(text, "waybill_http_request_seconds", "histogram",
                "Duration of requests, streams left out.");
    for (int i = 0; i < REQUEST_BUCKETS; i++) {
        sum += counts->by_bucket[i];
        g_string_append_printf(text, "waybill_http_request_seconds_bucket{le=\"%s\"} %" PRId64 "\n",
                               REQUEST_BUCKET_NAMES[i], sum);
    }
    g_string_append_printf(text,
                           "waybill_http_request_seconds_sum %.3f\n"
                           "waybill_http_request_seconds_count %" PRId64 "\n",
                           (double)counts->ms / 1000, sum);
}

static bool metric_store(Db *db, GString *text, GError **error)
{
    metric_head(text, "waybill_attempts", "gauge", "Attempts in the store, by outcome.");
    if (!metric_rows(db, text, "waybill_attempts", "outcome",
                     "SELECT outcome, count(*) FROM attempts GROUP BY outcome", error))
        return false;
    metric_head(text, "waybill_events", "gauge", "Events in the store, by reason.");
    if (!metric_rows(db, text, "waybill_events", "reason",
                     "SELECT reason, count(*) FROM events GROUP BY reason", error))
        return false;
    metric_head(text, "waybill_jobs", "gauge", "Open jobs, by state.");
    return metric_rows(db, text, "waybill_jobs", "state",
                       "SELECT state, count(*) FROM jobs WHERE state <> 'done' GROUP BY state",
                       error);
}

static void metric_connections(Db *db, GString *text)
{
    int open, taken;
    if (!db_count_connections(db, &open, &taken))
        return;
    metric_head(text, "waybill_store_connections", "gauge",
                "Connections of this process to the store's server.");
    g_string_append_printf(text, "waybill_store_connections{state=\"busy\"} %d\n", taken);
    g_string_append_printf(text, "waybill_store_connections{state=\"idle\"} %d\n", open - taken);
}

HttpReply metrics_get(HttpRequest *request)
{
    HttpReply reply;
    int alive, busy;
    g_autoptr(GError) error = NULL;
    Server *server = request->server;
    Service *service = api_service(request, &reply);
    if (!service)
        return reply;
    g_autoptr(Maintenance) maintenance = maintenance_load(service->db, &error);
    GString *text = g_string_new(NULL);
    if (!maintenance || !metric_store(service->db, text, &error)) {
        g_string_free(text, TRUE);
        return api_failed(error);
    }
    metric_head(text, "waybill_maintenance", "gauge", "Whether imports that would start wait.");
    g_string_append_printf(text, "waybill_maintenance %d\n", maintenance->on);
    workers_count(server->workers, &alive, &busy);
    metric_head(text, "waybill_workers", "gauge", "Workers of this process.");
    g_string_append_printf(text, "waybill_workers{state=\"busy\"} %d\n", busy);
    g_string_append_printf(text, "waybill_workers{state=\"idle\"} %d\n", alive - busy);
    metric_head(text, "waybill_streams", "gauge", "Connections that follow a model.");
    g_string_append_printf(text, "waybill_streams %d\n", hub_followers(server->hub));
    metric_connections(service->db, text);
    RequestCounts counts = request_counts_read(&server->requests);
    metric_requests(text, &counts);
    gsize length = text->len;
    return http_text(MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8",
                     g_string_free(text, FALSE), length);
}
