/* POST /v1/{project_id}/models: the request as ModelArts' clients send it, made into an import. The
 * check before an import (models_check.c) reads the same body. */
#include <stdlib.h>
#include <string.h>

#include "import/templates.h"
#include "server/api.h"
#include "server/idempotency.h"
#include "server/request_fields.h"

static const RequestField FIELDS[] = {
    {"model_name", JSON_STRING, true},       {"model_version", JSON_STRING, true},
    {"source_location", JSON_STRING, true},  {"model_type", JSON_STRING, true},
    {"runtime", JSON_STRING, false},         {"description", JSON_STRING, false},
    {"model_algorithm", JSON_STRING, false}, {"execution_code", JSON_STRING, false},
    {"source_job_id", JSON_STRING, false},   {"source_job_version", JSON_STRING, false},
    {"workspace_id", JSON_STRING, false},    {"source_type", JSON_STRING, false},
    {"source_copy", JSON_STRING, false},     {"initial_config", JSON_STRING, false},
    {"model_metrics", JSON_STRING, false},   {"load_mode", JSON_STRING, false},
    {"model_docs", JSON_ARRAY, false},       {"install_type", JSON_ARRAY, false},
    {"dependencies", JSON_ARRAY, false},     {"apis", JSON_ARRAY, false},
    {"input_params", JSON_ARRAY, false},     {"output_params", JSON_ARRAY, false},
    {"no_cache", JSON_TRUE, false},          {"verify", JSON_TRUE, false},
    {"template", JSON_OBJECT, false}};

/* What is kept and given back as it was sent. */
static const char *const ECHOED[] = {"model_algorithm", "execution_code",     "source_job_id",
                                     "workspace_id",    "source_job_version", "source_type",
                                     "source_copy",     "model_metrics",      "model_docs",
                                     "install_type",    "load_mode",          "apis",
                                     "input_params",    "output_params",      NULL};

static bool is_template(const json_t *body)
{
    return g_strcmp0(json_string_value(json_object_get(body, "model_type")), TEMPLATE_TYPE) == 0;
}

static void check_words(const json_t *body, GPtrArray *faults)
{
    if (!is_template(body) && !request_is_unset(json_object_get(body, "template")))
        request_fault(faults, "template: only with model_type " TEMPLATE_TYPE);
    const char *copy = json_string_value(json_object_get(body, "source_copy"));
    const char *load = json_string_value(json_object_get(body, "load_mode"));
    if (copy && strcmp(copy, "true") != 0 && strcmp(copy, "false") != 0)
        request_fault(faults, "source_copy is \"%s\"; expected \"true\" or \"false\"", copy);
    if (load && strcmp(load, "packed") != 0 && strcmp(load, "dynamic") != 0)
        request_fault(faults, "load_mode is \"%s\"; expected \"packed\" or \"dynamic\"", load);
}

