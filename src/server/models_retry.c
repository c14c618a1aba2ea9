/* POST …/models/{model_id}/retry: again, with what the body changes. */
#include <string.h>

#include "import/templates.h"
#include "import/training.h"
#include "server/api.h"
#include "server/idempotency.h"
#include "server/request_fields.h"

static const RequestField FIELDS[] = {{"source_location", JSON_STRING, false},
                                      {"initial_config", JSON_STRING, false},
                                      {"dependencies", JSON_ARRAY, false},
                                      {"template", JSON_OBJECT, false},
                                      {"source_job_id", JSON_STRING, false},
                                      {"source_job_version", JSON_STRING, false},
                                      {"from", JSON_STRING, false},
                                      {"load_mode", JSON_STRING, false},
                                      {"no_cache", JSON_TRUE, false}};

/* Takes the new value over, where there is one. */
static bool replace(char **field, char *value)
{
    if (!value)
        return false;
    g_free(*field);
    *field = value;
    return true;
}

/* What a former template brought does not count any more. */
static char *change_template(ImportRequest *import, const json_t *body, GPtrArray *faults)
{
    g_clear_pointer(&import->template, g_free);
    g_clear_pointer(&import->child, g_free);
    if (!json_object_get(body, "initial_config"))
        g_clear_pointer(&import->config_text, g_free);
    return request_template_take(body, import, faults);
}

static bool names_job(const json_t *body)
{
    return json_object_get(body, ATTRIBUTE_JOB) || json_object_get(body, ATTRIBUTE_JOB_VERSION);
}

/* A job's version goes with it: another job has none until one is named. Returns the training
 * source, whose place is that of the former job; NULL: it is none, or the body names no job. The
 * caller frees it. */
static char *change_job(ImportRequest *import, const json_t *body)
{
    g_autofree char *job = request_text(body, ATTRIBUTE_JOB);
    g_autofree char *version = request_text(body, ATTRIBUTE_JOB_VERSION);
    if (!names_job(body))
        return NULL;
    char *training = g_strdup(import->training);
    training_forget(import);
    if (job)
        import_request_set_attribute(import, ATTRIBUTE_JOB, job);
    import_request_set_attribute(import, ATTRIBUTE_JOB_VERSION, version);
    return training;
}

/* Another source, job or template, where the body names one. False: *reply. */
static bool change_source(ImportRequest *import, const Server *server, const json_t *body,
                          GPtrArray *faults, HttpReply *reply)
{
    const bool by_template = !request_is_unset(json_object_get(body, "template"));
    g_autofree char *training = change_job(import, body);
    g_autofree char *location =
        by_template ? change_template(import, body, faults) : request_text(body, "source_location");
    if (!location && !by_template)
        location = g_steal_pointer(&training);
    if (!location)
        return true;
    if (!request_take_source(server, import, location, faults)) {
        *reply = source_refused();
        return false;
    }
    g_autoptr(GPtrArray) wrong = request_faults_new();
    if (by_template)
        templates_apply(server->settings, import, wrong);
    import_request_check(import, wrong);
    request_faults_take(wrong, faults);
    return true;
}

static bool is_imported(const Model *model)
{
    return strcmp(model->outcome, "imported") == 0;
}

/* Of an imported model there is nothing to retry, but an environment to build anew. */
static bool changes_something(const Model *model, const json_t *body)
{
    bool no_cache = json_is_true(json_object_get(body, "no_cache"));
    return is_imported(model) ? no_cache && json_object_size(body) == 1
                              : json_object_size(body) > 0;
}

/* What is packed may be another than the former attempt's. */
static bool packs_anew(const ImportRequest *import, const json_t *body)
{
    static const char *const PACKED[] = {"source_location", "initial_config", "load_mode"};
    for (size_t i = 0; i < G_N_ELEMENTS(PACKED); i++)
        if (json_object_get(body, PACKED[i]))
            return true;
    return !request_is_unset(json_object_get(body, "template")) ||
           (import->training && names_job(body)) || g_strcmp0(import->from, "check") == 0 ||
           g_strcmp0(import->from, "copy") == 0;
}

/* What the newest attempt was asked for, with what the body changes. A rebuild stays one as long as
 * nothing of what is packed is changed. NULL: *reply. */
