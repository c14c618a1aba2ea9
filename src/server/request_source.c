/* Where a request says that its package lies: source_location, or the input of a template. */
#include <stdlib.h>
#include <string.h>

#include "import/sources.h"
#include "import/training.h"
#include "server/request_fields.h"

#define FILE_SCHEME "file://"

/* -- faults -- */

/* The field of the body that sets what is wrong. */
static const char *field_of_fault(const RequestFault *fault)
{
    static const char *const FIELDS_OF[][2] = {{"name", "model_name"},
                                               {"version", "model_version"},
                                               {"type", "model_type"},
                                               {"source", "source_location"},
                                               {"config", "initial_config"},
                                               {"infer-format", "template.infer_format"},
                                               {"input-id", "template.template_inputs[0].input_id"},
                                               {"source-job-id", "source_job_id"},
                                               {"source-job-version", "source_job_version"},
                                               {"project", "project_id"}};
    for (size_t i = 0; i < G_N_ELEMENTS(FIELDS_OF); i++)
        if (strcmp(fault->field, FIELDS_OF[i][0]) == 0)
            return FIELDS_OF[i][1];
    return fault->field;
}

void request_faults_take(const GPtrArray *wrong, GPtrArray *faults)
{
    for (guint i = 0; i < wrong->len; i++) {
        const RequestFault *fault = wrong->pdata[i];
        request_fault(faults, "%s: %s", field_of_fault(fault), fault->message);
    }
}

HttpReply source_refused(void)
{
    return http_error(
        MHD_HTTP_BAD_REQUEST, "ModelArts.3017",
        "source_location may not be imported from; expected upload://ID, or "
        "file:///DIR or oci:DIR:TAG beneath one of server.import_roots, and what sources.allow "
        "lists for the project where it is set");
}

/* -- the source -- */

/* A folder of the host is file:///DIR: a path alone is one in a bucket, as ModelArts has it. The
 * caller frees it. */
static char *source_of(const char *location)
{
    if (location[0] != '/' || location[1] == '/')
        return g_strdup(location);
    return g_strconcat("obs:/", location, NULL);
}

bool request_take_source(const Server *server, ImportRequest *import, const char *location,
                         GPtrArray *faults)
{
    g_autoptr(GPtrArray) wrong = request_faults_new();
    training_forget(import);
    g_free(import->source);
    import->source = source_of(location);
    training_resolve(server->settings, import, wrong);
    request_faults_take(wrong, faults);
    if (wrong->len)
        return true; /* a fault of its own */
    if (!sources_allow_location(server->settings, import))
        return false;
    if (g_str_has_prefix(import->source, FILE_SCHEME))
        memmove(import->source, import->source + strlen(FILE_SCHEME),
                strlen(import->source) - strlen(FILE_SCHEME) + 1);
    return true;
}

/* -- of a template -- */

static const RequestField TEMPLATE_FIELDS[] = {{"template_id", JSON_STRING, true},
                                               {"infer_format", JSON_STRING, false},
                                               {"template_inputs", JSON_ARRAY, false}};
static const RequestField INPUT_FIELDS[] = {{"input", JSON_STRING, true},
                                            {"input_id", JSON_STRING, false}};

/* The members' faults, each with the path of their object before it. */
static void check_object(const char *path, json_t *object, const RequestField *fields, size_t count,
                         GPtrArray *faults)
{
    g_autoptr(GPtrArray) wrong = g_ptr_array_new_with_free_func(g_free);
    if (!json_is_object(object)) {
        request_fault(faults, "%s must be an object", path);
        return;
    }
    request_fields_check(object, fields, count, wrong);
    for (guint i = 0; i < wrong->len; i++)
        request_fault(faults, "%s.%s", path, (const char *)wrong->pdata[i]);
}

/* Its one input; NULL: none is there, or a fault. Borrowed. */
static const json_t *input_of(const json_t *template, GPtrArray *faults)
{
    const json_t *inputs = json_object_get(template, "template_inputs");
    json_t *input = json_array_get(inputs, 0);
    if (json_array_size(inputs) > 1)
        request_fault(faults,
                      "template.template_inputs has %zu; expected one: an import has one "
                      "source",
                      json_array_size(inputs));
    if (input)
        check_object("template.template_inputs[0]", input, INPUT_FIELDS, G_N_ELEMENTS(INPUT_FIELDS),
                     faults);
    return input;
}

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

/* What is kept of it: the input is the request's source. */
static char *template_text(const json_t *template, const json_t *input)
{
    json_auto_t *kept =
        json_pack("{s:s, s:s*, s:s*}", "template_id", text_of(template, "template_id"),
                  "infer_format", text_of(template, "infer_format"), "input_id",
                  text_of(input, "input_id"));
    char *text = json_dumps(kept, JSON_COMPACT | JSON_SORT_KEYS);
    char *copy = g_strdup(text);
    free(text);
    return copy;
}

/* Some clients must send source_location, Terraform's provider: then it says the same, or all. */
char *request_template_take(const json_t *body, ImportRequest *import, GPtrArray *faults)
{
    json_t *template = json_object_get(body, "template");
    const char *location = text_of(body, "source_location");
    const guint before = faults->len;
    check_object("template", template, TEMPLATE_FIELDS, G_N_ELEMENTS(TEMPLATE_FIELDS), faults);
    const json_t *one = input_of(template, faults);
    const char *input = text_of(one, "input");
    if (!input && !location && faults->len == before)
        request_fault(faults, "template.template_inputs is missing");
    if (input && location && strcmp(input, location) != 0)
        request_fault(faults, "source_location is another than template.template_inputs[0].input; "
                              "leave it out, or say the same");
    if (faults->len != before)
        return NULL;
    import->template = template_text(template, one);
    return g_strdup(input ? input : location);
}
