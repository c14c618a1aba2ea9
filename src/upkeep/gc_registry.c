#include "upkeep/gc_registry.h"

#include "image/reference.h"
#include "image/registry_push.h"

typedef struct {
    char *project, *name;             /* of the model */
    char *repository;                 /* in the store of images */
    char *manifest, *artifact, *pack; /* digests; the latter two may be NULL */
} Garbage;

static void garbage_free(Garbage *garbage)
{
    g_free(garbage->project);
    g_free(garbage->name);
    g_free(garbage->repository);
    g_free(garbage->manifest);
    g_free(garbage->artifact);
    g_free(garbage->pack);
    g_free(garbage);
}

/* By repository. What a version has that was not deleted stays, whoever else had it. */
static GPtrArray *garbage_list(Db *db, GError **error)
{
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func((GDestroyNotify)garbage_free);
    g_autoptr(DbRows) rows = db_query(
        db, error,
        "SELECT DISTINCT m.project, m.name, a.image_digest, a.artifact_digest, a.pack_digest FROM "
        "attempts a JOIN "
        "models m ON m.id = a.model_id WHERE m.deleted_at IS NOT NULL AND a.image_removed = 0 AND "
        "a.image_digest IS NOT NULL AND NOT EXISTS (SELECT 1 FROM attempts b JOIN models n ON "
        "n.id = b.model_id WHERE n.project = m.project AND n.name = m.name AND n.deleted_at IS "
        "NULL AND b.image_digest = a.image_digest) ORDER BY 1, 2, 3, 4",
        "");
    GError *failure = NULL;
    while (rows && db_next(rows, &failure)) {
        Garbage *garbage = g_new0(Garbage, 1);
        *garbage = (Garbage){.project = g_strdup(db_text(rows, 0)),
                             .name = g_strdup(db_text(rows, 1)),
                             .repository = reference_repository(db_text(rows, 0), db_text(rows, 1)),
                             .manifest = g_strdup(db_text(rows, 2)),
                             .artifact = g_strdup(db_text(rows, 3)),
                             .pack = g_strdup(db_text(rows, 4))};
        g_ptr_array_add(list, garbage);
    }
    if (failure)
        g_propagate_error(error, failure);
    return rows && !failure ? g_steal_pointer(&list) : NULL;
}

/* What refers to the image first: where that stays the image does, for the next time. */
static bool delete_there(Service *service, const Garbage *garbage, bool *refused, GError **error)
{
    g_autoptr(ImageRepository) images =
        image_repository_open(service->store, garbage->repository, error);
    Registry *registry = images ? image_repository_registry(images) : NULL;
    return registry &&
           (!garbage->artifact ||
            registry_delete_manifest(registry, garbage->artifact, refused, error)) &&
           (*refused || !garbage->pack ||
            registry_delete_manifest(registry, garbage->pack, refused, error)) &&
           (*refused || registry_delete_manifest(registry, garbage->manifest, refused, error));
}

static bool note_deleted(Service *service, const Garbage *garbage, GError **error)
{
    return db_exec(service->db, error,
                   "UPDATE attempts SET image_removed = 1 WHERE image_digest = $3 AND model_id IN "
                   "(SELECT id FROM models WHERE project = $1 AND name = $2 AND deleted_at IS NOT "
                   "NULL)",
                   "sss", garbage->project, garbage->name, garbage->manifest);
}

bool gc_registry(Service *service, bool dry_run, GcResult *result, GError **error)
{
    g_autoptr(GPtrArray) list = garbage_list(service->db, error);
    for (guint i = 0; list && i < list->len && !result->refused; i++) {
        const Garbage *garbage = list->pdata[i];
        if (!dry_run && !delete_there(service, garbage, &result->refused, error))
            return false;
        if (!dry_run && !result->refused && !note_deleted(service, garbage, error))
            return false;
        result->images += !result->refused;
    }
    return list != NULL;
}
