/* The model's files into layers of our own store, or of the registry that keeps the images: each
 * byte read once, hashed and written, or sent, once.
 * Closes with ModelFilesImported.
 *
 * A layer's row is written as soon as its blob is whole, and only while the blob is seen under the
 * layout's lock: gc, which takes that lock alone, never removes what a row refers to.
 *
 * What was packed before is not packed again. An unchanged large file is known by (machine, device,
 * inode, size, mtime, ctime) -> digest of its layer; a layer of small files by its recipe, the
 * digest over (path, size, SHA-256) of its files, each of them known in the same way
 * (import/file_digests.h). With objects.url the service keeps a copy of its own, and packs that
 * (import/own_copy.h). A config that does not lie in the package is a layer beside them
 * (import/config_layer.h). */
#include <gio/gio.h>
#include <string.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/machine.h"
#include "event/timeline.h"
#include "image/layer.h"
#include "image/reference.h"
#include "import/config_layer.h"
#include "import/dynamic.h"
#include "import/file_digests.h"
#include "import/own_copy.h"
#include "import/pipeline.h"
#include "import/scans.h"

typedef struct {
    Import *import;
    GPtrArray *plans; /* of LayerPlan */
    char *machine;
    int64_t bytes_reused, files_reused;
    int64_t bytes_left; /* not yet in a layer */
    json_t *kept;       /* the service's own copy; NULL: there is none */
} Copy;

static const PackageFile *plan_file(const LayerPlan *plan, guint i)
{
    return plan->files->pdata[i];
}

/* NULL with *error unset: a file of it is not known. */
static char *known_recipe(Copy *copy, const LayerPlan *plan, GError **error)
{
    g_autoptr(Digest) recipe = digest_new();
    for (guint i = 0; i < plan->files->len; i++) {
        g_autofree char *digest = file_digest_known(copy->import->service->db, copy->machine,
                                                    plan_file(plan, i), "", error);
        if (!digest)
            return NULL;
        recipe_add(recipe, plan_file(plan, i), digest);
    }
    return digest_finish(recipe);
}

static char *recipe_of_layer(const LayerPlan *plan, const Layer *layer)
{
    if (layer_plan_is_single(plan))
        return NULL;
    g_autoptr(Digest) recipe = digest_new();
    for (guint i = 0; i < plan->files->len; i++)
        recipe_add(recipe, plan_file(plan, i), layer->digests->pdata[i]);
    return digest_finish(recipe);
}

static LayerRow *row_new(const LayerPlan *plan, int position, const char *digest,
                         const char *recipe)
{
    LayerRow *row = g_new0(LayerRow, 1);
    row->origin = g_strdup("model");
    row->position = position;
    row->digest = g_strdup(digest);
    row->diff_id = g_strdup(digest); /* the layers of a model are not compressed */
    row->media_type = g_strdup(LAYER_MEDIA_TYPE);
    row->size = layer_plan_size(plan);
    row->files = plan->files->len;
    row->file = plan->files->len == 1 ? g_strdup(plan_file(plan, 0)->path) : NULL;
    row->recipe = g_strdup(recipe);
    return row;
}

/* A large file's own layer: as the store knows the file, or as an earlier attempt packed it. */
static char *known_single(Copy *copy, const LayerPlan *plan, GError **error)
{
    GError *failure = NULL;
    const PackageFile *file = plan_file(plan, 0);
    char *digest =
        file_digest_known(copy->import->service->db, copy->machine, file, file->path, &failure);
    if (!digest && !failure)
        digest = former_layer(copy->import, file, layer_plan_size(plan), &failure);
    if (failure)
        g_propagate_error(error, failure);
    return digest;
}

/* *known: the layer that this plan gave before, NULL when it is not known. */
static bool plan_known(Copy *copy, const LayerPlan *plan, int position, LayerRow **known,
                       GError **error)
{
    g_autoptr(GError) failure = NULL;
    *known = NULL;
    if (layer_plan_is_single(plan)) {
        g_autofree char *digest = known_single(copy, plan, &failure);
        if (digest)
            *known = row_new(plan, position, digest, NULL);
    } else {
        g_autofree char *recipe = known_recipe(copy, plan, &failure);
        LayerRow *former =
            recipe ? layer_of_recipe(copy->import->service->db, recipe, &failure) : NULL;
        if (former)
            *known = row_new(plan, position, former->digest, recipe);
        layer_row_free(former);
    }
    bool scanned = true;
    if (*known &&
        scans_known(copy->import->service->db, (*known)->digest, NULL, &scanned, &failure) &&
        !scanned)
        g_clear_pointer(known, layer_row_free); /* it is read again, to be scanned */
    bool done = !failure;
    if (failure)
        g_propagate_error(error, g_steal_pointer(&failure));
    return done;
}

