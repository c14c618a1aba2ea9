/* PUT /v1/{project_id}/models/{model_id}: its description, its dependencies. */
#include "import/details.h"
#include "import/update.h"
#include "server/api.h"
#include "server/model_answer.h"
#include "server/request_fields.h"

static const RequestField FIELDS[] = {{"description", JSON_STRING, false},
                                      {"dependencies", JSON_ARRAY, false}};

static bool is_sound(Service *service, const Model *model, const ImportUpdate *update,
                     HttpReply *reply)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Findings) findings = findings_new();
    g_autoptr(GPtrArray) faults = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) wrong = g_ptr_array_new_with_free_func((GDestroyNotify)request_fault_free);
    if (!import_update_check(service, model, update, wrong, findings, &error)) {
        *reply = api_failed(error);
        return false;
    }
    for (guint i = 0; i < wrong->len; i++) {
        const RequestFault *fault = wrong->pdata[i];
        request_fault(faults, "%s: %s", fault->field, fault->message);
    }
    const char *code = faults->len ? "ModelArts.3037" : NULL;
    request_findings(findings, faults, &code);
    if (faults->len)
        *reply = request_faults_reply(code, faults);
    return faults->len == 0;
}

/* As they are now: what was changed, and the status of the rebuild. */
static HttpReply details_reply(const HttpRequest *request, Service *service, const Model *model)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Model) now = model_load(service->db, model->id, &error);
    json_t *details = now ? model_details(service, now, &error) : NULL;
    if (details)
        model_answer_complete(request, details);
    return details ? http_json(MHD_HTTP_OK, details) : api_failed(error);
}

static HttpReply update(HttpRequest *request, Service *service, const Model *model, json_t *body)
{
    HttpReply reply;
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) faults = g_ptr_array_new_with_free_func(g_free);
    request_fields_check(body, FIELDS, G_N_ELEMENTS(FIELDS), faults);
    g_autofree char *description = request_text(body, "description");
    g_autofree char *dependencies = request_array(body, "dependencies");
    if (faults->len == 0 && !description && !dependencies)
        request_fault(faults, "nothing to update: expected description, dependencies or both");
    if (faults->len)
        return request_faults_reply(API_PARAMETER, faults);
    const ImportUpdate change = {.description = description,
                                 .dependencies = dependencies,
                                 .dependencies_file = "dependencies",
                                 .actor = request->actor};
    if (!is_sound(service, model, &change, &reply))
        return reply;
    UpdateResult result = UPDATE_RESULT_NONE;
    bool done = import_update(service, model, &change, &result, &error);
    if (done && result.submission.job)
        workers_wake(request->server->workers);
    submission_clear(&result.submission);
    return done ? details_reply(request, service, model) : api_failed(error);
}

HttpReply models_update(HttpRequest *request)
{
    HttpReply reply;
    Service *service = api_service(request, &reply);
    g_autoptr(Model) model = service ? api_model(request, service, &reply) : NULL;
    json_t *body = model ? api_body(request, &reply) : NULL;
    if (!body)
        return reply;
    reply = update(request, service, model, body);
    json_decref(body);
    return reply;
}
