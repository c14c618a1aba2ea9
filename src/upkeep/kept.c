#include "upkeep/kept.h"

#include "store/attempts.h"

#include <string.h>

#include "image/reference.h"
#include "store/models.h"
#include "store/pushed.h"

static void kept_model_free(KeptModel *model)
{
    g_free(model->id);
    g_free(model->label);
    g_free(model->repository);
    g_free(model);
}

static void kept_repository_free(KeptRepository *repository)
{
    g_free(repository->project);
    g_free(repository->label);
    g_free(repository);
}

static void kept_blob_free(KeptBlob *kept)
{
    g_free(kept->blob.digest);
    g_ptr_array_unref(kept->models);
    g_ptr_array_unref(kept->runtimes);
    g_ptr_array_unref(kept->repositories);
    g_free(kept);
}

Kept *kept_new(void)
{
    Kept *kept = g_new0(Kept, 1);
    kept->blobs = g_ptr_array_new_with_free_func((GDestroyNotify)kept_blob_free);
    kept->by_digest = g_hash_table_new(g_str_hash, g_str_equal);
    return kept;
}

void kept_free(Kept *kept)
{
    if (!kept)
        return;
    g_hash_table_unref(kept->by_digest);
    g_ptr_array_unref(kept->blobs);
    g_free(kept);
}

static KeptBlob *kept_add(Kept *kept, const char *digest, int64_t size)
{
    KeptBlob *found = g_hash_table_lookup(kept->by_digest, digest);
    if (!found) {
        found = g_new0(KeptBlob, 1);
        found->blob.digest = g_strdup(digest);
        found->blob.size = size;
        found->models = g_ptr_array_new_with_free_func((GDestroyNotify)kept_model_free);
        found->runtimes = g_ptr_array_new_with_free_func(g_free);
        found->repositories = g_ptr_array_new_with_free_func((GDestroyNotify)kept_repository_free);
        g_ptr_array_add(kept->blobs, found);
        g_hash_table_insert(kept->by_digest, found->blob.digest, found);
    }
    if (found->blob.size < 0)
        found->blob.size = size;
    return found;
}

/* -- models -- */

static void note_model(KeptBlob *kept, const char *id, const char *project, const char *name,
                       const char *version)
{
    const KeptModel *last = kept->models->len ? kept->models->pdata[kept->models->len - 1] : NULL;
    if (last && strcmp(last->id, id) == 0)
        return; /* rows come model by model */
    KeptModel *model = g_new0(KeptModel, 1);
    model->id = g_strdup(id);
    model->label = strcmp(project, PROJECT_DEFAULT) == 0
                       ? g_strdup_printf("%s:%s", name, version)
                       : g_strdup_printf("%s:%s --project %s", name, version, project);
    model->repository = reference_repository(project, name);
    g_ptr_array_add(kept->models, model);
}

#define ATTEMPTS                                                                      \
    "WITH kept AS (SELECT m.id, m.project, m.name, m.version, a.attempt, a.outcome, " \
    "a.image_digest, a.image_size, a.image_manifest_size, a.config_digest, "          \
    "a.artifact_digest, a.artifact_size, a.pack_digest, a.pack_size " ATTEMPTS_KEPT   \
    "AND ($1 = '' OR m.id = $1)) "
#define OF_ATTEMPT    "SELECT k.id, k.project, k.name, k.version, "
#define WITH_AN_IMAGE "FROM kept k WHERE k.image_digest IS NOT NULL AND k.outcome <> 'failed' "

bool kept_add_models(Kept *kept, Db *db, const char *model_id, bool images_alone, GError **error)
{
    g_autoptr(DbRows) rows =
        db_query(db, error,
                 ATTEMPTS OF_ATTEMPT
                 "l.digest, l.size, 0 FROM kept k JOIN layers l "
                 "ON l.model_id = k.id AND l.attempt = k.attempt WHERE $2 = 0 OR "
                 "(k.image_digest IS NOT NULL AND k.outcome <> 'failed') "
                 "UNION ALL " OF_ATTEMPT "k.image_digest, k.image_manifest_size, 1 " WITH_AN_IMAGE
                 "UNION ALL " OF_ATTEMPT "k.config_digest, CASE $2 WHEN 0 THEN -1 ELSE "
                 "k.image_size - k.image_manifest_size - (SELECT coalesce(sum(l.size), 0) FROM "
                 "layers l WHERE l.model_id = k.id AND l.attempt = k.attempt AND l.origin <> "
                 "'" LAYER_ORIGIN_BLOB "') END, 0 " WITH_AN_IMAGE "UNION ALL " OF_ATTEMPT
                 "k.artifact_digest, k.artifact_size, 1 " WITH_AN_IMAGE
                 "AND k.artifact_digest IS NOT NULL "
                 "UNION ALL " OF_ATTEMPT "k.pack_digest, k.pack_size, 1 " WITH_AN_IMAGE
                 "AND k.pack_digest IS NOT NULL "
                 "UNION ALL " OF_ATTEMPT "b.digest, b.size, 0 FROM kept k JOIN artifact_blobs b "
                 "ON b.model_id = k.id AND b.attempt = k.attempt "
                 "WHERE k.outcome <> 'failed' ORDER BY 3, 4, 1, 5",
                 "si", model_id ? model_id : "", (int64_t)images_alone);
    GError *failure = NULL;
    while (rows && db_next(rows, &failure)) {
        KeptBlob *blob = kept_add(kept, db_text(rows, 4), db_int(rows, 5));
        blob->manifest = blob->manifest || db_int(rows, 6);
        note_model(blob, db_text(rows, 0), db_text(rows, 1), db_text(rows, 2), db_text(rows, 3));
    }
    if (failure)
        g_propagate_error(error, failure);
    return rows && !failure;
}