static bool digests_remember(Copy *copy, const LayerPlan *plan, const Layer *layer,
                             int64_t read_at_ns, GError **error)
{
    if (layer_plan_is_single(plan))
        return file_digest_remember(copy->import->service->db, copy->machine, plan_file(plan, 0),
                                    plan_file(plan, 0)->path, layer->digest, read_at_ns, error);
    for (guint i = 0; i < plan->files->len; i++)
        if (!file_digest_remember(copy->import->service->db, copy->machine, plan_file(plan, i), "",
                                  layer->digests->pdata[i], read_at_ns, error))
            return false;
    return true;
}

/* Keeps with the attempt what each file held: later it may hold something else. layer NULL: it was
 * packed before. */
static bool contents_record(Copy *copy, const LayerPlan *plan, const Layer *layer, GError **error)
{
    for (guint i = 0; !layer_plan_is_single(plan) && i < plan->files->len; i++) {
        g_autoptr(GError) failure = NULL;
        const PackageFile *file = plan_file(plan, i);
        g_autofree char *digest =
            layer ? g_strdup(layer->digests->pdata[i])
                  : file_digest_known(copy->import->service->db, copy->machine, file, "", &failure);
        if (failure) {
            g_propagate_error(error, g_steal_pointer(&failure));
            return false;
        }
        if (!db_exec(copy->import->service->db, error,
                     "UPDATE files SET digest = $4 WHERE model_id = $1 AND attempt = $2 AND path = "
                     "$3",
                     "siss", copy->import->model->id, (int64_t)copy->import->job->attempt,
                     file->path, digest))
            return false;
    }
    return true;
}

/* Repositories of other models that had the layer (char *, as the store names them). */
static GPtrArray *former_repositories(Copy *copy, const LayerRow *row, GError **error)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(DbRows) rows =
        db_query(copy->import->service->db, error,
                 "SELECT DISTINCT m.project, m.name FROM layers l JOIN models m ON m.id = "
                 "l.model_id WHERE l.digest = $1 AND m.id <> $2 ORDER BY 1, 2 LIMIT 4",
                 "ss", row->digest, copy->import->model->id);
    GError *failure = NULL;
    while (rows && db_next(rows, &failure))
        g_ptr_array_add(names, reference_repository(db_text(rows, 0), db_text(rows, 1)));
    if (failure)
        g_propagate_error(error, failure);
    return rows && !failure ? g_steal_pointer(&names) : NULL;
}

/* A registry has a blob for each repository by itself; from one to another it need not be sent. */
static bool layer_is_there(Copy *copy, const LayerRow *row, bool *there, GError **error)
{
    ImageRepository *images = import_images(copy->import, error);
    if (!images || !image_repository_has_blob(images, row->digest, row->size, there, error))
        return false;
    if (*there || !image_repository_registry(images))
        return true;
    g_autoptr(GPtrArray) names = former_repositories(copy, row, error);
    for (guint i = 0; names && !*there && i < names->len; i++)
        if (!image_repository_mount(images, row->digest, row->size, names->pdata[i], there, error))
            return false;
    return names != NULL;
}

/* Records the layer while its blob is there. *there false: gc took the blob before its row was
 * written: pack it again. */
static bool layer_record(Copy *copy, const LayerPlan *plan, const LayerRow *row, const Layer *layer,
                         int64_t read_at_ns, bool *there, GError **error)
{
    Service *service = copy->import->service;
    autofd lock = layout_lock(service->images, false, error);
    if (lock < 0 || !layer_is_there(copy, row, there, error))
        return false;
    if (!*there)
        return true;
    g_autoptr(DbTransaction) transaction =
        service_transaction_of(service, copy->import->model->id, error);
    return transaction &&
           layer_insert(service->db, copy->import->model->id, copy->import->job->attempt, row,
                        error) &&
           contents_record(copy, plan, layer, error) &&
           (!layer || (digests_remember(copy, plan, layer, read_at_ns, error) &&
                       scans_remember(service->db, layer->digest, NULL, layer->reports, error))) &&
           db_commit(service->db, error);
}

