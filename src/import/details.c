#include "import/details.h"

#include <string.h>

#include "event/evidence.h"
#include "event/timeline.h"
#include "import/config_layer.h"
#include "import/dependencies.h"
#include "import/environment.h"
#include "model/model_template.h"

static void copy_members(json_t *to, const json_t *from, const char *const *keys)
{
    for (; *keys; keys++)
        if (json_object_get(from, *keys))
            json_object_set(to, *keys, json_object_get(from, *keys));
}

static json_t *essentials_of(const json_t *event)
{
    static const char *const KEYS[] = {"seq",        "occur_time",    "event_type", "reason",
                                       "event_info", "event_info_cn", NULL};
    json_t *essentials = json_object();
    copy_members(essentials, event, KEYS);
    return essentials;
}

json_t *event_essentials(const char *event)
{
    json_t *object = json_loads(event, 0, NULL);
    json_t *essentials = object ? essentials_of(object) : json_null();
    json_decref(object);
    return essentials;
}

/* Where a person reads about it: the console's page of the event, where the house says its address.
 */
static void set_url(json_t *failure, const Service *service, const Model *model, int64_t seq)
{
    const char *base = settings_text(service->settings, "server.public_url");
    if (!*base)
        return;
    g_autofree char *project = g_uri_escape_string(model->project, NULL, false);
    g_autofree char *url =
        g_strdup_printf("%s%s#/%s/models/%s/events/%" G_GINT64_FORMAT, base,
                        g_str_has_suffix(base, "/") ? "" : "/", project, model->id, (gint64)seq);
    json_object_set_new(failure, "url", json_string(url));
}

/* Of a failed model: the event that ImportFailed names as its cause. */
static json_t *failure_of(Service *service, const Model *model, const json_t *last, GError **error)
{
    int64_t cause = json_integer_value(json_object_get(last, "cause"));
    if (strcmp(model->outcome, "failed") != 0 || !cause)
        return NULL;
    g_autofree char *text = timeline_event(service->db, model->id, cause, error);
    if (!text)
        return NULL;
    json_t *event = json_loads(text, 0, NULL);
    static const char *const KEYS[] = {"reason",     "kind",       "summary",
                                       "summary_cn", "event_info", "event_info_cn",
                                       "fix_by",     "retryable",  NULL};
    json_t *failure = json_pack("{s:I}", "seq", (json_int_t)cause);
    copy_members(failure, event, KEYS);
    set_url(failure, service, model, cause);
    g_autofree char *place = evidence_place(json_object_get(event, "evidence"), true);
    if (*place)
        json_object_set_new(failure, "place", json_string(place));
    json_decref(event);
    return failure;
}

/* The cause as a whole, and the seq of every one: who reads the details can explain the failure
 * without asking for the timeline. */
static void set_causes(Service *service, const Model *model, json_t *failure, GError **error)
{
    const int64_t cause = json_integer_value(json_object_get(failure, "seq"));
    g_autofree char *text = timeline_event(service->db, model->id, cause, error);
    g_autofree char *end = text ? timeline_last(service->db, model->id, error) : NULL;
    json_auto_t *last = end ? json_loads(end, 0, NULL) : NULL;
    json_t *causes = json_object_get(last, "causes");
    if (!last)
        return;
    json_object_set_new(failure, "event", json_loads(text, 0, NULL));
    json_object_set_new(failure, "causes",
                        causes ? json_incref(causes) : json_pack("[I]", (json_int_t)cause));
}

/* As the original calls what an import failed of (specification, api.md, "Codes"). */
static const char *error_code_of(const json_t *failure)
{
    const char *reason = json_string_value(json_object_get(failure, "reason"));
    const CatalogRow *row = reason ? catalog_find(reason) : NULL;
    switch (row ? row->number : 0) {
    case 11:
        return "ModelArts.3043";
    case 10:
    case 41:
        return "ModelArts.3044";
    default:
        return "ModelArts.3006";
    }
}

/* A folder as the API takes it, and a training job's output as it was asked for, so that who reads
 * it back finds what was written. */
