/* What an image-build job does: base layers + model layers -> the model image.
 *
 * Order: blobs durable -> rows -> index.json -> the manifest read back -> ImageBuilt. The build's
 * last transaction wakes the import that waits for it, or ends its attempt. */
#include <gio/gio.h>
#include <string.h>

#include "base/clock.h"
#include "base/io.h"
#include "event/timeline.h"
#include "import/pipeline.h"
#include "import/tags.h"

typedef struct {
    Service *service;
    Job *job;
    Model *model;
    Attempt *attempt;
    Image *base;
    char *reference;   /* of the base */
    GPtrArray *layers; /* of LayerRow: the environment's and the model's */
    ImageRepository *images;
    ImageTaken taken; /* by the registry that keeps the images, of this build */
    int64_t began;
} Build;

static void build_clear(Build *build)
{
    model_free(build->model);
    attempt_free(build->attempt);
    image_free(build->base);
    g_free(build->reference);
    image_repository_free(build->images);
    if (build->layers)
        g_ptr_array_unref(build->layers);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Build, build_clear)

static bool build_log(Build *build, GError **error, const char *format, ...) G_GNUC_PRINTF(3, 4);

static bool build_log(Build *build, GError **error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *text = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    return build_log_append(build->service->db, build->job->model_id, build->job->attempt,
                            "waybill", text, error);
}

static bool build_append(Build *build, Event *event, GError **error)
{
    g_autoptr(Event) owned = event;
    return timeline_append(build->service->db, build->job->model_id, build->job->attempt, "build",
                           owned, NULL, error);
}

/* Ends the attempt with the build. Takes the events over. */
static StageResult build_fail(Build *build, GPtrArray *events, GError **error)
{
    Service *service = build->service;
    g_autoptr(GPtrArray) owned = events;
    const Event *first = events->pdata[0];
    if (g_strcmp0(first->kind, "disk_full") == 0)
        data_release_reserve(service->data);
    g_autoptr(DbTransaction) transaction =
        service_transaction_of(service, build->job->model_id, error);
    if (!transaction ||
        !attempt_fail(service, build->job->model_id, build->job->attempt, "build", owned, "failed",
                      error) ||
        !db_commit(service->db, error))
        return STAGE_ERROR;
    service_write_index(service, NULL); /* it may hold the image already; the store is the truth */
    service_committed(service);
    return STAGE_FAILED;
}

static StageResult build_cancel(Build *build, const char *actor, GError **error)
{
    Service *service = build->service;
    g_autoptr(DbTransaction) transaction =
        service_transaction_of(service, build->job->model_id, error);
    if (!transaction ||
        !attempt_cancel(service, build->job->model_id, build->job->attempt, "build", actor,
                        "cancelled", error) ||
        !db_commit(service->db, error))
        return STAGE_ERROR;
    service_committed(service);
    return STAGE_FAILED;
}

static bool build_load(Build *build, GPtrArray **unusable, GError **error)
{
    Service *service = build->service;
    build->model = model_load(service->db, build->job->model_id, error);
    build->attempt =
        build->model ? attempt_load(service->db, build->job->model_id, build->job->attempt, error)
                     : NULL;
    build->images = build->attempt ? service_repository(service, build->model->project,
                                                        build->model->name, error)
                                   : NULL;
    build->layers = build->images
                        ? layers_of(service->db, build->job->model_id, build->job->attempt, error)
                        : NULL;
    if (!build->layers)
        return false;
    for (guint i = build->layers->len; i > 0; i--)
        if (strcmp(((LayerRow *)build->layers->pdata[i - 1])->origin, "base") == 0)
            g_ptr_array_remove_index(build->layers,
                                     i - 1); /* of a build that was interrupted after its rows */
    build->base =
        base_image(service, build->attempt->runtime, false, &build->reference, unusable, error);
    return build->base != NULL;
}

/* A build whose worker was lost says who goes on. */
static bool build_resume(Build *build, GError **error)
{
    const char *old = build->job->worker, *new = build->service->worker;
    return !old ||
           build_append(build,
                        event_with(event_import_resumed(old, new, "build"), "{s:s, s:s, s:s}",
                                   "old", old, "new", new, "stage", "build"),
                        error);
}

bool image_build_base(Db *db, const char *model_id, int attempt, char **base, char **digest,
                      GError **error)
{
    int64_t seq;
    *base = *digest = NULL;
    if (!timeline_find(db, model_id, attempt, "ImageBuildStarted", &seq, error))
        return false;
    if (!seq)
        return true;
    g_autofree char *text = timeline_event(db, model_id, seq, error);
    if (!text)
        return false;
    json_auto_t *event = json_loads(text, 0, NULL);
    const json_t *evidence = json_object_get(event, "evidence");
    *base = g_strdup(json_string_value(json_object_get(evidence, "base")));
    *digest = g_strdup(json_string_value(json_object_get(evidence, "base_digest")));
    return true;
}

