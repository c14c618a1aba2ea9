#include "import/dynamic.h"

#include <gio/gio.h>
#include <string.h>

#include "base/io.h"
#include "base/machine.h"
#include "event/timeline.h"
#include "image/layer.h"
#include "image/model_pack.h"
#include "image/reference.h"
#include "import/config_layer.h"
#include "import/file_digests.h"
#include "import/scans.h"

#define LISTING         "home/mind/dynamic.json"
#define LISTING_AT      1 /* behind the config's own layer */
#define LISTING_VERSION 1
#define BLOB_MEDIA_TYPE "application/octet-stream"

/* -- what the image has all the same -- */

/* The config, code, and the wheels that an environment is built of. */
static bool is_packed(const char *path)
{
    return strcmp(path, "config.json") == 0 || g_str_has_suffix(path, ".py") ||
           g_str_has_suffix(path, ".whl");
}

Package *dynamic_packed(const Package *package)
{
    Package *packed = g_new0(Package, 1);
    packed->source = package->source;
    packed->child = package->child;
    packed->files = g_ptr_array_new();
    for (guint i = 0; i < package->files->len; i++) {
        PackageFile *file = package->files->pdata[i];
        if (!is_packed(file->path))
            continue;
        g_ptr_array_add(packed->files, file);
        packed->bytes += file->identity.size;
    }
    return packed;
}

void dynamic_packed_free(Package *packed)
{
    if (packed)
        g_ptr_array_unref(packed->files);
    g_free(packed);
}

/* -- keeping the files -- */

typedef struct {
    Import *import;
    char *machine;
    GHashTable *finished; /* paths of this attempt whose blobs are there */
} Keep;

static bool blob_is_there(Keep *keep, const char *digest, int64_t size, bool *there, GError **error)
{
    ImageRepository *images = import_images(keep->import, error);
    return images && image_repository_has_blob(images, digest, size, there, error);
}

/* While the blob is seen under the layout's lock, as a layer's row is (stage_copy.c). read_at_ns 0:
 * it was not read now, and reports is NULL. */
static bool blob_record(Keep *keep, guint position, const PackageFile *file, const char *digest,
                        int64_t read_at_ns, const json_t *reports, bool *there, GError **error)
{
    Import *import = keep->import;
    Db *db = import->service->db;
    const LayerRow row = {.origin = (char *)LAYER_ORIGIN_BLOB,
                          .position = (int)position,
                          .digest = (char *)digest,
                          .diff_id = (char *)digest,
                          .media_type = (char *)BLOB_MEDIA_TYPE,
                          .size = file->identity.size,
                          .files = 1,
                          .file = file->path};
    autofd lock = layout_lock(import->service->images, false, error);
    if (lock < 0 || !blob_is_there(keep, digest, file->identity.size, there, error))
        return false;
    if (!*there)
        return true;
    g_autoptr(DbTransaction) transaction =
        service_transaction_of(import->service, import->model->id, error);
    return transaction && layer_insert(db, import->model->id, import->job->attempt, &row, error) &&
           db_exec(
               db, error,
               "UPDATE files SET digest = $4 WHERE model_id = $1 AND attempt = $2 AND path = $3",
               "siss", import->model->id, (int64_t)import->job->attempt, file->path, digest) &&
           (!read_at_ns ||
            (file_digest_remember(db, keep->machine, file, "", digest, read_at_ns, error) &&
             scans_remember(db, digest, file->path, reports, error))) &&
           db_commit(db, error);
}

static bool keep_known(Keep *keep, guint position, const PackageFile *file, bool *there,
                       GError **error)
{
    GError *failure = NULL;
    *there = false;
    g_autofree char *digest =
        file_digest_known(keep->import->service->db, keep->machine, file, "", &failure);
    if (failure) {
        g_propagate_error(error, failure);
        return false;
    }
    bool scanned = false;
    if (digest && !scans_known(keep->import->service->db, digest, file->path, &scanned, error))
        return false;
    return !scanned || blob_record(keep, position, file, digest, 0, NULL, there, error);
}

static Layer *write_blob(Keep *keep, const PackageFile *file, Event **finding, GError **error)
{
    Import *import = keep->import;
    ImageRepository *images =
        service_has_room(import->service, error) ? import_images(import, error) : NULL;
    g_autoptr(BlobSink) sink =
        images ? image_repository_sink(images, file->identity.size, error) : NULL;
    return sink ? layer_write_raw(file, import->package, sink, &import->service->progress, finding,
                                  error)
                : NULL;
}

static StageResult keep_read(Keep *keep, guint position, const PackageFile *file, GError **error)
{
    Import *import = keep->import;
    for (bool there = false; !there;) {
        int64_t read_at_ns = g_get_real_time() * 1000;
        Event *finding = NULL;
        g_autoptr(GError) failure = NULL;
        g_autoptr(Layer) blob = write_blob(keep, file, &finding, &failure);
        if (finding)
            return import_fail(import, "copy", events_new(finding, NULL), error);
        if (!blob && g_error_matches(failure, G_IO_ERROR, G_IO_ERROR_CANCELLED))
            return STAGE_STOPPED;
        if (!blob)
            return import_fail(
                import, "copy",
                events_new(event_of_error(import->service, failure, file->identity.size), NULL),
                error);
        if (!blob_record(keep, position, file, blob->digest, read_at_ns, blob->reports, &there,
                         error))
            return STAGE_ERROR;
    }
    return STAGE_CLOSED;
}

