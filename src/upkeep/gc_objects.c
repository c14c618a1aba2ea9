#include "upkeep/gc_objects.h"

#include <string.h>

#include "object/own_store.h"

typedef struct {
    Service *service;
    OwnStore *store;
    bool dry_run;
    GcResult *result;
} Gc;

static bool look(gpointer data, const char *directory, GError **error)
{
    Gc *gc = data;
    int64_t deleted, bytes;
    if (!db_query_int(gc->service->db, &deleted, 0, error,
                      "SELECT count(*) FROM models WHERE project || '/' || id = $1 AND deleted_at "
                      "IS NOT NULL",
                      "s", directory))
        return false;
    if (!deleted)
        return true;
    if (!own_store_remove(gc->store, directory, gc->dry_run, &bytes, error))
        return false;
    gc->result->copies++;
    gc->result->copy_bytes += bytes;
    return true;
}

bool gc_objects(Service *service, bool dry_run, GcResult *result, GError **error)
{
    if (!own_store_is_set(service->settings))
        return true;
    g_autoptr(OwnStore) store = own_store_open(service->settings, &service->progress, error);
    Gc gc = {service, store, dry_run, result};
    g_autoptr(GError) failure = NULL;
    if (!store)
        return false;
    if (own_store_models(store, look, &gc, &failure) ||
        g_error_matches(failure, S3_ERROR, S3_ERROR_NO_BUCKET)) /* nothing was imported yet */
        return true;
    g_propagate_error(error, g_steal_pointer(&failure));
    return false;
}