/* ImageBuildStarted once, however often the job is taken. */
static bool build_start(Build *build, GError **error)
{
    Db *db = build->service->db;
    int64_t started;
    g_autoptr(DbTransaction) transaction =
        service_transaction_of(build->service, build->job->model_id, error);
    if (!transaction || !timeline_find(db, build->job->model_id, build->job->attempt,
                                       "ImageBuildStarted", &started, error))
        return false;
    if (started)
        return build_resume(build, error) && db_commit(db, error);
    Event *event = event_with(event_image_build_started(), "{s:s, s:s}", "base", build->reference,
                              "base_digest", build->base->manifest->digest);
    event_with_text(event, "worker", build->service->worker);
    return build_append(build, event, error) &&
           build_append(build, event_image_build_status("running"), error) &&
           build_log(build, error, "base %s %s, %u layers", build->reference,
                     build->base->manifest->digest, build->base->layers->len) &&
           db_commit(db, error);
}

static Image *build_make(Build *build, GError **error)
{
    g_autofree ImageLayer *layers = g_new0(ImageLayer, build->layers->len + 1);
    g_autoptr(GPtrArray) array = g_ptr_array_new();
    for (guint i = 0; i < build->layers->len; i++) {
        const LayerRow *row = build->layers->pdata[i];
        layers[i] = (ImageLayer){.media_type = row->media_type,
                                 .digest = row->digest,
                                 .diff_id = row->diff_id,
                                 .size = row->size,
                                 .file = row->file,
                                 .files = row->files};
        g_ptr_array_add(array, &layers[i]);
    }
    const ImageSpec spec = {.base = build->base,
                            .layers = array,
                            .name = build->model->name,
                            .version = build->model->version,
                            .type = build->model->type,
                            .description = build->model->description,
                            .port = 8080};
    return image_make(build->service->images, &spec, error);
}

/* A layer that lies in another repository of the registry comes from there, or where that cannot be
 * through the layout. */
static bool bring_layer(Build *build, const char *from, const Descriptor *layer, GError **error)
{
    bool there;
    Service *service = build->service;
    if (!image_repository_mount(build->images, layer->digest, layer->size, from, &there, error))
        return false;
    if (there)
        return true;
    g_autoptr(ImageRepository) other = image_repository_open(service->store, from, error);
    ImageSource *source = other ? image_repository_source(other) : NULL;
    if (!source)
        return false;
    source->spares = true; /* what is here came from there */
    return image_copy_blob(source, layer, service->images, &service->progress, NULL, error);
}

/* What the image's repository lacks of base and environment. */
static bool bring_layers(Build *build, GError **error)
{
    for (guint i = 0; i < build->base->layers->len; i++)
        if (!bring_layer(build, STORE_RUNTIMES, build->base->layers->pdata[i], error))
            return false;
    for (guint i = 0; i < build->layers->len; i++) {
        const LayerRow *row = build->layers->pdata[i];
        const Descriptor layer = {row->media_type, row->digest, row->size};
        if (strcmp(row->origin, "environment") == 0 &&
            !bring_layer(build, STORE_ENVIRONMENTS, &layer, error))
            return false;
    }
    return true;
}

/* Config and manifest to the registry that keeps the images, where the layers are. */
static bool build_send(Build *build, const Image *image, GError **error)
{
    const ImageTaking taking = {.from = layout_source(build->service->images), .image = image};
    return !image_store_is_registry(build->service->store) ||
           (bring_layers(build, error) &&
            image_repository_take(build->images, &taking, &build->taken, error));
}

static bool image_is_there(Service *service, const Image *image)
{
    bool there = layout_has_blob(service->images, image->manifest->digest, image->manifest->size) &&
                 layout_has_blob(service->images, image->config->digest, image->config->size);
    for (guint i = 0; there && i < image->layers->len; i++) {
        const Descriptor *layer = image->layers->pdata[i];
        there = layout_has_blob(service->images, layer->digest, layer->size);
    }
    return there;
}

static bool base_layers_record(Service *service, const Job *job, const Image *image, guint count,
                               GError **error)
{
    for (guint i = 0; i < count; i++) {
        const Descriptor *layer = image->layers->pdata[i];
        const LayerRow row = {.origin = (char *)"base",
                              .position = (int)i,
                              .digest = layer->digest,
                              .media_type = layer->media_type,
                              .diff_id = i < image->diff_ids->len ? image->diff_ids->pdata[i]
                                                                  : layer->digest,
                              .size = layer->size};
        if (!layer_insert(service->db, job->model_id, job->attempt, &row, error))
            return false;
    }
    return true;
}

