#include "import/update.h"

#include <string.h>

#include "event/timeline.h"
#include "import/dependencies.h"
#include "import/pipeline.h"
#include "import/update_events.h"
#include "model/model.h"

/* An update belongs to no attempt, but for the rebuild that it begins. */
#define NO_ATTEMPT 0

/* -- the faults of what is asked for -- */

/* Only the paths of the package that the newest attempt saw: what a wheel is looked for in. NULL
 * with *error unset: none are known. */
static Package *package_known(Service *service, const Model *model, GError **error)
{
    g_autoptr(GError) failure = NULL;
    g_autoptr(DbRows) rows =
        db_query(service->db, error,
                 "SELECT path FROM files WHERE model_id = $1 AND attempt = $2 ORDER BY path", "si",
                 model->id, (int64_t)model->attempt);
    Package *package = NULL;
    while (rows && db_next(rows, &failure)) {
        if (!package) {
            package = g_new0(Package, 1);
            package->files = g_ptr_array_new_with_free_func((GDestroyNotify)package_file_free);
        }
        PackageFile *file = g_new0(PackageFile, 1);
        file->path = g_strdup(db_text(rows, 0));
        g_ptr_array_add(package->files, file);
    }
    if (failure)
        g_propagate_error(error, g_steal_pointer(&failure));
    return package;
}

static void package_forget(Package *package)
{
    if (package)
        g_ptr_array_unref(package->files);
    g_free(package);
}

static bool check_dependencies(Service *service, const Model *model, const ImportUpdate *update,
                               Findings *findings, GError **error)
{
    GError *failure = NULL;
    Package *package = package_known(service, model, &failure);
    const ImportRequest request = {.dependencies = (char *)update->dependencies,
                                   .dependencies_file = (char *)update->dependencies_file};
    if (!failure)
        dependencies_take(NULL, &request, model->type, package, findings);
    package_forget(package);
    if (failure)
        g_propagate_error(error, failure);
    return !failure;
}

bool import_update_check(Service *service, const Model *model, const ImportUpdate *update,
                         GPtrArray *faults, Findings *findings, GError **error)
{
    const char *rule = update->description ? model_rule_description(update->description) : NULL;
    if (rule)
        request_fault_add(faults, "description", update->description, rule);
    return !update->dependencies || check_dependencies(service, model, update, findings, error);
}

/* -- the update -- */

typedef struct {
    Service *service;
    Model *model; /* as it is now, within the transaction */
    const ImportUpdate *update;
    UpdateResult *result;
} Updating;

static bool append(Updating *updating, Event *event, int attempt, GError **error)
{
    g_autoptr(Event) owned = event;
    updating->result->submission.appended++;
    return timeline_append(updating->service->db, updating->model->id, attempt, "update", owned,
                           NULL, error);
}

static bool update_description(Updating *updating, GError **error)
{
    const char *new = updating->update->description;
    Model *model = updating->model;
    if (!new)
        return true;
    if (strcmp(new, model->description) == 0) {
        updating->result->description = UPDATE_SAME;
        return true;
    }
    updating->result->description = UPDATE_CHANGED;
    if (!model_set_description(updating->service->db, model->id, new, error) ||
        !append(updating, event_of_description(model->description, new, updating->update->actor),
                NO_ATTEMPT, error))
        return false;
    g_free(model->description);
    model->description = g_strdup(new);
    return true;
}

/* Whether there is an image that could be built anew, and nobody builds it. */
static bool can_rebuild(const Model *model, GError **error)
{
    const char *name = model->name, *version = model->version;
    if (strcmp(model->outcome, "running") == 0)
        g_set_error(error, IMPORT_ERROR, IMPORT_ERROR_BUILDING,
                    "%s:%s is %s (attempt %d): its dependencies can be changed when that has "
                    "ended; waybill wait %s:%s waits for it, waybill cancel %s:%s stops it",
                    name, version, model_status(model), model->attempt, name, version, name,
                    version);
    else if (!model->image_digest)
        g_set_error(error, IMPORT_ERROR, IMPORT_ERROR_CONFLICT,
                    "%s:%s was never imported: there is no image to rebuild; retry the import with "
                    "these dependencies: waybill retry %s:%s --dependencies FILE, or dependencies "
                    "in the body of POST .../retry",
                    name, version, name, version);
    else
        return true;
    return false;
}

/* What the model was asked to be made of: the attempt that its package was packed in last. A custom
 * image has none: neither has it dependencies. *request NULL with *error unset. */
static bool request_in_force(Updating *updating, ImportRequest **request, json_t **dependencies,
                             GError **error)
{
    int origin;
    Service *service = updating->service;
    const Model *model = updating->model;
    if (!rebuild_origin(service, model->id, &origin, error))
        return false;
    g_autoptr(Attempt) row =
        attempt_load(service->db, model->id, origin ? origin : model->attempt, error);
    *request = row ? import_request_from_json(row->request, error) : NULL;
    if (!*request)
        return false;
    *dependencies = dependencies_in_force(*request, row->config);
    return true;
}

static bool submit_rebuild(Updating *updating, ImportRequest *request, GError **error)
{
    const ImportUpdate *update = updating->update;
    const Model *model = updating->model;
    request->rebuild = true;
    g_clear_pointer(&request->from, g_free);
    request->no_cache = false;
    g_free(request->dependencies);
    request->dependencies = g_strdup(update->dependencies);
    g_free(request->dependencies_file);
    request->dependencies_file = g_strdup(update->dependencies_file);
    g_free(request->description);
    request->description = g_strdup(model->description);
    g_free(request->actor);
    request->actor = g_strdup(update->actor);
    return submit_attempt(updating->service, model->id, model->attempt + 1, request,
                          &updating->result->submission, error);
}

static bool update_dependencies(Updating *updating, GError **error)
{
    g_autoptr(ImportRequest) request = NULL;
    json_auto_t *old = NULL, *new = NULL;
    const ImportUpdate *update = updating->update;
    if (!update->dependencies)
        return true;
    if (!can_rebuild(updating->model, error) || !request_in_force(updating, &request, &old, error))
        return false;
    const ImportRequest asked = {.dependencies = (char *)update->dependencies};
    new = dependencies_in_force(&asked, NULL);
    json_auto_t *old_normal = dependencies_normal(old), *new_normal = dependencies_normal(new);
    if (json_equal(old_normal, new_normal)) {
        updating->result->dependencies = UPDATE_SAME;
        return append(updating, event_of_same_dependencies(old, new, update->actor), NO_ATTEMPT,
                      error);
    }
    updating->result->dependencies = UPDATE_CHANGED;
    int attempt = updating->model->attempt + 1;
    return submit_rebuild(updating, request, error) &&
           append(updating, event_of_dependencies(old, new, update->actor), attempt, error);
}

bool import_update(Service *service, const Model *model, const ImportUpdate *update,
                   UpdateResult *result, GError **error)
{
    g_autoptr(DbTransaction) transaction = db_transaction(service->db, error);
    g_autoptr(Model) now = transaction ? model_load(service->db, model->id, error) : NULL;
    if (!now)
        return false;
    Updating updating = {service, now, update, result};
    if (!update_description(&updating, error) || !update_dependencies(&updating, error))
        return false;
    bool rebuilds = result->submission.job != 0;
    return rebuilds ? submission_commit(service, &result->submission, error)
                    : db_commit(service->db, error);
}
