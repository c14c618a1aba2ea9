/* A line for each request on standard error, and what /metrics tells of them. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "server/http.h"

#define HTTP_CLASSES    5 /* 1xx to 5xx */
#define REQUEST_BUCKETS 8
extern const char *const REQUEST_BUCKET_NAMES[REQUEST_BUCKETS]; /* seconds, "+Inf" the last */

typedef struct {
    int64_t by_class[HTTP_CLASSES];
    int64_t by_bucket[REQUEST_BUCKETS]; /* not summed up */
    int64_t ms;
} RequestCounts;

typedef struct {
    _Atomic int64_t by_class[HTTP_CLASSES];
    _Atomic int64_t by_bucket[REQUEST_BUCKETS];
    _Atomic int64_t ms;
    bool json; /* the lines' form */
} RequestLog;

/* Once a request was answered. Streams count, their duration does not. */
void request_log(RequestLog *log, const HttpRequest *request);
RequestCounts request_counts_read(const RequestLog *log);
