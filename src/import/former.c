/* What the attempts before saw and did: a retry goes on where the last of them failed, as long as
 * package, config and runtime are what its closed stages saw (specification, "The order of
 * things").
 */
#include <string.h>

#include "image/layer.h"
#include "import/config_layer.h"
#include "import/dependencies.h"
#include "import/pipeline.h"
#include "import/scans.h"
#include "store/runtimes.h"

/* What a later attempt may take over, in their order. `build` is not: it makes nothing that is not
 * there already, and its answer is this attempt's own. */
static const char *const INHERITED[] = {"copy", "environment"};

/* The digest of the runtime's base image; NULL with *error unset: there is none. */
static char *base_digest(Import *import, GError **error)
{
    g_autoptr(Runtime) runtime =
        import->runtime ? runtime_find(import->service->db, import->runtime, error) : NULL;
    return runtime ? g_strdup(runtime->digest) : NULL;
}

json_t *former_note(Import *import, GError **error)
{
    g_autofree char *base = base_digest(import, error);
    return json_pack("{s:s*}", "base", base);
}

/* The base that a stage's result tells. */
static bool is_of_base(const char *result, const char *base)
{
    json_auto_t *note = json_loads(result, 0, NULL);
    return base && g_strcmp0(json_string_value(json_object_get(note, "base")), base) == 0;
}

/* Config.json's are compared with the rest of it: what may differ beside is what a request brings.
 */
static bool same_dependencies(Import *import, const Attempt *row, bool *same, GError **error)
{
    g_autoptr(ImportRequest) request = import_request_from_json(row->request, error);
    if (!request)
        return false;
    const char *text =
        import->config && import->config->document ? import->config->document->text : NULL;
    json_auto_t *was = dependencies_in_force(request, row->config),
                *is = dependencies_in_force(import->request, text);
    json_auto_t *was_normal = dependencies_normal(was), *is_normal = dependencies_normal(is);
    *same = json_equal(was_normal, is_normal);
    return true;
}

static bool was_dynamic(const Attempt *attempt)
{
    g_autoptr(ImportRequest) request = import_request_from_json(attempt->request, NULL);
    return request && request->dynamic;
}

static bool former_compare(Import *import, const char *listing, Former *former, GError **error)
{
    g_autoptr(GError) failure = NULL;
    g_autoptr(Attempt) row =
        attempt_load(import->service->db, import->model->id, former->attempt, error);
    g_autofree char *result =
        row ? stage_result(import->service->db, import->model->id, former->attempt, "check", error)
            : NULL;
    g_autofree char *base = result ? base_digest(import, &failure) : NULL;
    if (!result)
        return false;
    if (failure) {
        g_propagate_error(error, g_steal_pointer(&failure));
        return false;
    }
    const char *text =
        import->config && import->config->document ? import->config->document->text : NULL;
    former->same = g_strcmp0(row->listing, listing) == 0 && g_strcmp0(row->config, text) == 0 &&
                   g_strcmp0(row->runtime, import->runtime) == 0 &&
                   was_dynamic(row) == import->request->dynamic;
    former->same_base = is_of_base(result, base);
    return same_dependencies(import, row, &former->same_dependencies, error);
}

static bool layers_kept(Service *service, ImageRepository *images, const char *model_id,
                        int attempt, const char *origin, bool *kept, GError **error)
{
    g_autoptr(GPtrArray) rows = strcmp(origin, LAYER_ORIGIN_BLOB) == 0
                                    ? blobs_of(service->db, model_id, attempt, error)
                                    : layers_of(service->db, model_id, attempt, error);
    *kept = rows != NULL;
    for (guint i = 0; *kept && i < rows->len; i++) {
        const LayerRow *row = rows->pdata[i];
        if (strcmp(row->origin, origin) == 0 &&
            !image_repository_has_blob(images, row->digest, row->size, kept, error))
            return false;
    }
    return rows != NULL;
}

/* A registry is asked before the transaction, whatever it answers: nobody waits for it with the
 * store's lock. Of a layout it is looked at within, under the layout's lock. */
static bool ask_registry(Import *import, Former *former, GError **error)
{
    bool config = false, blobs = false;
    Service *service = import->service;
    const char *id = import->model->id;
    ImageRepository *images = import_images(import, error);
    g_autoptr(ImageRepository) environments =
        images ? image_repository_open(service->store, STORE_ENVIRONMENTS, error) : NULL;
    if (!environments ||
        !layers_kept(service, images, id, former->attempt, "model", &former->copied, error) ||
        !layers_kept(service, images, id, former->attempt, CONFIG_ORIGIN, &config, error) ||
        !layers_kept(service, images, id, former->attempt, LAYER_ORIGIN_BLOB, &blobs, error) ||
        !layers_kept(service, environments, id, former->attempt, "environment", &former->built,
                     error))
        return false;
    former->copied = former->copied && config && blobs;
    return true;
}

