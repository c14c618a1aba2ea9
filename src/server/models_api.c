#include <string.h>

#include "base/clock.h"
#include "import/details.h"
#include "import/difference.h"
#include "server/api.h"
#include "server/idempotency.h"
#include "server/model_answer.h"
#include "store/model_search.h"
#include "store/runtimes.h"

#define PAGE_ITEMS     1000
#define CASCADE_MODELS 20

/* -- the list -- */

static bool read_order(const HttpRequest *request, ModelSearch *search, HttpReply *reply)
{
    static const char *const NAMES[] = {"create_at", "model_version", "model_size", "model_name"};
    const char *sort = http_query(request, "sort_by"), *order = http_query(request, "order");
    search->ascending = g_strcmp0(order, "asc") == 0;
    if (order && !search->ascending && strcmp(order, "desc") != 0) {
        *reply = http_error(MHD_HTTP_BAD_REQUEST, API_PARAMETER,
                            "order is \"%s\"; expected asc or desc", order);
        return false;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(NAMES); i++)
        if (!sort || strcmp(sort, NAMES[i]) == 0) {
            search->order = (ModelOrder)i;
            return true;
        }
    *reply = http_error(MHD_HTTP_BAD_REQUEST, API_PARAMETER,
                        "sort_by is \"%s\"; expected create_at, model_version, model_size or "
                        "model_name",
                        sort);
    return false;
}

static bool read_search(const HttpRequest *request, ModelSearch *search, HttpReply *reply)
{
    search->project = request->arguments[0];
    search->name = http_query(request, "model_name");
    search->name_exact = g_strcmp0(http_query(request, "exact_match"), "true") == 0;
    search->version = http_query(request, "model_version");
    search->status = http_query(request, "model_status");
    search->description = http_query(request, "description");
    search->type = http_query(request, "model_type");
    search->not_type = http_query(request, "not_model_type");
    search->owner = http_query(request, "owner");
    if (search->type && search->not_type) {
        *reply = http_error(MHD_HTTP_BAD_REQUEST, API_PARAMETER,
                            "model_type and not_model_type exclude each other");
        return false;
    }
    if (!read_order(request, search, reply) ||
        !api_flag(request, "deleted", &search->deleted, reply) ||
        !api_flag(request, "newest", &search->newest, reply) ||
        !api_number(request, "offset", 0, &search->offset, reply) ||
        !api_number(request, "limit", PAGE_ITEMS, &search->limit, reply))
        return false;
    search->limit = MIN(search->limit, PAGE_ITEMS);
    return true;
}

HttpReply models_list_items(HttpRequest *request)
{
    HttpReply reply;
    g_autoptr(GError) error = NULL;
    ModelSearch search = {0};
    int64_t total;
    Service *service = api_service(request, &reply);
    if (!service || !read_search(request, &search, &reply))
        return reply;
    g_autoptr(GPtrArray) models = models_search(service->db, &search, &total, &error);
    json_t *items = json_array();
    for (guint i = 0; models && !error && i < models->len; i++) {
        json_t *item = model_item(service, models->pdata[i], &error);
        json_t *progress =
            item ? progress_of(request->server->progress, service, models->pdata[i]) : NULL;
        if (progress)
            json_object_set_new(item, "progress", progress);
        if (item) {
            model_answer_complete(request, item);
            json_array_append_new(items, item);
        }
    }
    if (error) {
        json_decref(items);
        return api_failed(error);
    }
    return http_json(MHD_HTTP_OK,
                     json_pack("{s:I, s:I, s:o}", "total_count", (json_int_t)total, "count",
                               (json_int_t)json_array_size(items), "models", items));
}

/* -- one model -- */

HttpReply models_get(HttpRequest *request)
{
    HttpReply reply;
    g_autoptr(GError) error = NULL;
    g_autoptr(Model) model = NULL;
    Service *service = api_service(request, &reply);
    for (bool go_on = true; go_on;) {
        g_clear_pointer(&model, model_free);
        model = service ? api_model(request, service, &reply) : NULL;
        if (!model)
            return reply;
        go_on = strcmp(model->outcome, "running") == 0;
        if (go_on && api_wait(request, model->id, model->last_seq, &go_on, &reply))
            return reply;
    }
    json_t *details = model_details(service, model, &error);
    if (!details)
        return api_failed(error);
    model_answer_complete(request, details);
    json_t *progress = progress_of(request->server->progress, service, model);
    if (progress)
        json_object_set_new(details, "progress", progress);
    return http_json(MHD_HTTP_OK, details);
}

