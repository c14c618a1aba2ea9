/* POST /v1/{project_id}/models: the request as ModelArts' clients send it, made into an import. The
 * check before an import (models_check.c) reads the same body. */
#include <stdlib.h>
#include <string.h>

#include "import/sources.h"
#include "model/config.h"
#include "server/api.h"
#include "server/idempotency.h"

typedef struct {
    const char *field;
    json_type type;
    bool mandatory;
} Field;

static const Field FIELDS[] = {
    {"model_name", JSON_STRING, true},       {"model_version", JSON_STRING, true},
    {"source_location", JSON_STRING, true},  {"model_type", JSON_STRING, true},
    {"runtime", JSON_STRING, false},         {"description", JSON_STRING, false},
    {"model_algorithm", JSON_STRING, false}, {"execution_code", JSON_STRING, false},
    {"source_job_id", JSON_STRING, false},   {"source_job_version", JSON_STRING, false},
    {"workspace_id", JSON_STRING, false},    {"source_type", JSON_STRING, false},
    {"source_copy", JSON_STRING, false},     {"initial_config", JSON_STRING, false},
    {"model_metrics", JSON_STRING, false},   {"load_mode", JSON_STRING, false},
    {"model_docs", JSON_ARRAY, false},       {"install_type", JSON_ARRAY, false}};

/* What is kept and given back as it was sent. */
static const char *const ECHOED[] = {"model_algorithm", "execution_code",     "source_job_id",
                                     "workspace_id",    "source_job_version", "source_type",
                                     "source_copy",     "model_metrics",      "model_docs",
                                     "install_type",    "load_mode",          NULL};

static const char *type_name(json_type type)
{
    return type == JSON_STRING ? "a string" : "an array";
}

static void fault_add(GPtrArray *faults, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void fault_add(GPtrArray *faults, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_ptr_array_add(faults, g_strdup_vprintf(format, arguments));
    va_end(arguments);
}

static const Field *field_find(const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(FIELDS); i++)
        if (strcmp(FIELDS[i].field, name) == 0)
            return &FIELDS[i];
    return NULL;
}

/* A check looks at a package, whatever will be its name. */
static bool is_wanted(const Field *field, bool to_check)
{
    return field->mandatory && (!to_check || strcmp(field->field, "source_location") == 0);
}

/* Some clients send a member that is not set: ModelArts' Terraform provider as null, {} or []. */
static bool is_unset(const json_t *value)
{
    return !value || json_is_null(value) || (json_is_object(value) && !json_object_size(value)) ||
           (json_is_array(value) && !json_array_size(value));
}

/* A member that this version does not act on is refused rather than forgotten. */
static void check_fields(json_t *body, bool to_check, GPtrArray *faults)
{
    const char *name;
    json_t *value;
    for (size_t i = 0; i < G_N_ELEMENTS(FIELDS); i++)
        if (is_wanted(&FIELDS[i], to_check) && is_unset(json_object_get(body, FIELDS[i].field)))
            fault_add(faults, "%s is missing", FIELDS[i].field);
    json_object_foreach (body, name, value) {
        const Field *field = field_find(name);
        if (is_unset(value))
            continue;
        if (!field)
            fault_add(faults, "%s is not a field of this version", name);
        else if (json_typeof(value) != field->type)
            fault_add(faults, "%s must be %s", name, type_name(field->type));
    }
}

static void check_words(const json_t *body, GPtrArray *faults)
{
    const char *copy = json_string_value(json_object_get(body, "source_copy"));
    const char *load = json_string_value(json_object_get(body, "load_mode"));
    if (copy && strcmp(copy, "true") != 0 && strcmp(copy, "false") != 0)
        fault_add(faults, "source_copy is \"%s\"; expected \"true\" or \"false\"", copy);
    if (load && strcmp(load, "packed") != 0)
        fault_add(faults, "load_mode is \"%s\"; expected \"packed\"", load);
}

/* file:///DIR -> /DIR, oci:DIR:TAG as it is; NULL: refused. Nobody learns whether a directory is
 * there that may not be imported from. */
