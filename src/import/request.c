#include "import/request.h"

#include <gio/gio.h>
#include <stdlib.h>
#include <string.h>

#include "base/settings.h"
#include "event/finding.h"
#include "image/reference.h"
#include "model/config.h"
#include "model/model.h"
#include "model/model_template.h"
#include "object/s3_address.h"
#include "store/models.h"
#include "store/uploads.h"

ImportRequest *import_request_new(void)
{
    return g_new0(ImportRequest, 1);
}

/* Every field of text, once: freeing, writing and reading go through this table. */
static const struct {
    const char *key;
    size_t offset;
} FIELDS[] = {
    {"source", offsetof(ImportRequest, source)},
    {"source_path", offsetof(ImportRequest, source_path)},
    {"child", offsetof(ImportRequest, child)},
    {"project", offsetof(ImportRequest, project)},
    {"name", offsetof(ImportRequest, name)},
    {"version", offsetof(ImportRequest, version)},
    {"type", offsetof(ImportRequest, type)},
    {"runtime", offsetof(ImportRequest, runtime)},
    {"platform", offsetof(ImportRequest, platform)},
    {"description", offsetof(ImportRequest, description)},
    {"config_text", offsetof(ImportRequest, config_text)},
    {"config_file", offsetof(ImportRequest, config_file)},
    {"dependencies", offsetof(ImportRequest, dependencies)},
    {"dependencies_file", offsetof(ImportRequest, dependencies_file)},
    {"attributes", offsetof(ImportRequest, attributes)},
    {"template", offsetof(ImportRequest, template)},
    {"training", offsetof(ImportRequest, training)},
    {"actor", offsetof(ImportRequest, actor)},
    {"asked_over", offsetof(ImportRequest, asked_over)},
    {"from", offsetof(ImportRequest, from)},
};

static char **field_of(const ImportRequest *request, size_t i)
{
    return (char **)((char *)request + FIELDS[i].offset);
}

void import_request_free(ImportRequest *request)
{
    if (!request)
        return;
    g_free(request->upload_worker);
    for (size_t i = 0; i < G_N_ELEMENTS(FIELDS); i++)
        g_free(*field_of(request, i));
    s3_credentials_free(request->keys);
    g_free(request);
}

char *import_request_to_json(const ImportRequest *request)
{
    json_t *object = json_object();
    for (size_t i = 0; i < G_N_ELEMENTS(FIELDS); i++) {
        const char *value = *field_of(request, i);
        if (value)
            json_object_set_new(object, FIELDS[i].key, json_string(value));
    }
    if (request->rebuild)
        json_object_set_new(object, "rebuild", json_true());
    if (request->no_cache)
        json_object_set_new(object, "no_cache", json_true());
    if (request->dynamic)
        json_object_set_new(object, "dynamic", json_true());
    if (request->verify)
        json_object_set_new(object, "verify", json_true());
    if (request->dereference)
        json_object_set_new(object, "dereference", json_true());
    char *text = json_dumps(object, JSON_COMPACT);
    json_decref(object);
    return text;
}

ImportRequest *import_request_from_json(const char *text, GError **error)
{
    json_error_t fault;
    json_t *object = json_loads(text, JSON_REJECT_DUPLICATES, &fault);
    if (!json_is_object(object)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                    "the store's request of an attempt: %s", fault.text);
        json_decref(object);
        return NULL;
    }
    ImportRequest *request = import_request_new();
    for (size_t i = 0; i < G_N_ELEMENTS(FIELDS); i++)
        *field_of(request, i) = g_strdup(json_string_value(json_object_get(object, FIELDS[i].key)));
    request->rebuild = json_is_true(json_object_get(object, "rebuild"));
    request->no_cache = json_is_true(json_object_get(object, "no_cache"));
    request->dynamic = json_is_true(json_object_get(object, "dynamic"));
    request->verify = json_is_true(json_object_get(object, "verify"));
    request->dereference = json_is_true(json_object_get(object, "dereference"));
    json_decref(object);
    return request;
}

char *import_request_directory(const ImportRequest *request, const char *directory)
{
    if (g_path_is_absolute(directory) || import_request_is_reference(request))
        return g_strdup(directory);
    return g_build_filename(request->source_path, directory, NULL);
}