/* *packed: it was packed before, and its layer is there. */
static bool copy_known(Copy *copy, const LayerPlan *plan, int position, bool *packed,
                       GError **error)
{
    LayerRow *known = NULL;
    *packed = false;
    if (!plan_known(copy, plan, position, &known, error))
        return false;
    bool done = !known || layer_record(copy, plan, known, NULL, 0, packed, error);
    layer_row_free(known);
    if (!done || !*packed)
        return done;
    progress_add(&copy->import->service->progress, plan->bytes);
    copy->bytes_reused += plan->bytes;
    copy->files_reused += plan->files->len;
    copy->bytes_left -= plan->bytes;
    return true;
}

static BlobSink *layer_sink(Copy *copy, const LayerPlan *plan, GError **error)
{
    ImageRepository *images =
        service_has_room(copy->import->service, error) ? import_images(copy->import, error) : NULL;
    return images ? image_repository_sink(images, layer_plan_size(plan), error) : NULL;
}

static StageResult copy_pack(Copy *copy, const LayerPlan *plan, int position, GError **error)
{
    Import *import = copy->import;
    for (;;) {
        int64_t read_at_ns = g_get_real_time() * 1000;
        Event *finding = NULL;
        g_autoptr(GError) failure = NULL;
        g_autoptr(BlobSink) sink = layer_sink(copy, plan, &failure);
        g_autoptr(Layer) layer = sink ? layer_write(plan, import->package, sink,
                                                    &import->service->progress, &finding, &failure)
                                      : NULL;
        /* What was written of it is gone before anybody looks how much room there is. */
        g_clear_pointer(&sink, blob_sink_free);
        if (finding)
            return import_fail(import, "copy", events_new(finding, NULL), error);
        if (!layer && g_error_matches(failure, G_IO_ERROR, G_IO_ERROR_CANCELLED))
            return STAGE_STOPPED;
        if (!layer)
            return import_fail(
                import, "copy",
                events_new(event_of_error(import->service, failure, copy->bytes_left), NULL),
                error);
        g_autofree char *recipe = recipe_of_layer(plan, layer);
        LayerRow *row = row_new(plan, position, layer->digest, recipe);
        bool there = false, done = layer_record(copy, plan, row, layer, read_at_ns, &there, error);
        layer_row_free(row);
        if (!done)
            return STAGE_ERROR;
        if (there)
            break;
    }
    copy->bytes_left -= plan->bytes;
    return STAGE_CLOSED;
}

/* Layers that this attempt finished before it was interrupted count. */
static bool copy_finished(Copy *copy, gboolean *finished, GError **error)
{
    g_autoptr(GPtrArray) rows = layers_of(copy->import->service->db, copy->import->model->id,
                                          copy->import->job->attempt, error);
    for (guint i = 0; rows && i < rows->len; i++) {
        const LayerRow *row = rows->pdata[i];
        if (strcmp(row->origin, "model") == 0 && row->position < (int)copy->plans->len) {
            bool there, scanned;
            if (!layer_is_there(copy, row, &there, error) ||
                !scans_known(copy->import->service->db, row->digest, NULL, &scanned, error))
                return false;
            finished[row->position] = there && scanned;
        }
    }
    return rows != NULL;
}

static StageResult copy_all(Copy *copy, GError **error)
{
    g_autofree gboolean *finished = g_new0(gboolean, copy->plans->len);
    if (!copy_finished(copy, finished, error))
        return STAGE_ERROR;
    for (guint i = 0; i < copy->plans->len; i++) {
        const LayerPlan *plan = copy->plans->pdata[i];
        if (progress_stopped(&copy->import->service->progress))
            return STAGE_STOPPED;
        if (finished[i]) {
            progress_add(&copy->import->service->progress, plan->bytes);
            copy->bytes_left -= plan->bytes;
            continue;
        }
        bool packed;
        if (!copy_known(copy, plan, (int)i, &packed, error))
            return STAGE_ERROR;
        StageResult result = packed ? STAGE_CLOSED : copy_pack(copy, plan, (int)i, error);
        if (result != STAGE_CLOSED)
            return result;
    }
    return STAGE_CLOSED;
}

