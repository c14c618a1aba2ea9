#include "server/request_log.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"

const char *const REQUEST_BUCKET_NAMES[] = {"0.001", "0.005", "0.025", "0.1",
                                            "0.5",   "2.5",   "10",    "+Inf"};
static const int64_t BUCKET_MS[] = {1, 5, 25, 100, 500, 2500, 10000, INT64_MAX};

static void count(RequestLog *log, const HttpRequest *request, int64_t took)
{
    if (request->status >= 100 && request->status < 600)
        log->by_class[request->status / 100 - 1]++;
    if (request->is_stream)
        return;
    int bucket = 0;
    while (took > BUCKET_MS[bucket])
        bucket++;
    log->by_bucket[bucket]++;
    log->ms += took;
}

/* The path stands as it was sent, percent-encoded: it cannot break the line or the JSON. */
static void write_line(const RequestLog *log, const HttpRequest *request, int64_t took)
{
    const char *path = request->target ? request->target->path : "-";
    g_autofree char *shown = g_uri_escape_string(path, "/%?&=:@!$'()*+,;[]", FALSE);
    g_autofree char *method = g_uri_escape_string(request->method, NULL, FALSE);
    if (log->json)
        fprintf(stderr,
                "{\"method\":\"%s\",\"path\":\"%s\",\"status\":%u,\"ms\":%" PRId64
                ",\"request_id\":\"%s\"}\n",
                method, shown, request->status, took, request->id);
    else
        fprintf(stderr, "%s %s %u %" PRId64 " ms %s\n", method, shown, request->status, took,
                request->id);
}

void request_log(RequestLog *log, const HttpRequest *request)
{
    int64_t took = clock_monotonic_ms() - request->began;
    count(log, request, took);
    write_line(log, request, took);
}

RequestCounts request_counts_read(const RequestLog *log)
{
    RequestCounts counts = {.ms = log->ms};
    for (int i = 0; i < HTTP_CLASSES; i++)
        counts.by_class[i] = log->by_class[i];
    for (int i = 0; i < REQUEST_BUCKETS; i++)
        counts.by_bucket[i] = log->by_bucket[i];
    return counts;
}