static json_t *source_location(const ImportRequest *request)
{
    if (request->training)
        return json_string(request->training);
    const bool is_folder = request->source_path && *request->source == '/';
    return json_sprintf("%s%s", is_folder ? "file://" : "", request->source);
}

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

/* As it is asked for, the source its input; takes that over. What was kept before input_id was has
 * the input of then. */
static json_t *template_shown(const json_t *asked, json_t *source)
{
    const json_t *input = json_array_get(json_object_get(asked, "template_inputs"), 0);
    const char *id = text_of(input ? input : asked, "input_id");
    return json_pack("{s:s*, s:s*, s:[{s:s*, s:o}]}", "template_id", text_of(asked, "template_id"),
                     "infer_format", text_of(asked, "infer_format"), "template_inputs", "input_id",
                     id, "input", source);
}

/* model_type as it was asked for: clients that compare the two would take an import of a template
 * for a changed one. What the template made of it is the engine. */
static void set_template(json_t *item, const ImportRequest *request, const Model *model)
{
    json_auto_t *asked = request->template ? json_loads(request->template, 0, NULL) : NULL;
    if (!asked)
        return;
    json_object_set_new(item, "template", template_shown(asked, source_location(request)));
    json_object_set_new(item, "model_type", json_string(TEMPLATE_TYPE));
    if (model->type)
        json_object_set_new(item, "engine", json_string(model->type));
}

json_t *model_item(Service *service, const Model *model, GError **error)
{
    g_autoptr(Attempt) attempt = attempt_load(service->db, model->id, model->attempt, error);
    g_autoptr(ImportRequest) request =
        attempt ? import_request_from_json(attempt->request, error) : NULL;
    if (!request)
        return NULL;
    json_t *item =
        json_pack("{s:s, s:s, s:s, s:s?, s:I, s:s, s:s, s:s, s:s, s:s, s:I, s:s, s:s, s:[s], s:s, "
                  "s:b, s:b, s:b, s:s, s:{}, s:i}",
                  "model_id", model->id, "model_name", model->name, "model_version", model->version,
                  "model_type", model->type, "model_size", (json_int_t)MAX(model->size, 0),
                  "model_status", model_status(model), "description", model->description, "tenant",
                  model->project, "project", model->project, "owner", model->owner, "create_at",
                  (json_int_t)model->created_at, "source_type", "auto", "model_source", "custom",
                  "install_type", "real-time", "workspace_id", "0", "market_flag", 0, "tunable", 0,
                  "publishable_flag", 0, "source_copy", "true", "specification", "attempt",
                  model->attempt);
    json_object_set_new(item, "source_location", source_location(request));
    set_template(item, request, model);
    g_autofree char *text = timeline_last(service->db, model->id, error);
    json_t *last = text ? json_loads(text, 0, NULL) : NULL;
    json_t *failure = last ? failure_of(service, model, last, error) : NULL;
    if (failure)
        json_object_set_new(item, "failure", failure);
    json_object_set_new(item, "last_event", last ? essentials_of(last) : json_null());
    json_decref(last);
    if (model->deleted_at)
        json_object_update_new(item,
                               json_pack("{s:I, s:s?}", "deleted_at", (json_int_t)model->deleted_at,
                                         "deleted_by", model->deleted_by));
    return item;
}

/* The attempt whose image is the model's: a rebuild's is it once it has worked. */
static int image_attempt(Service *service, const Model *model, GError **error)
{
    int64_t attempt = 0;
    db_query_int(service->db, &attempt, 0, error,
                 "SELECT max(attempt) FROM attempts WHERE model_id = $1 AND outcome = 'imported'",
                 "s", model->id);
    return (int)attempt;
}

static json_t *layers_json(Service *service, const char *model_id, int attempt, GError **error)
{
    g_autoptr(GPtrArray) layers = layers_of(service->db, model_id, attempt, error);
    json_t *array = json_array();
    for (guint i = 0; layers && i < layers->len; i++) {
        const LayerRow *row = layers->pdata[i];
        json_t *layer = json_pack("{s:s, s:I, s:s, s:s, s:I}", "digest", row->digest, "size",
                                  (json_int_t)row->size, "media_type", row->media_type, "origin",
                                  strcmp(row->origin, CONFIG_ORIGIN) == 0 ? "model" : row->origin,
                                  "files", (json_int_t)row->files);
        if (row->file)
            json_object_set_new(layer, "file", json_string(row->file));
        json_array_append_new(array, layer);
    }
    return array;
}