static char *source_of(const Server *server, const char *project, const char *location)
{
    bool is_file = g_str_has_prefix(location, "file:///");
    if ((!is_file && !g_str_has_prefix(location, "oci:")) ||
        !sources_allow(server->settings, server->loopback, project, location))
        return NULL;
    return g_strdup(is_file ? location + strlen("file://") : location);
}

static char *text_of(const json_t *body, const char *field)
{
    return g_strdup(json_string_value(json_object_get(body, field)));
}

static char *echoed_of(json_t *body)
{
    json_t *kept = json_object();
    for (int i = 0; ECHOED[i]; i++) {
        json_t *value = json_object_get(body, ECHOED[i]);
        if (!is_unset(value))
            json_object_set(kept, ECHOED[i], value);
    }
    char *text = json_object_size(kept) ? json_dumps(kept, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    char *copy = g_strdup(text);
    free(text);
    json_decref(kept);
    return copy;
}

/* The field of the body that sets what is wrong. */
static const char *field_of_fault(const RequestFault *fault)
{
    static const char *const FIELDS_OF[][2] = {{"name", "model_name"},
                                               {"version", "model_version"},
                                               {"type", "model_type"},
                                               {"source", "source_location"},
                                               {"project", "project_id"}};
    for (size_t i = 0; i < G_N_ELEMENTS(FIELDS_OF); i++)
        if (strcmp(fault->field, FIELDS_OF[i][0]) == 0)
            return FIELDS_OF[i][1];
    return fault->field;
}

static ImportRequest *request_of(HttpRequest *http, json_t *body, GPtrArray *faults)
{
    g_autoptr(ImportRequest) request = import_request_new();
    request->project = g_strdup(http->arguments[0]);
    request->actor = g_strdup(http->actor);
    request->asked_over =
        g_strdup(http->server->loopback ? ASKED_OVER_LOOPBACK : ASKED_OVER_NETWORK);
    request->name = text_of(body, "model_name");
    request->version = text_of(body, "model_version");
    request->type = text_of(body, "model_type");
    request->runtime = text_of(body, "runtime");
    request->description = text_of(body, "description");
    request->config_text = text_of(body, "initial_config");
    request->config_file = g_strdup(request->config_text ? "initial_config" : NULL);
    request->attributes = echoed_of(body);
    request->source = source_of(http->server, request->project,
                                json_string_value(json_object_get(body, "source_location")));
    if (!request->source)
        return NULL;
    g_autoptr(GPtrArray) wrong = import_request_check(request);
    for (guint i = 0; i < wrong->len; i++) {
        const RequestFault *fault = wrong->pdata[i];
        fault_add(faults, "%s: %s", field_of_fault(fault), fault->message);
    }
    return g_steal_pointer(&request);
}

static HttpReply faults_reply(const char *code, GPtrArray *faults)
{
    g_ptr_array_add(faults, NULL);
    g_autofree char *all = g_strjoinv("; ", (char **)faults->pdata);
    json_t *details = json_array();
    for (guint i = 0; i + 1 < faults->len; i++)
        json_array_append_new(details, json_string(faults->pdata[i]));
    return http_json(MHD_HTTP_BAD_REQUEST, json_pack("{s:s, s:s, s:o}", "error_code", code,
                                                     "error_msg", all, "details", details));
}

ImportRequest *models_request(HttpRequest *request, json_t *body, bool to_check, HttpReply *reply)
{
    g_autoptr(GPtrArray) faults = g_ptr_array_new_with_free_func(g_free);
    check_fields(body, to_check, faults);
    if (faults->len) {
        *reply = faults_reply(API_PARAMETER, faults);
        return NULL;
    }
    check_words(body, faults);
    g_autoptr(ImportRequest) import = request_of(request, body, faults);
    if (!import)
        *reply = http_error(MHD_HTTP_BAD_REQUEST, "ModelArts.3017",
                            "source_location may not be imported from; expected file:///DIR or "
                            "oci:DIR:TAG beneath one of server.import_roots, and what "
                            "sources.allow lists for the project where it is set");
    else if (faults->len)
        *reply = faults_reply("ModelArts.3037", faults);
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
    g_autoptr(ImportRequest) import = models_request(request, body, false, &reply);
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