/* A resumed attempt packs what its check saw, or says that it changed. */
static StageResult copy_same_package(Import *import, GError **error)
{
    g_autoptr(Attempt) row =
        attempt_load(import->service->db, import->model->id, import->job->attempt, error);
    if (!row)
        return STAGE_ERROR;
    g_autofree char *listing = package_listing_digest(import->package);
    if (g_strcmp0(row->listing, listing) == 0)
        return STAGE_CLOSED;
    int64_t count;
    g_autofree char *first = NULL;
    if (!import_changed_files(import, import->job->attempt, &count, &first, error))
        return STAGE_ERROR;
    Event *event = event_with_kind(event_model_files_copy_failed(), "changed");
    event_with_text(event, "path", first ? first : import->request->source);
    return import_fail(import, "copy",
                       events_new(event_with(event, "{s:I}", "files", (json_int_t)count), NULL),
                       error);
}

/* How many layers the model's files may have: base, environment, they and the config share the
 * limit. A base that cannot be read (*unusable, as base_image says) fails the build, later. */
static int layers_left(Import *import, GPtrArray **unusable, GError **error)
{
    g_autofree char *reference = NULL;
    g_autoptr(Image) base =
        base_image(import->service, import->runtime, false, &reference, unusable, error);
    int environment = import->config && import->config->dependencies->len ? 1 : 0;
    int config = config_layer_is_needed(import) ? 1 : 0;
    return base ? MAX(LAYER_MAX_COUNT - (int)base->layers->len - environment - config, 1)
                : LAYER_MAX_COUNT / 2;
}

/* Whether the base has to be known to share the files out as ever: else a registry that does not
 * answer for a moment would make another image of the same package. */
static bool needs_base(const Import *import)
{
    g_autoptr(GPtrArray) plans = layer_plan(import->package, LAYER_MAX_COUNT);
    return image_store_is_registry(import->service->store) && plans->len > LAYER_MAX_COUNT / 2;
}

/* The findings, taken over, then what closes the stage. */
static GPtrArray *copy_events(const Copy *copy, Findings *findings)
{
    const Package *package = copy->import->package;
    int64_t took = MAX(clock_monotonic_ms() - copy->import->began, 1);
    Event *event =
        event_with(event_model_files_imported(), "{s:i, s:I, s:i, s:I, s:I, s:I}", "files",
                   (int)package->files->len, "bytes", (json_int_t)package->bytes, "layers",
                   (int)copy->plans->len, "reused_files", (json_int_t)copy->files_reused,
                   "reused_bytes", (json_int_t)copy->bytes_reused, "rate",
                   (json_int_t)((package->bytes - copy->bytes_reused) * 1000 / took));
    if (copy->kept)
        event_with_json(event, "own_copy", json_incref(copy->kept));
    GPtrArray *events = findings_take(findings);
    g_ptr_array_add(events, event);
    return events;
}

/* What the files are, as their bytes told, ends the import or goes before its closing event. */
static StageResult copy_close(Copy *copy, GError **error)
{
    Import *import = copy->import;
    g_autoptr(Findings) findings = findings_new();
    if (!scans_find(import, import->job->attempt, findings, error))
        return STAGE_ERROR;
    if (findings_fatal(findings))
        return import_fail(import, "copy", findings_take(findings), error);
    if (!config_layer_record(import, error))
        return STAGE_ERROR;
    return import_close(import, "copy", json_object(), copy_events(copy, findings), error);
}

StageResult stage_copy(Import *import, GError **error)
{
    StageResult result = import_look(import, "copy", error);
    if (result == STAGE_CLOSED)
        result = copy_same_package(import, error);
    if (result != STAGE_CLOSED)
        return result;
    g_autoptr(GPtrArray) unusable = NULL;
    int most = layers_left(import, &unusable, error);
    if (*error)
        return STAGE_ERROR;
    if (unusable && needs_base(import))
        return import_fail(import, "copy", g_steal_pointer(&unusable), error);
    Package *packed = import->request->dynamic ? dynamic_packed(import->package) : NULL;
    const Package *packing = packed ? packed : import->package;
    Copy copy = {.import = import,
                 .plans = layer_plan(packing, most),
                 .machine = machine_id(),
                 .bytes_left = packing->bytes};
    result = own_copy_keep(import, &copy.kept, error);
    if (result == STAGE_CLOSED) {
        progress_begin(&import->service->progress,
                       copy.bytes_left + (packed ? import->package->bytes : 0));
        result = copy_all(&copy, error);
        if (result == STAGE_CLOSED && packed)
            result = dynamic_copy(import, error);
        progress_end(&import->service->progress);
    }
    if (result == STAGE_CLOSED)
        result = copy_close(&copy, error);
    g_ptr_array_unref(copy.plans);
    json_decref(copy.kept);
    dynamic_packed_free(packed);
    g_free(copy.machine);
    return result;
}