char *import_request_attribute(const ImportRequest *request, const char *key)
{
    json_auto_t *all = request->attributes ? json_loads(request->attributes, 0, NULL) : NULL;
    return g_strdup(json_string_value(json_object_get(all, key)));
}

void import_request_set_attribute(ImportRequest *request, const char *key, const char *value)
{
    json_auto_t *all = request->attributes ? json_loads(request->attributes, 0, NULL) : NULL;
    json_auto_t *now = all ? json_incref(all) : json_object();
    if (value)
        json_object_set_new(now, key, json_string(value));
    else
        json_object_del(now, key);
    char *text = json_dumps(now, JSON_COMPACT | JSON_SORT_KEYS);
    g_free(request->attributes);
    request->attributes = g_strdup(text);
    free(text);
}

bool import_request_is_training(const ImportRequest *request)
{
    return g_str_has_prefix(request->source, TRAINING_SCHEME);
}

bool import_request_is_reference(const ImportRequest *request)
{
    return !request->source_path && !import_request_upload(request) &&
           !import_request_is_bucket(request) && !import_request_is_training(request);
}

bool import_request_is_bucket(const ImportRequest *request)
{
    return !request->source_path && s3_address_is_meant(request->source);
}

const char *import_request_upload(const ImportRequest *request)
{
    return g_str_has_prefix(request->source, UPLOAD_SCHEME)
               ? request->source + strlen(UPLOAD_SCHEME)
               : NULL;
}

bool import_request_brought(const ImportRequest *request, const Event *finding)
{
    const char *file = json_string_value(json_object_get(finding->evidence, "file"));
    return file && event_is_fatal(finding) && g_strcmp0(finding->kind, "no_runtime") != 0 &&
           (g_strcmp0(file, request->config_file) == 0 ||
            g_strcmp0(file, request->dependencies_file) == 0);
}

void request_fault_free(RequestFault *fault)
{
    if (!fault)
        return;
    g_free(fault->field);
    g_free(fault->message);
    g_free(fault);
}

void request_fault_say(GPtrArray *faults, const char *field, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    RequestFault *fault = g_new0(RequestFault, 1);
    fault->field = g_strdup(field);
    fault->message = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_ptr_array_add(faults, fault);
}

static void check_reference(const ImportRequest *request, GPtrArray *faults)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Reference) reference = reference_parse(request->source, &error);
    if (!reference)
        request_fault_say(faults, "source", "%s", error->message);
}

static void check_bucket(const ImportRequest *request, GPtrArray *faults)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(S3Address) address = s3_address_parse(request->source, &error);
    if (!address)
        request_fault_say(faults, "source", "%s", error->message);
}

/* With --type Image an existing directory is a package, anything else a reference; else it must be
 * a directory. */
static void check_source(ImportRequest *request, GPtrArray *faults)
{
    bool is_image = g_strcmp0(request->type, "Image") == 0;
    if (!g_utf8_validate(request->source, -1, NULL)) {
        request_fault_say(faults, "source", "the path is not UTF-8");
        return;
    }
    if (s3_address_is_meant(request->source)) {
        check_bucket(request, faults);
        return;
    }
    if (import_request_is_training(request))
        return; /* asked of a server, or a fault already (training.h) */
    const char *upload = import_request_upload(request);
    if (upload) {
        if (!request->of_server)
            request_fault_say(faults, "source",
                              "%s is an upload: only a server has those; give a directory",
                              request->source);
        else if (!upload_id_is_valid(upload))
            request_fault_say(faults, "source",
                              "\"%s\"; expected " UPLOAD_SCHEME "ID, the upload_id that "
                              "the upload began with",
                              request->source);
        return;
    }
    if (g_file_test(request->source, G_FILE_TEST_IS_DIR))
        request->source_path = g_canonicalize_filename(request->source, NULL);
    else if (is_image)
        check_reference(request, faults);
    else if (g_str_has_prefix(request->source, "oci:"))
        request_fault_say(faults, "source", "%s is an image reference: add --type Image",
                          request->source);
    else if (g_file_test(request->source, G_FILE_TEST_EXISTS))
        request_fault_say(faults, "source", "%s is not a directory; expected one that holds %s/",
                          request->source, PACKAGE_DEFAULT_CHILD);
    else
        request_fault_say(faults, "source", "there is no directory %s", request->source);
}

