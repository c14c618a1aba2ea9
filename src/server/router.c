#include "server/api.h"

#define PROJECT "/v1/{project_id}"
#define MODEL   PROJECT "/models/{model_id}"

const HttpRoute API_ROUTES[] = {
    {"GET", "/healthz", health_get, 0},
    {"GET", "/readyz", ready_get, 0},
    {"GET", "/metrics", metrics_get, 0},
    {"GET", "/v1/event-catalog", events_catalog, 0},
    {"GET", "/v1/maintenance", maintenance_get, 0},
    {"POST", "/v1/maintenance", maintenance_set, HTTP_BODY_BYTES},
    {"GET", "/v1/workers", workers_list, 0},
    {"GET", PROJECT "/events", project_events, 0},
    {"GET", PROJECT "/events/stream", project_stream, 0},
    {"GET", PROJECT "/credentials", credentials_get, 0},
    {"POST", PROJECT "/credentials", credentials_post, HTTP_BODY_BYTES},
    {"DELETE", PROJECT "/credentials", credentials_delete, HTTP_BODY_BYTES},
    {"GET", PROJECT "/statistics", statistics_get, 0},
    {"GET", PROJECT "/models/ai-engine-runtimes", runtimes_get, 0},
    {"POST", PROJECT "/models", models_create, HTTP_BODY_BYTES},
    {"GET", PROJECT "/models", models_list_items, 0},
    {"POST", PROJECT "/models/check", models_check, HTTP_BODY_BYTES},
    {"GET", MODEL, models_get, 0},
    {"DELETE", MODEL, models_delete, HTTP_BODY_BYTES},
    {"POST", MODEL "/retry", models_retry, HTTP_BODY_BYTES},
    {"POST", MODEL "/cancel", models_cancel, HTTP_BODY_BYTES},
    {"GET", MODEL "/log", log_get, 0},
    {"GET", MODEL "/diff", models_diff, 0},
    {"GET", MODEL "/events", events_list, 0},
    {"GET", MODEL "/events/stream", events_stream, 0},
    {NULL},
};