/* The attempts of the model that a number may name; false: *reply. */
static bool attempt_exists(const Model *model, int64_t attempt, HttpReply *reply)
{
    if (attempt >= 1 && attempt <= model->attempt)
        return true;
    *reply = http_error(MHD_HTTP_NOT_FOUND, API_PARAMETER, "%s:%s has attempts 1 to %d",
                        model->name, model->version, model->attempt);
    return false;
}

/* MODEL[@ATTEMPT] of the same project. *attempt 0: the newest. */
static Model *model_with_attempt(Service *service, const char *project, const char *text,
                                 int64_t *attempt, GError **error)
{
    guint64 number = 0;
    const char *at = strrchr(text, '@');
    g_autofree char *model = at ? g_strndup(text, (gsize)(at - text)) : g_strdup(text);
    if (at && !g_ascii_string_to_unsigned(at + 1, 10, 1, G_MAXINT32, &number, NULL))
        return NULL;
    *attempt = (int64_t)number;
    return model_find(service->db, project, model, error);
}

/* The model of `against`; without it the newest attempt before this one that worked. NULL with
 * *reply set, also when there is none. */
static Model *diff_other(HttpRequest *request, Service *service, const Model *model, int of_attempt,
                         int *attempt, HttpReply *reply)
{
    int64_t named = 0;
    g_autoptr(GError) error = NULL;
    g_autoptr(Model) other = NULL;
    bool found = false;
    const char *against = http_query(request, "against");
    if (against)
        other = model_with_attempt(service, model->project, against, &named, &error);
    else
        difference_baseline(service, model, of_attempt, &found, &other, attempt, &error);
    if (other && strcmp(other->project, model->project) != 0)
        g_clear_pointer(&other, model_free);
    if (error)
        *reply = api_failed(error);
    else if (!other && against)
        *reply = http_error(MHD_HTTP_NOT_FOUND, "ModelArts.3001", "there is no model %s", against);
    else if (!other)
        *reply =
            http_error(MHD_HTTP_NOT_FOUND, "ModelArts.3001",
                       "nothing of %s:%s worked before: name another with ?against=", model->name,
                       model->version);
    else if (against)
        *attempt = named ? (int)named : other->attempt;
    return !error && other && attempt_exists(other, *attempt, reply) ? g_steal_pointer(&other)
                                                                     : NULL;
}

HttpReply models_diff(HttpRequest *request)
{
    HttpReply reply;
    int other_attempt = 0;
    int64_t attempt;
    g_autoptr(GError) error = NULL;
    Service *service = api_service(request, &reply);
    g_autoptr(Model) model = service ? api_model(request, service, &reply) : NULL;
    if (!model || !api_number(request, "attempt", model->attempt, &attempt, &reply) ||
        !attempt_exists(model, attempt, &reply))
        return reply;
    g_autoptr(Model) other =
        diff_other(request, service, model, (int)attempt, &other_attempt, &reply);
    if (!other)
        return reply;
    g_autoptr(Difference) difference =
        difference_new(service, other, other_attempt, model, (int)attempt, &error);
    return difference ? http_json(MHD_HTTP_OK, difference_json(difference)) : api_failed(error);
}

/* Every version of the name, the asked one first; at most CASCADE_MODELS. */
static GPtrArray *models_to_delete(Service *service, Model *model, bool cascade, GError **error)
{
    GPtrArray *models = g_ptr_array_new_with_free_func((GDestroyNotify)model_free);
    g_ptr_array_add(models, model);
    if (!cascade)
        return models;
    const ModelSearch search = {.project = model->project,
                                .name = model->name,
                                .name_exact = true,
                                .limit = CASCADE_MODELS};
    int64_t total;
    g_autoptr(GPtrArray) versions = models_search(service->db, &search, &total, error);
    for (guint i = 0; versions && i < versions->len && models->len < CASCADE_MODELS; i++) {
        Model *version = versions->pdata[i];
        if (strcmp(version->id, model->id) != 0)
            g_ptr_array_add(models, g_steal_pointer(&versions->pdata[i]));
    }
    return models;
}