bool former_find(Import *import, const char *listing, Former *former, GError **error)
{
    int64_t attempt;
    *former = (Former){0};
    if (!import->package)
        return true;
    if (!db_query_int(import->service->db, &attempt, 0, error,
                      "SELECT max(attempt) FROM stages WHERE model_id = $1 AND attempt < $2 AND "
                      "stage = 'check'",
                      "si", import->model->id, (int64_t)import->job->attempt))
        return false;
    former->attempt = (int)attempt;
    if (!attempt)
        return true;
    return former_compare(import, listing, former, error) &&
           (!image_store_is_registry(import->service->store) || !former->same ||
            ask_registry(import, former, error));
}

bool former_layers_kept(Service *service, const char *model_id, int attempt, bool *kept,
                        GError **error)
{
    *kept = image_store_is_registry(service->store); /* which keeps what nobody deletes there */
    if (*kept)
        return true;
    /* A layout has one repository, whatever it is called. */
    g_autoptr(ImageRepository) images = image_repository_open(service->store, model_id, error);
    return images && layers_kept(service, images, model_id, attempt, "model", kept, error) &&
           (!*kept ||
            layers_kept(service, images, model_id, attempt, CONFIG_ORIGIN, kept, error)) &&
           (!*kept ||
            layers_kept(service, images, model_id, attempt, LAYER_ORIGIN_BLOB, kept, error));
}

static bool copy_holds(Import *import, const Former *former, GError **error)
{
    bool kept;
    if (image_store_is_registry(import->service->store))
        return former->copied;
    return former_layers_kept(import->service, import->model->id, former->attempt, &kept, error) &&
           kept;
}

static bool environment_holds(Import *import, const Former *former, GError **error)
{
    bool kept;
    if (image_store_is_registry(import->service->store))
        return former->built;
    ImageRepository *images = import_images(import, error);
    return images &&
           layers_kept(import->service, images, import->model->id, former->attempt, "environment",
                       &kept, error) &&
           kept;
}

/* *inherited: the former attempt closed the stage, and what it did still holds. */
static bool inherit_stage(Import *import, const Former *former, const char *stage, bool *inherited,
                          GError **error)
{
    Db *db = import->service->db;
    const char *id = import->model->id;
    g_autoptr(GError) failure = NULL;
    g_autofree char *result = stage_result(db, id, former->attempt, stage, &failure);
    g_autofree char *base = result ? base_digest(import, &failure) : NULL;
    bool holds = result != NULL;
    if (holds && !failure && strcmp(stage, "copy") == 0)
        holds = copy_holds(import, former, &failure) &&
                scans_let_in(import, former->attempt, &holds, &failure) && holds;
    else if (holds && !failure && former->same_dependencies && is_of_base(result, base) &&
             !import->request->no_cache)
        holds = environment_holds(import, former, &failure);
    else
        holds = false;
    *inherited = holds;
    if (failure) {
        g_propagate_error(error, g_steal_pointer(&failure));
        return false;
    }
    return !holds || attempt_inherit(db, id, former->attempt, import->job->attempt, stage, error);
}

bool former_inherit(Import *import, const Former *former, GError **error)
{
    const char *from = import->request->from;
    bool inherited = true;
    for (size_t i = 0; inherited && i < G_N_ELEMENTS(INHERITED); i++) {
        if (g_strcmp0(from, INHERITED[i]) == 0)
            return true;
        if (!inherit_stage(import, former, INHERITED[i], &inherited, error))
            return false;
        /* Of a copy that was not finished its layers count, where it would share the files out in
         * the same way: as many layers are left beside the base's. */
        if (!inherited && i == 0 && former->same_base &&
            !attempt_inherit_layers(import->service->db, import->model->id, former->attempt,
                                    import->job->attempt, error))
            return false;
    }
    return true;
}

char *former_layer(Import *import, const PackageFile *file, int64_t size, GError **error)
{
    const FileIdentity *identity = &file->identity;
    g_autoptr(DbRows) rows = db_query(
        import->service->db, error,
        "SELECT l.digest FROM layers l JOIN files f ON f.model_id = l.model_id AND "
        "f.attempt = l.attempt AND f.path = l.file WHERE l.model_id = $1 AND l.attempt < $2 AND "
        "l.origin = 'model' AND l.file = $3 AND l.size = $4 AND f.size = $5 AND f.device = $6 AND "
        "f.inode = $7 AND f.mtime_ns = $8 AND f.ctime_ns = $9 ORDER BY l.attempt DESC LIMIT 1",
        "sisiiiiii", import->model->id, (int64_t)import->job->attempt, file->path, size,
        identity->size, (int64_t)identity->device, (int64_t)identity->inode, identity->mtime_ns,
        identity->ctime_ns);
    return rows && db_next(rows, error) ? g_strdup(db_text(rows, 0)) : NULL;
}