static ImportRequest *request_changed(HttpRequest *request, Service *service, const Model *model,
                                      const json_t *body, HttpReply *reply)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) faults = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(ImportRequest) import = import_retry_request(service, model, request->actor, &error);
    if (!import) {
        *reply = api_failed(error);
        return NULL;
    }
    import->of_server = true;
    replace(&import->version, g_strdup(model->version));
    replace(&import->from, request_text(body, "from"));
    import->no_cache = json_is_true(json_object_get(body, "no_cache"));
    if (replace(&import->dependencies, request_array(body, "dependencies")))
        replace(&import->dependencies_file, g_strdup("dependencies"));
    if (replace(&import->config_text, request_text(body, "initial_config")))
        replace(&import->config_file, g_strdup("initial_config"));
    const char *load = json_string_value(json_object_get(body, "load_mode"));
    if (load && strcmp(load, "packed") != 0 && strcmp(load, "dynamic") != 0)
        request_fault(faults, "load_mode is \"%s\"; expected \"packed\" or \"dynamic\"", load);
    if (load)
        import->dynamic = strcmp(load, "dynamic") == 0;
    import->rebuild = import->rebuild && !packs_anew(import, body);
    import->rebuild |= is_imported(model); /* what it packed stays */
    if (!change_source(import, request->server, body, faults, reply))
        return NULL;
    const char *code = faults->len ? "ModelArts.3037" : NULL;
    if (!request_config_findings(service, import, faults, &code, &error))
        *reply = api_failed(error);
    else if (faults->len)
        *reply = request_faults_reply(code, faults);
    else
        return g_steal_pointer(&import);
    return NULL;
}

static json_t *retry_answer(const Submission *submission)
{
    return json_pack("{s:s, s:i}", "model_id", submission->model_id, "attempt",
                     submission->attempt);
}

static HttpReply cannot_begin(const GError *error)
{
    static const char OPTION[] = "--"; /* the command line's word for it */
    const char *message = error->message;
    if (!g_error_matches(error, IMPORT_ERROR, IMPORT_ERROR_USAGE))
        return api_failed(error);
    return http_error(MHD_HTTP_BAD_REQUEST, API_PARAMETER, "%s",
                      g_str_has_prefix(message, OPTION) ? message + strlen(OPTION) : message);
}

/* False: *reply. */
static bool submit(HttpRequest *request, Service *service, const Model *model, const json_t *body,
                   Idempotency *idempotency, Submission *submission, HttpReply *reply)
{
    g_autoptr(GError) error = NULL;
    const char *from = json_string_value(json_object_get(body, "from"));
    const bool changed = changes_something(model, body);
    if (changed && from && !import_can_begin(service, model, from, &error)) {
        *reply = cannot_begin(error);
        return false;
    }
    g_autoptr(ImportRequest) import =
        changed ? request_changed(request, service, model, body, reply) : NULL;
    if (changed && !import)
        return false;
    IfExists exists = is_imported(model) ? IF_EXISTS_REPLACE : IF_EXISTS_LEAVE;
    bool done = changed ? import_submit(service, import, exists, submission, &error)
                        : import_retry(service, model, request->actor, submission, &error);
    if (!done)
        *reply = idempotency_failed(idempotency, service, error);
    return done;
}

static HttpReply retry(HttpRequest *request, Service *service, const Model *model, json_t *body)
{
    HttpReply reply;
    g_auto(Idempotency) idempotency = {0};
    g_autoptr(GPtrArray) faults = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *route = g_strdup_printf("models/%s/retry", model->id);
    if (!idempotency_begin(&idempotency, request, service, route, retry_answer, &reply))
        return reply;
    request_fields_check(body, FIELDS, G_N_ELEMENTS(FIELDS), faults);
    if (faults->len)
        return request_faults_reply(API_PARAMETER, faults);
    g_auto(Submission) submission = idempotency_submission(&idempotency);
    if (!submit(request, service, model, body, &idempotency, &submission, &reply))
        return reply;
    workers_wake(request->server->workers);
    return http_json(MHD_HTTP_OK, retry_answer(&submission));
}

HttpReply models_retry(HttpRequest *request)
{
    HttpReply reply;
    Service *service = api_service(request, &reply);
    g_autoptr(Model) model = service ? api_model(request, service, &reply) : NULL;
    json_t *body = model ? api_body(request, &reply) : NULL;
    if (!body)
        return reply;
    reply = retry(request, service, model, body);
    json_decref(body);
    return reply;
}
