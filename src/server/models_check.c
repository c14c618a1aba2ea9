/* POST /v1/{project_id}/models/check: what `waybill check` does. A package of many files takes
 * seconds to list, so it is not done by the connection's thread. */
#include "import/environment.h"
#include "import/scan_events.h"
#include "server/api.h"
#include "server/aside.h"
#include "store/runtimes.h"

typedef struct {
    const Settings *settings;
    ImportRequest *import;
    GPtrArray *runtimes; /* of Runtime */
    json_t *answer;      /* NULL: *error */
    GError *error;
} Check;

static void check_free(gpointer data)
{
    Check *check = data;
    import_request_free(check->import);
    g_ptr_array_unref(check->runtimes);
    json_decref(check->answer);
    g_clear_error(&check->error);
    g_free(check);
}

static json_t *answer_of(const Findings *findings, const Package *package, const Config *config,
                         const char *runtime)
{
    json_t *answer = import_check_json(findings, package);
    json_object_set_new(answer, "ok", json_boolean(!findings_fatal(findings)));
    if (config && config->model_type)
        json_object_set_new(answer, "model_type", json_string(config->model_type));
    if (runtime)
        json_object_set_new(answer, "runtime", json_string(runtime));
    json_t *unused = json_array();
    for (guint i = 0; config && i < config->warnings->len; i++)
        json_array_append_new(unused, json_string(config->warnings->pdata[i]));
    json_object_set_new(answer, "unused", unused);
    return answer;
}

static void check_run(gpointer data)
{
    Check *check = data;
    g_autoptr(Findings) findings = findings_new();
    g_autoptr(Package) package = NULL;
    g_autoptr(Config) config = NULL;
    g_autofree char *runtime = NULL;
    if (import_check(check->settings, check->runtimes, check->import, NULL, findings, &package,
                     &config, &runtime, &check->error) &&
        environment_check_sources(check->settings, false, config, findings, &check->error)) {
        if (package && package->child_found && !import_request_is_bucket(check->import))
            scan_package(check->settings, package, NULL, findings);
        check->answer = answer_of(findings, package, config, runtime);
    }
}

static HttpReply check_begin(HttpRequest *request)
{
    HttpReply reply;
    g_autoptr(GError) error = NULL;
    Service *service = api_service(request, &reply);
    json_t *body = service ? api_body(request, &reply) : NULL;
    g_autoptr(ImportRequest) import =
        body ? models_request(request, service, body, true, &reply) : NULL;
    json_decref(body);
    if (!import)
        return reply;
    g_autoptr(GPtrArray) runtimes =
        upload_is_ready(service, import, &error) && import_request_resolve(service, import, &error)
            ? runtimes_list(service->db, &error)
            : NULL;
    if (!runtimes)
        return api_failed(error);
    Check *check = g_new0(Check, 1);
    check->settings = request->server->settings;
    check->import = g_steal_pointer(&import);
    check->runtimes = g_steal_pointer(&runtimes);
    return aside_begin(request->server->aside, request, check_run, check, check_free);
}

HttpReply models_check(HttpRequest *request)
{
    HttpReply reply;
    gpointer data;
    if (!aside_ended(request, &data, &reply))
        return check_begin(request);
    const Check *check = data;
    if (!check)
        return reply;
    return check->answer ? http_json(MHD_HTTP_OK, json_incref(check->answer))
                         : api_failed(check->error);
}
