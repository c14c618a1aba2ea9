#include "import/tags.h"

#include "base/clock.h"
#include "import/pipeline.h"
#include "store/models.h"

/* A connection that a paused worker had open lives on no longer than that. */
#define LATE_MS INT64_C(3600000)

#define TRIES 3

typedef struct {
    char *digest, *media_type; /* of the manifest; digest NULL: it has none */
    int64_t size;
} Tagged;

static void tagged_clear(Tagged *tagged)
{
    g_free(tagged->digest);
    g_free(tagged->media_type);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Tagged, tagged_clear)

/* As index.json of a layout has it. */
static bool tagged_read(Db *db, const char *model_id, Tagged *tagged, GError **error)
{
    GError *failure = NULL;
    g_autoptr(DbRows) rows =
        db_query(db, error,
                 "SELECT a.image_digest, a.image_media_type, a.image_manifest_size FROM attempts a "
                 "WHERE a.model_id = $1 AND a.image_digest IS NOT NULL AND a.outcome <> 'failed' "
                 "ORDER BY a.attempt DESC LIMIT 1",
                 "s", model_id);
    if (rows && db_next(rows, &failure)) {
        tagged->digest = g_strdup(db_text(rows, 0));
        tagged->media_type = g_strdup(db_text(rows, 1));
        tagged->size = db_int(rows, 2);
    }
    if (failure)
        g_propagate_error(error, failure);
    return rows && !failure;
}

static bool mend(Service *service, const char *model_id, GError **error)
{
    g_auto(Tagged) tagged = {0};
    bool mended;
    g_autoptr(Model) model = model_load(service->db, model_id, error);
    if (!model || model->deleted_at)
        return model != NULL;
    if (!tagged_read(service->db, model_id, &tagged, error) || !tagged.digest)
        return !tagged.digest;
    const Descriptor manifest = {.digest = tagged.digest,
                                 .media_type = tagged.media_type,
                                 .size = tagged.size};
    g_autoptr(ImageRepository) images =
        service_repository(service, model->project, model->name, error);
    if (!images || !image_repository_mend_tag(images, &manifest, model->version, &mended, error))
        return false;
    if (mended)
        g_message("%s:%s named another image than the store's, from a worker that had lost its "
                  "lease: it names %s again",
                  model->name, model->version, tagged.digest);
    return true;
}

void tag_mend(Service *service, const char *model_id)
{
    g_autoptr(GError) error = NULL;
    if (image_store_is_registry(service->store) && !mend(service, model_id, &error))
        g_message("the tag of model %s: %s", model_id, error->message);
}

static bool is_ours_still(Service *service, const Model *model, GError **error)
{
    g_autoptr(DbTransaction) transaction = service_transaction_of(service, model->id, error);
    return transaction != NULL;
}

bool tag_put(Service *service, ImageRepository *images, const Image *image, const Model *model,
             GError **error)
{
    for (int tries = 1;; tries++) {
        g_autoptr(GError) failure = NULL;
        if (image_repository_tag(images, image, model->version, &failure))
            return true;
        if (tries < TRIES && g_error_matches(failure, REGISTRY_ERROR, REGISTRY_ERROR_MALFORMED) &&
            is_ours_still(service, model, error))
            continue;
        if (!error || !*error)
            g_propagate_error(error, g_steal_pointer(&failure));
        return false;
    }
}

bool tags_look(Service *service, GError **error)
{
    GError *failure = NULL;
    if (!image_store_is_registry(service->store))
        return true;
    g_autoptr(GPtrArray) models = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(DbRows) rows =
        db_query(service->db, error,
                 "SELECT DISTINCT j.model_id FROM jobs j JOIN models m ON m.id = j.model_id WHERE "
                 "(j.lost > 0 OR j.attempt > 1 OR (j.kind = 'image-build' AND j.leases > 1)) AND "
                 "j.state = 'done' AND m.last_time > $1",
                 "i", clock_now_ms() - LATE_MS);
    while (rows && db_next(rows, &failure))
        g_ptr_array_add(models, g_strdup(db_text(rows, 0)));
    for (guint i = 0; !failure && i < models->len && !progress_stopped(&service->progress); i++)
        tag_mend(service, models->pdata[i]);
    if (failure)
        g_propagate_error(error, failure);
    return rows && !failure;
}