/* The client sees no path of the server's disk. */
static json_t *delete_failure(const Model *model, const GError *why)
{
    if (g_error_matches(why, IMPORT_ERROR, IMPORT_ERROR_IN_USE))
        return json_pack("{s:s, s:s, s:s}", "model_id", model->id, "error_code", "ModelArts.3009",
                         "error_msg", why->message);
    g_warning("%s:%s could not be deleted: %s", model->name, model->version, why->message);
    return json_pack("{s:s, s:s, s:s}", "model_id", model->id, "error_code", "ModelArts.0010",
                     "error_msg", "the server could not do this; its log says why");
}

HttpReply models_delete(HttpRequest *request)
{
    HttpReply reply;
    g_autoptr(GError) error = NULL;
    Service *service = api_service(request, &reply);
    Model *model = service ? api_model(request, service, &reply) : NULL;
    if (!model)
        return reply;
    bool cascade = g_strcmp0(http_query(request, "cascade"), "true") == 0;
    g_autoptr(GPtrArray) models = models_to_delete(service, model, cascade, &error);
    if (error)
        return api_failed(error);
    json_t *deleted = json_array(), *failed = json_array();
    for (guint i = 0; i < models->len; i++) {
        const Model *one = models->pdata[i];
        g_autoptr(GError) why = NULL;
        if (import_delete(service, one, request->actor, &why))
            json_array_append_new(deleted, json_string(one->id));
        else
            json_array_append_new(failed, delete_failure(one, why));
    }
    return http_json(MHD_HTTP_OK, json_pack("{s:o, s:o}", "delete_success_list", deleted,
                                            "delete_failed_list", failed));
}

HttpReply models_cancel(HttpRequest *request)
{
    HttpReply reply;
    bool running;
    g_autoptr(GError) error = NULL;
    Service *service = api_service(request, &reply);
    g_autoptr(Model) model = service ? api_model(request, service, &reply) : NULL;
    if (!model)
        return reply;
    if (!import_cancel(service, model, request->actor, &running, &error))
        return api_failed(error);
    return http_json(MHD_HTTP_OK,
                     json_pack("{s:s, s:b}", "model_id", model->id, "cancelled", running));
}

/* -- runtimes -- */

HttpReply runtimes_get(HttpRequest *request)
{
    HttpReply reply;
    g_autoptr(GError) error = NULL;
    Service *service = api_service(request, &reply);
    if (!service)
        return reply;
    g_autoptr(GPtrArray) runtimes = runtimes_list(service->db, &error);
    if (!runtimes)
        return api_failed(error);
    json_t *engines = json_object(), *items = json_array();
    for (guint i = 0; i < runtimes->len; i++) {
        const Runtime *runtime = runtimes->pdata[i];
        const char *engine = runtime->engine ? runtime->engine : "Custom";
        json_t *names = json_object_get(engines, engine);
        if (!names) {
            names = json_array();
            json_object_set_new(engines, engine, names);
            json_array_append_new(items,
                                  json_pack("{s:s, s:O}", "ai_engine", engine, "runtimes", names));
        }
        json_array_append_new(names, json_string(runtime->name));
    }
    json_decref(engines);
    int count = (int)json_array_size(items);
    return http_json(MHD_HTTP_OK, json_pack("{s:i, s:i, s:o}", "count", count, "total_count", count,
                                            "engine_runtimes", items));
}

/* -- health -- */

HttpReply health_get(HttpRequest *request)
{
    return http_json(MHD_HTTP_OK, json_pack("{s:s}", "status", "ok"));
}

HttpReply ready_get(HttpRequest *request)
{
    HttpReply reply;
    int64_t unused;
    g_autoptr(GError) error = NULL;
    Service *service = api_service(request, &reply);
    if (!service)
        return reply;
    if (!db_query_int(service->db, &unused, 0, &error, "SELECT 1", ""))
        return http_error(MHD_HTTP_SERVICE_UNAVAILABLE, "ModelArts.0010",
                          "the store does not answer");
    return http_json(MHD_HTTP_OK, json_pack("{s:s}", "status", "ready"));
}