static StageResult keep_file(Keep *keep, guint position, GError **error)
{
    const PackageFile *file = keep->import->package->files->pdata[position];
    bool there = g_hash_table_contains(keep->finished, file->path);
    if (progress_stopped(&keep->import->service->progress))
        return STAGE_STOPPED;
    if (!there && !keep_known(keep, position, file, &there, error))
        return STAGE_ERROR;
    if (!there)
        return keep_read(keep, position, file, error);
    progress_add(&keep->import->service->progress, file->identity.size);
    return STAGE_CLOSED;
}

/* What this attempt kept before it was interrupted, as far as it is there. */
static bool find_finished(Keep *keep, GError **error)
{
    Import *import = keep->import;
    g_autoptr(GPtrArray) rows =
        blobs_of(import->service->db, import->model->id, import->job->attempt, error);
    for (guint i = 0; rows && i < rows->len; i++) {
        const LayerRow *row = rows->pdata[i];
        bool there, scanned;
        if (!blob_is_there(keep, row->digest, row->size, &there, error) ||
            !scans_known(import->service->db, row->digest, row->file, &scanned, error))
            return false;
        if (there && scanned)
            g_hash_table_add(keep->finished, g_strdup(row->file));
    }
    return rows != NULL;
}

/* -- the listing in the image -- */

static char *listing_of(Import *import, GError **error)
{
    const Model *model = import->model;
    g_autoptr(GPtrArray) rows =
        blobs_of(import->service->db, model->id, import->job->attempt, error);
    if (!rows)
        return NULL;
    json_auto_t *files = json_array();
    for (guint i = 0; i < rows->len; i++) {
        const LayerRow *row = rows->pdata[i];
        if (!is_packed(row->file))
            json_array_append_new(files, json_pack("{s:s, s:I, s:s}", "path", row->file, "size",
                                                   (json_int_t)row->size, "digest", row->digest));
    }
    g_autofree char *repository = reference_repository(model->project, model->name);
    json_auto_t *listing = json_pack("{s:i, s:s, s:O}", "version", LISTING_VERSION, "repository",
                                     repository, "files", files);
    char *text = json_dumps(listing, JSON_COMPACT), *copy = g_strconcat(text, "\n", NULL);
    free(text);
    return copy;
}

StageResult dynamic_copy(Import *import, GError **error)
{
    StageResult result = STAGE_CLOSED;
    Keep keep = {.import = import,
                 .machine = machine_id(),
                 .finished = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL)};
    if (!find_finished(&keep, error))
        result = STAGE_ERROR;
    for (guint i = 0; result == STAGE_CLOSED && i < import->package->files->len; i++)
        result = keep_file(&keep, i, error);
    g_hash_table_unref(keep.finished);
    g_free(keep.machine);
    if (result != STAGE_CLOSED)
        return result;
    g_autofree char *listing = listing_of(import, error);
    /* The service that runs as nobody in particular could not make the directory. */
    return listing && config_layer_add(import, LISTING_AT, LISTING, listing, true, error)
               ? STAGE_CLOSED
               : STAGE_ERROR;
}

/* -- a trial of it -- */

static bool bring_blob(Service *service, ImageRepository *from, const LayerRow *row, GError **error)
{
    const Descriptor blob = {row->media_type, row->digest, row->size};
    if (layout_has_blob(service->images, row->digest, row->size))
        return true;
    return image_copy_blob(image_repository_source(from), &blob, service->images,
                           &service->progress, NULL, error);
}

GPtrArray *dynamic_bring(Service *service, ImageRepository *from, const char *model_id,
                         const char *image_digest, GError **error)
{
    int64_t attempt;
    if (!db_query_int(service->db, &attempt, 0, error,
                      "SELECT max(attempt) FROM attempts WHERE model_id = $1 AND image_digest = $2",
                      "ss", model_id, image_digest))
        return NULL;
    g_autoptr(GPtrArray) rows = blobs_of(service->db, model_id, (int)attempt, error);
    g_autoptr(GPtrArray) digests = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; rows && i < rows->len; i++) {
        const LayerRow *row = rows->pdata[i];
        if (is_packed(row->file) ||
            g_ptr_array_find_with_equal_func(digests, row->digest, g_str_equal, NULL))
            continue;
        if (!bring_blob(service, from, row, error))
            return NULL;
        g_ptr_array_add(digests, g_strdup(row->digest));
    }
    return rows ? g_steal_pointer(&digests) : NULL;
}

/* -- the ModelPack -- */

Artifact *dynamic_describe(Import *import, const Image *image, GError **error)
{
    Service *service = import->service;
    g_autoptr(GPtrArray) rows =
        blobs_of(service->db, import->model->id, import->job->attempt, error);
    if (!rows || rows->len == 0)
        return NULL;
    g_autoptr(GPtrArray) files = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; i < rows->len; i++) {
        const LayerRow *row = rows->pdata[i];
        ModelPackFile *file = g_new(ModelPackFile, 1);
        *file = (ModelPackFile){row->file, row->digest, row->size};
        g_ptr_array_add(files, file);
    }
    const ModelPackSpec spec = {.name = import->model->name,
                                .version = import->model->version,
                                .description = import->model->description,
                                .model_type = import->model->type,
                                .subject = image->manifest,
                                .files = files};
    return model_pack_make(service->images, &spec, error);
}