/* A folder's last part; of an image its repository's or its layout's; of a training job's output,
 * whose last part says "output" or the like, what it is asked for by. */
static char *name_of_source(const ImportRequest *request)
{
    if (request->training || import_request_is_training(request)) {
        const char *asked = request->training ? request->training : request->source;
        g_autofree char *last = g_path_get_basename(asked + strlen(TRAINING_SCHEME));
        return model_name_from(last);
    }
    if (request->source_path) {
        g_autofree char *last = g_path_get_basename(request->source_path);
        return model_name_from(last);
    }
    g_autoptr(S3Address) address =
        import_request_is_bucket(request) ? s3_address_parse(request->source, NULL) : NULL;
    if (address) {
        g_autofree char *last = g_path_get_basename(address->prefix);
        return model_name_from(*address->prefix ? last : address->bucket);
    }
    g_autoptr(Reference) reference = reference_parse(request->source, NULL);
    const char *path = request->source;
    if (import_request_upload(request))
        return g_strdup("upload"); /* of a check: an import says its name */
    if (reference)
        path = reference->kind == REFERENCE_LAYOUT ? reference->directory : reference->repository;
    g_autofree char *last = g_path_get_basename(path);
    return model_name_from(last);
}

static void check_child(const char *child, GPtrArray *faults)
{
    g_auto(GStrv) parts = g_strsplit(child, "/", -1);
    if (!*child || *child == '/' || g_strv_contains((const char *const *)parts, "..") ||
        !g_utf8_validate(child, -1, NULL))
        request_fault_say(
            faults, "child",
            "\"%s\"; expected a directory beneath SOURCE, such as %s, or . for SOURCE itself",
            child, PACKAGE_DEFAULT_CHILD);
}

void request_fault_add(GPtrArray *faults, const char *field, const char *value, const char *rule)
{
    g_autofree char *shown = event_text(value);
    request_fault_say(faults, field, "\"%s\"; expected %s", shown, rule);
}

static void check_rule(GPtrArray *faults, const char *field, const char *value, const char *rule)
{
    if (rule)
        request_fault_add(faults, field, value, rule);
}

static void check_type(const ImportRequest *request, GPtrArray *faults)
{
    const char *type = request->type;
    const bool is_template = strcmp(type, TEMPLATE_TYPE) == 0;
    if (config_is_model_type(type) || (is_template && request->template))
        return; /* one that could not be applied is a fault already */
    if (is_template) {
        request_fault_say(faults, "type", "\"" TEMPLATE_TYPE "\" needs a template");
        return;
    }
    g_autofree char *types = g_strjoinv(", ", (char **)CONFIG_MODEL_TYPES);
    g_autofree char *shown = event_text(type);
    request_fault_say(faults, "type", "\"%s\"; expected one of %s", shown, types);
}

static void check_platform(const char *platform, GPtrArray *faults)
{
    if (settings_is_platform(platform))
        return;
    g_autofree char *shown = event_text(platform);
    request_fault_say(faults, "platform",
                      "\"%s\"; expected os/architecture, such as linux/amd64 or linux/arm64",
                      shown);
}

GPtrArray *request_faults_new(void)
{
    return g_ptr_array_new_with_free_func((GDestroyNotify)request_fault_free);
}

void import_request_check(ImportRequest *request, GPtrArray *faults)
{
    g_free(g_steal_pointer(&request->source_path));
    check_source(request, faults);
    if (!request->project)
        request->project = g_strdup(PROJECT_DEFAULT);
    if (!request->child)
        request->child = g_strdup(PACKAGE_DEFAULT_CHILD);
    check_child(request->child, faults);
    if (!request->name)
        request->name = name_of_source(request);
    check_rule(faults, "name", request->name, model_rule_name(request->name));
    check_rule(faults, "project", request->project, model_rule_name(request->project));
    if (request->version)
        check_rule(faults, "version", request->version, model_rule_version(request->version));
    if (!request->description)
        request->description = g_strdup("");
    check_rule(faults, "description", request->description,
               model_rule_description(request->description));
    if (request->type)
        check_type(request, faults);
    if (request->platform)
        check_platform(request->platform, faults);
}