static char *echoed_of(json_t *body)
{
    json_t *kept = json_object();
    for (int i = 0; ECHOED[i]; i++) {
        json_t *value = json_object_get(body, ECHOED[i]);
        if (!request_is_unset(value))
            json_object_set(kept, ECHOED[i], value);
    }
    char *text = json_object_size(kept) ? json_dumps(kept, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    char *copy = g_strdup(text);
    free(text);
    json_decref(kept);
    return copy;
}

static ImportRequest *request_of(HttpRequest *http, json_t *body, GPtrArray *faults,
                                 bool *forbidden)
{
    g_autoptr(ImportRequest) request = import_request_new();
    request->project = g_strdup(http->arguments[0]);
    request->actor = g_strdup(http->actor);
    request->of_server = true;
    request->name = request_text(body, "model_name");
    request->version = request_text(body, "model_version");
    request->type = request_text(body, "model_type");
    request->runtime = request_text(body, "runtime");
    request->no_cache = json_is_true(json_object_get(body, "no_cache"));
    request->dynamic =
        g_strcmp0(json_string_value(json_object_get(body, "load_mode")), "dynamic") == 0;
    request->verify = json_is_true(json_object_get(body, "verify"));
    request->description = request_text(body, "description");
    request->config_text = request_text(body, "initial_config");
    request->config_file = g_strdup(request->config_text ? "initial_config" : NULL);
    request->dependencies = request_array(body, "dependencies");
    request->dependencies_file = g_strdup(request->dependencies ? "dependencies" : NULL);
    request->attributes = echoed_of(body);
    request->asked_over = g_strdup(server_asked_over(http->server));
    g_autofree char *location = is_template(body) ? request_template_take(body, request, faults)
                                                  : request_text(body, "source_location");
    *forbidden = location && !request_take_source(http->server, request, location, faults);
    if (*forbidden || !location)
        return NULL;
    g_autoptr(GPtrArray) wrong = request_faults_new();
    templates_apply(http->server->settings, request, wrong);
    import_request_check(request, wrong);
    request_faults_take(wrong, faults);
    return g_steal_pointer(&request);
}

/* With a template the source is its input. */
static bool is_mandatory(const RequestField *field, const json_t *body, bool to_check)
{
    if (strcmp(field->field, "source_location") == 0)
        return !is_template(body);
    if (strcmp(field->field, "template") == 0)
        return is_template(body);
    return field->mandatory && !to_check;
}

ImportRequest *models_create_read(HttpRequest *request, json_t *body, bool to_check,
                                  GPtrArray *faults, bool *forbidden)
{
    RequestField fields[G_N_ELEMENTS(FIELDS)];
    *forbidden = false;
    memcpy(fields, FIELDS, sizeof fields);
    for (size_t i = 0; i < G_N_ELEMENTS(fields); i++)
        fields[i].mandatory = is_mandatory(&FIELDS[i], body, to_check);
    request_fields_check(body, fields, G_N_ELEMENTS(fields), faults);
    if (faults->len)
        return NULL;
    check_words(body, faults);
    return request_of(request, body, faults, forbidden);
}

ImportRequest *models_request(HttpRequest *request, Service *service, json_t *body, bool to_check,
                              HttpReply *reply)
{
    g_autoptr(GPtrArray) faults = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GError) error = NULL;
    bool forbidden;
    g_autoptr(ImportRequest) import =
        models_create_read(request, body, to_check, faults, &forbidden);
    if (!import) {
        *reply = forbidden ? source_refused() : request_faults_reply(API_PARAMETER, faults);
        return NULL;
    }
    const char *code = faults->len ? "ModelArts.3037" : NULL;
    if (!to_check && !request_config_findings(service, import, faults, &code, &error))
        *reply = api_failed(error);
    else if (faults->len)
        *reply = request_faults_reply(code, faults);
    else
        return g_steal_pointer(&import);
    return NULL;
}

static json_t *create_answer(const Submission *submission)
{
    return json_pack("{s:s}", "model_id", submission->model_id);
}

static HttpReply create(HttpRequest *request, json_t *body, Service *service)
{
    HttpReply reply;
    g_autoptr(GError) error = NULL;
    g_auto(Idempotency) idempotency = {0};
    if (!idempotency_begin(&idempotency, request, service, "models", create_answer, &reply))
        return reply;
    g_autoptr(ImportRequest) import = models_request(request, service, body, false, &reply);
    if (!import)
        return reply;
    g_auto(Submission) submission = idempotency_submission(&idempotency);
    if (!import_submit(service, import, IF_EXISTS_FAIL, &submission, &error))
        return idempotency_failed(&idempotency, service, error);
    workers_wake(request->server->workers);
    return http_json(MHD_HTTP_OK, create_answer(&submission));
}

HttpReply models_create(HttpRequest *request)
{
    HttpReply reply;
    Service *service = api_service(request, &reply);
    json_t *body = service ? api_body(request, &reply) : NULL;
    if (!body)
        return reply;
    reply = create(request, body, service);
    json_decref(body);
    return reply;
}