bool image_record(Service *service, const Job *job, const Image *image, guint base_layers,
                  GError **error)
{
    autofd lock = layout_lock(service->images, false, error);
    if (lock < 0)
        return false;
    if (!image_store_is_registry(service->store) && !image_is_there(service, image)) {
        g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_NO_BLOB,
                    "a blob of image %s is gone from the store", image->manifest->digest);
        return false;
    }
    g_autoptr(DbTransaction) transaction = service_transaction_of(service, job->model_id, error);
    return transaction && base_layers_record(service, job, image, base_layers, error) &&
           attempt_set_image(service->db, job->model_id, job->attempt, image->manifest->digest,
                             image->manifest->media_type, image->manifest->size,
                             image->config->digest, image->size, error) &&
           db_commit(service->db, error);
}

/* 33 says that the image is in the store: its manifest is read back, verified, before. */
static bool build_publish(Build *build, const Image *image, GError **error)
{
    Service *service = build->service;
    if (!build_send(build, image, error) ||
        !image_record(service, build->job, image, build->base->layers->len, error) ||
        !service_write_index(service, error) ||
        !tag_put(service, build->images, image, build->model, error))
        return false;
    ImageSource *source = image_repository_source(build->images);
    g_autoptr(GBytes) manifest = source->read(source, image->manifest, false, error);
    return manifest != NULL;
}

static char *build_name(const Build *build)
{
    const Model *model = build->model;
    return service_image_name(build->service, model->project, model->name, model->version);
}

static bool build_log_image(Build *build, const Image *image, GError **error)
{
    for (guint i = 0; i < build->layers->len; i++) {
        const LayerRow *row = build->layers->pdata[i];
        g_autofree char *what = row->file
                                    ? g_strdup(row->file)
                                    : g_strdup_printf("%" G_GINT64_FORMAT " files", row->files);
        if (!build_log(build, error, "layer %s, %" G_GINT64_FORMAT " bytes: %s", row->digest,
                       row->size, what))
            return false;
    }
    g_autofree char *name = build_name(build);
    return build_log(build, error, "config %s", image->config->digest) &&
           build_log(build, error, "manifest %s, read back and verified",
                     image->manifest->digest) &&
           build_log(build, error, "stored as %s", name);
}

static bool build_finish(Build *build, const Image *image, GError **error)
{
    Service *service = build->service;
    g_autofree char *name = build_name(build);
    Event *built =
        event_with(event_image_built(), "{s:s, s:I, s:i, s:i}", "digest", image->manifest->digest,
                   "size", (json_int_t)image->size, "layers", (int)image->layers->len,
                   "base_layers", (int)build->base->layers->len);
    event_with_text(built, "image", name);
    if (image_store_is_registry(service->store))
        event_with(built, "{s:I, s:I}", "bytes_pushed", (json_int_t)build->taken.sent,
                   "bytes_present", (json_int_t)build->taken.present);
    built->duration_ms = clock_monotonic_ms() - build->began;
    g_autoptr(DbTransaction) transaction =
        service_transaction_of(service, build->job->model_id, error);
    if (!transaction) {
        event_free(built);
        return false;
    }
    return build_append(build, built, error) &&
           build_append(build, event_image_build_status("succeeded"), error) &&
           build_log_image(build, image, error) &&
           stage_close(service->db, build->job->model_id, build->job->attempt, "build", "{}",
                       error) &&
           job_wake_waiting(service->db, build->job->id, error) &&
           job_end(service->db, build->job->id, error) && db_commit(service->db, error);
}

StageResult image_build_run(Service *service, Job *job, GError **error)
{
    g_auto(Build) build = {.service = service, .job = job, .began = clock_monotonic_ms()};
    g_autoptr(GError) failure = NULL;
    GPtrArray *unusable = NULL;
    if (job->cancelled_by)
        return build_cancel(&build, job->cancelled_by, error);
    if (!build_load(&build, &unusable, &failure) && unusable)
        return build_fail(&build, unusable, error);
    Event *lost = failure ? NULL : event_lease_lost(service, job, "build");
    if (lost)
        return build_fail(&build, events_new(lost, NULL), error);
    g_autoptr(Image) image = NULL;
    autofd lock = -1; /* gc must not find what is made here before the row that keeps it */
    if (!failure && build_start(&build, &failure)) {
        service_committed(service);
        lock = layout_lock(service->images, false, &failure);
        image = lock >= 0 ? build_make(&build, &failure) : NULL;
    }
    if (!image || !build_publish(&build, image, &failure) ||
        !build_finish(&build, image, &failure)) {
        if (g_error_matches(failure, G_IO_ERROR, G_IO_ERROR_CANCELLED))
            return STAGE_STOPPED;
        if (!db_error_passes(failure))
            return build_fail(&build, events_new(event_of_error(service, failure, 0), NULL), error);
        g_propagate_error(error, g_steal_pointer(&failure));
        return STAGE_ERROR; /* it stays open, as it would after a crash */
    }
    service_committed(service);
    return STAGE_CLOSED;
}
