#include "server/request_fields.h"

#include <stdlib.h>
#include <string.h>

#include "event/evidence.h"
#include "server/api.h"
#include "store/runtimes.h"

#define MOST_FAULTS  50 /* that an answer names */
#define LONGEST_NAME 64 /* bytes of an unknown field's name that is repeated */

void request_fault(GPtrArray *faults, const char *format, ...)
{
    va_list arguments;
    if (faults->len > MOST_FAULTS)
        return;
    va_start(arguments, format);
    g_ptr_array_add(faults, faults->len < MOST_FAULTS ? g_strdup_vprintf(format, arguments)
                                                      : g_strdup("… and more"));
    va_end(arguments);
}

static const RequestField *field_find(const RequestField *fields, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(fields[i].field, name) == 0)
            return &fields[i];
    return NULL;
}

bool request_is_unset(const json_t *value)
{
    return !value || json_is_null(value) || (json_is_object(value) && !json_object_size(value)) ||
           (json_is_array(value) && !json_array_size(value));
}

static void unknown_field(GPtrArray *faults, const char *name)
{
    g_autofree char *shown = event_text(name);
    if (strlen(name) <= LONGEST_NAME)
        request_fault(faults, "%s is not a field of this version", shown);
    else
        request_fault(faults, "a name of %zu bytes is not a field of this version", strlen(name));
}

static bool is_of_type(const json_t *value, json_type type)
{
    return type == JSON_TRUE ? json_is_boolean(value) : json_typeof(value) == type;
}

void request_fields_check(json_t *body, const RequestField *fields, size_t count, GPtrArray *faults)
{
    const char *name;
    json_t *value;
    void *next;
    json_object_foreach_safe(body, next, name, value) if (json_is_null(value))
        json_object_del(body, name);
    for (size_t i = 0; i < count; i++) {
        value = json_object_get(body, fields[i].field);
        if (fields[i].mandatory && request_is_unset(value))
            request_fault(faults, "%s is missing", fields[i].field);
    }
    json_object_foreach (body, name, value) {
        const RequestField *field = field_find(fields, count, name);
        if (!field && !request_is_unset(value))
            unknown_field(faults, name);
        else if (field && !is_of_type(value, field->type))
            request_fault(faults, "%s must be %s", name,
                          field->type == JSON_STRING   ? "a string"
                          : field->type == JSON_ARRAY  ? "an array"
                          : field->type == JSON_OBJECT ? "an object"
                                                       : "true or false");
    }
}

HttpReply request_faults_reply(const char *code, GPtrArray *faults)
{
    g_ptr_array_add(faults, NULL);
    g_autofree char *all = g_strjoinv("; ", (char **)faults->pdata);
    json_t *details = json_array();
    for (guint i = 0; i + 1 < faults->len; i++)
        json_array_append_new(details, json_string(faults->pdata[i]));
    return http_json(MHD_HTTP_BAD_REQUEST, json_pack("{s:s, s:s, s:o}", "error_code", code,
                                                     "error_msg", all, "details", details));
}

char *request_text(const json_t *body, const char *field)
{
    return g_strdup(json_string_value(json_object_get(body, field)));
}

char *request_array(const json_t *body, const char *field)
{
    const json_t *value = json_object_get(body, field);
    if (!json_is_array(value))
        return NULL;
    char *text = json_dumps(value, JSON_COMPACT);
    char *copy = g_strdup(text);
    free(text);
    return copy;
}

/* -- findings -- */

/* Which of api.md's codes it is. */
static const char *code_of(const Event *event)
{
    const char *pointer = evidence_text(event->evidence, "pointer");
    if (g_strcmp0(event->kind, "syntax") == 0 || g_strcmp0(event->kind, "huggingface_config") == 0)
        return "ModelArts.3015";
    if (event->reason == EVENT_HealthCheckUrlInvalid || strstr(pointer, "health") == pointer + 1)
        return "ModelArts.3592";
    if (!g_str_has_suffix(pointer, "/restraint"))
        return "ModelArts.3016";
    return g_str_has_prefix(evidence_text(event->evidence, "expected"), "EXACT: apt")
               ? "ModelArts.3040"
               : "ModelArts.3041";
}

/* Of a text that is sent as text the place is told, of an array what leads to it. */
static char *place_of(const Event *event, const char *field)
{
    const char *file = evidence_text(event->evidence, "file");
    if (g_str_has_prefix(field, file))
        return g_strdup("");
    return g_strdup_printf("%s:%d:%d: ", file,
                           (int)json_integer_value(json_object_get(event->evidence, "line")),
                           (int)json_integer_value(json_object_get(event->evidence, "column")));
}

static void fault_of(const Event *event, GPtrArray *faults)
{
    const char *found = evidence_text(event->evidence, "found");
    const char *expected = evidence_text(event->evidence, "expected");
    const char *pointer = evidence_text(event->evidence, "pointer");
    const char *field = json_string_value(json_object_get(event->params, "parameter"));
    if (!field)
        field = *pointer == '/' ? pointer + 1 : pointer;
    g_autofree char *place = place_of(event, field);
    bool missing = g_strcmp0(event->kind, "missing") == 0;
    if (!*pointer) /* of the whole */
        request_fault(faults, "%sfound %s; expected %s", place, found, expected);
    else
        request_fault(faults, "%s%s is %s; expected %s", place, field, missing ? "missing" : found,
                      expected);
}

void request_findings(const Findings *findings, GPtrArray *faults, const char **code)
{
    for (guint i = 0; i < findings->events->len; i++) {
        const Event *event = findings->events->pdata[i];
        if (!event_is_fatal(event))
            continue;
        if (!*code)
            *code = code_of(event);
        fault_of(event, faults);
    }
}

bool request_config_findings(Service *service, const ImportRequest *request, GPtrArray *faults,
                             const char **code, GError **error)
{
    if (!request->config_text && !request->dependencies)
        return true;
    ImportRequest alone = *request;
    alone.source_path = NULL;
    alone.source = (char *)""; /* nothing is looked at there */
    g_autoptr(Findings) all = findings_new();
    g_autoptr(GPtrArray) runtimes = runtimes_list(service->db, error);
    if (!runtimes ||
        !import_check(service->settings, runtimes, &alone, NULL, all, NULL, NULL, NULL, error))
        return false;
    for (guint i = all->events->len; i > 0; i--)
        if (!import_request_brought(request, all->events->pdata[i - 1]))
            g_ptr_array_remove_index(all->events, i - 1);
    request_findings(all, faults, code);
    return true;
}