/* A member of config.json as the original sends it: some as values, some as a string that holds
 * JSON. */
static void set_from_config(json_t *details, const char *key, const json_t *config,
                            const char *member, bool as_text)
{
    json_t *value = json_object_get(config, member);
    if (value && as_text) {
        char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
        json_object_set_new(details, key, json_string(text));
        free(text);
    } else if (value) {
        json_object_set(details, key, value);
    }
}

static void set_config(json_t *details, const Attempt *attempt)
{
    static const struct {
        const char *key, *member;
        bool as_text;
    } MEMBERS[] = {{"model_algorithm", "model_algorithm", false},
                   {"apis", "apis", true},
                   {"model_metrics", "metrics", true},
                   {"health", "health", false}};
    if (!attempt->config)
        return;
    json_t *config = json_loads(attempt->config, 0, NULL);
    for (size_t i = 0; config && i < G_N_ELEMENTS(MEMBERS); i++)
        set_from_config(details, MEMBERS[i].key, config, MEMBERS[i].member, MEMBERS[i].as_text);
    json_object_set_new(details, "config", json_string(attempt->config));
    json_decref(config);
}

static bool set_image(Service *service, json_t *details, const Model *model, GError **error)
{
    int attempt = image_attempt(service, model, error);
    json_object_set_new(details, "layers",
                        layers_json(service, model->id, attempt ? attempt : model->attempt, error));
    if (!attempt)
        return true;
    g_autoptr(Attempt) row = attempt_load(service->db, model->id, attempt, error);
    if (!row)
        return false;
    g_autofree char *address =
        service_image_address(service, model->project, model->name, model->version);
    json_object_set_new(details, "image_address", json_string(address));
    json_object_set_new(details, "image_digest", json_string(row->image_digest));
    json_object_set_new(details, "image_size", json_integer(row->image_size));
    return true;
}

/* What a program sent along, as it was sent; its apis in the place of config.json's. */
static void set_attributes(json_t *details, const ImportRequest *request, const Attempt *attempt)
{
    json_auto_t *attributes = request->attributes ? json_loads(request->attributes, 0, NULL) : NULL;
    if (attributes)
        json_object_update(details, attributes);
    json_object_del(details, "apis");
    set_config(details, attempt);
    if (attributes)
        set_from_config(details, "apis", attributes, "apis", true);
}

json_t *model_details(Service *service, const Model *model, GError **error)
{
    g_autoptr(Attempt) attempt = attempt_load(service->db, model->id, model->attempt, error);
    g_autoptr(ImportRequest) request =
        attempt ? import_request_from_json(attempt->request, error) : NULL;
    json_t *details = request ? model_item(service, model, error) : NULL;
    if (!details)
        return NULL;
    if (attempt->runtime)
        json_object_set_new(details, "runtime", json_string(attempt->runtime));
    if (request->training)
        json_object_set_new(details, "resolved_location", json_string(request->source));
    json_t *failure = json_object_get(details, "failure");
    if (failure) {
        json_object_set_new(details, "error_code", json_string(error_code_of(failure)));
        set_causes(service, model, failure, error);
    }
    /* Of the original, and always empty here. */
    json_object_update_new(details,
                           json_pack("{s:s, s:[], s:s}", "schema_doc", "", "labels", "cmd", ""));
    json_object_set_new(details, "input_params", json_array());
    json_object_set_new(details, "output_params", json_array());
    set_attributes(details, request, attempt);
    if (request->dynamic || json_object_get(details, "load_mode")) /* a retry may change it */
        json_object_set_new(details, "load_mode",
                            json_string(request->dynamic ? "dynamic" : "packed"));
    json_object_set_new(details, "dependencies", dependencies_in_force(request, attempt->config));
    json_t *packages = environment_packages(service->db, model->id, model->attempt, NULL);
    if (packages)
        json_object_set_new(details, "packages", packages);
    if (set_image(service, details, model, error))
        return details;
    json_decref(details);
    return NULL;
}