/* -- runtimes -- */

static void note_runtime(Kept *kept, const Runtime *runtime, const char *digest, int64_t size)
{
    KeptBlob *blob = kept_add(kept, digest, size);
    blob->manifest = blob->manifest || strcmp(digest, runtime->digest) == 0;
    if (!g_ptr_array_find_with_equal_func(blob->runtimes, runtime->name, g_str_equal, NULL))
        g_ptr_array_add(blob->runtimes, g_strdup(runtime->name));
}

bool kept_add_runtime(Kept *kept, ImageSource *images, const Runtime *runtime, GError **error)
{
    note_runtime(kept, runtime, runtime->digest, runtime->manifest_size);
    ImageFault fault = {0};
    json_auto_t *descriptor =
        json_pack("{s:s, s:s, s:I}", "mediaType", runtime->media_type, "digest", runtime->digest,
                  "size", (json_int_t)runtime->manifest_size);
    g_autoptr(Image) image = image_read(images, descriptor, runtime->platform, &fault, error);
    if (!image)
        g_prefix_error(error, "runtime %s: ", runtime->name);
    if (fault.bad_digest)
        note_runtime(kept, runtime, fault.bad_digest, -1);
    image_fault_clear(&fault);
    if (!image)
        return false;
    note_runtime(kept, runtime, image->config->digest, image->config->size);
    for (guint i = 0; i < image->layers->len; i++) {
        const Descriptor *layer = image->layers->pdata[i];
        note_runtime(kept, runtime, layer->digest, layer->size);
    }
    return true;
}

/* -- environments -- */

bool kept_add_environments(Kept *kept, Db *db, const Layout *images, GError **error)
{
    g_autoptr(DbRows) rows =
        db_query(db, error, "SELECT layer, layer_size FROM environments WHERE layer IS NOT NULL",
                 "");
    GError *failure = NULL;
    while (rows && db_next(rows, &failure))
        if (layout_has_blob(images, db_text(rows, 0), db_int(rows, 1)))
            kept_add(kept, db_text(rows, 0), db_int(rows, 1))->environment = true;
    if (failure)
        g_propagate_error(error, failure);
    return rows && !failure;
}

/* -- what was pushed -- */

/* Rows come repository by repository. */
static void note_pushed(const char *project, const char *repository, const char *digest,
                        int64_t size, gpointer data)
{
    GPtrArray *users = kept_add(data, digest, size)->repositories;
    g_autofree char *part = reference_encode_name(project);
    g_autofree char *label = g_strdup_printf("%s/%s", part, repository);
    const KeptRepository *last = users->len ? users->pdata[users->len - 1] : NULL;
    if (last && strcmp(last->label, label) == 0)
        return;
    KeptRepository *user = g_new0(KeptRepository, 1);
    *user = (KeptRepository){g_strdup(project), g_steal_pointer(&label)};
    g_ptr_array_add(users, user);
}

bool kept_add_pushed(Kept *kept, Db *db, GError **error)
{
    return pushed_each_blob(db, note_pushed, kept, error);
}

/* -- all -- */

Kept *kept_read(Db *db, Layout *images, GError **error)
{
    g_autoptr(Kept) kept = kept_new();
    g_autoptr(GPtrArray) runtimes = runtimes_list(db, error);
    if (!runtimes || !kept_add_models(kept, db, NULL, false, error) ||
        !kept_add_environments(kept, db, images, error) || !kept_add_pushed(kept, db, error))
        return NULL;
    for (guint i = 0; i < runtimes->len; i++)
        if (!kept_add_runtime(kept, layout_source(images), runtimes->pdata[i], error))
            return NULL;
    return g_steal_pointer(&kept);
}

Kept *kept_read_fetched(Db *db, Layout *images, GError **error)
{
    g_autoptr(Kept) kept = kept_new();
    g_autoptr(GPtrArray) runtimes = runtimes_list(db, error);
    for (guint i = 0; runtimes && i < runtimes->len; i++) /* one that cannot be read was not */
        kept_add_runtime(kept, layout_source(images), runtimes->pdata[i], NULL);
    return runtimes ? g_steal_pointer(&kept) : NULL;
}

void kept_measure(Kept *kept, const Layout *images)
{
    for (guint i = 0; i < kept->blobs->len; i++) {
        Descriptor *blob = &((KeptBlob *)kept->blobs->pdata[i])->blob;
        if (blob->size < 0)
            blob->size = MAX(layout_blob_size(images, blob->digest), 0);
    }
}

bool kept_has(const Kept *kept, const char *digest)
{
    return g_hash_table_contains(kept->by_digest, digest);
}

int64_t kept_bytes(const Kept *kept)
{
    int64_t bytes = 0;
    for (guint i = 0; i < kept->blobs->len; i++)
        bytes += MAX(((const KeptBlob *)kept->blobs->pdata[i])->blob.size, 0);
    return bytes;
}
