/* Custom images: the source is looked at (size), then copied into our own store, verified
 * (source). */
#include <gio/gio.h>
#include <string.h>

#include "base/clock.h"
#include "base/io.h"
#include "event/timeline.h"
#include "image/place.h"
#include "import/logins.h"
#include "import/pipeline.h"
#include "import/source_events.h"
#include "import/sources.h"
#include "import/tags.h"

typedef struct {
    Import *import;
    Reference *reference;
    ImagePlace place;
    Image *image;
    ImageFault fault;
} Source;

static void source_clear(Source *source)
{
    reference_free(source->reference);
    image_place_clear(&source->place);
    image_free(source->image);
    image_fault_clear(&source->fault);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Source, source_clear)

static const char *source_platform(const Import *import)
{
    const char *platform = import->request->platform;
    if (platform)
        return platform;
    platform = settings_text(import->service->settings, "image.platform");
    return *platform ? platform : image_host_platform();
}

/* The reference as the request or the package's config wrote it. */
static const char *source_text(const Import *import)
{
    return import_request_is_reference(import->request) ? import->request->source
                                                        : import->config->swr_location;
}

/* What a layout of the service's own disk, or a registry, may be asked for this request. Asked
 * again: links may lead elsewhere than when the request was admitted. */
static bool source_is_allowed(const Source *source, const char *directory)
{
    const Import *import = source->import;
    const Settings *settings = import->service->settings;
    return directory ? sources_allow_layout(settings, import->request, directory)
                     : sources_allow_registry(settings, import->request, source->reference);
}

static bool source_open_place(Source *source, GError **error)
{
    Import *import = source->import;
    Service *service = import->service;
    g_autoptr(GError) failure = NULL;
    source->reference = reference_parse(source_text(import), error);
    if (!source->reference)
        return false;
    g_autofree char *directory =
        source->reference->kind == REFERENCE_LAYOUT
            ? import_request_directory(import->request, source->reference->directory)
            : NULL;
    if (!source_is_allowed(source, directory)) {
        g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_NO_LAYOUT,
                    "%s is nothing that this project may import from", source_text(import));
        return false;
    }
    RegistryLogin *login = login_for(service, import->request->project,
                                     !import->request->asked_over, source->reference, &failure);
    if (failure) {
        g_propagate_error(error, g_steal_pointer(&failure));
        return false;
    }
    if (!image_place_open(&source->place, source->reference, directory, service->settings, login,
                          &service->progress, error))
        return false;
    /* Who asks over HTTP shows by its bytes that he may have a blob that others brought. */
    source->place.source->spares = source->place.registry && !import->request->asked_over;
    return true;
}

static bool source_read(Source *source, GError **error)
{
    if (!source_open_place(source, error))
        return false;
    source->image = image_place_read(&source->place, source->reference,
                                     source_platform(source->import), &source->fault, error);
    return source->image != NULL;
}

/* As podman and skopeo take it. */
static const char *source_shown(const Import *import)
{
    const char *text = source_text(import);
    return text + (g_str_has_prefix(text, REFERENCE_PLAIN_HTTP) ? strlen(REFERENCE_PLAIN_HTTP) : 0);
}

static Event *event_of_source(const Source *source, const GError *failure)
{
    const SourceView view = {source->reference, source_shown(source->import),
                             source_platform(source->import), &source->place, &source->fault};
    return source_event(&view, failure);
}

char *source_image_digest(Import *import, GError **error)
{
    g_auto(Source) source = {.import = import};
    return source_read(&source, error) ? g_strdup(source.image->manifest->digest) : NULL;
}

/* Opens the source. What is wrong with it ends the attempt in the stage. */
static StageResult source_open(Source *source, const char *stage, GError **error)
{
    StageResult looked = import_look(source->import, stage, error);
    g_autoptr(GError) failure = NULL;
    if (looked != STAGE_CLOSED || source_read(source, &failure))
        return looked;
    if (g_error_matches(failure, G_IO_ERROR, G_IO_ERROR_CANCELLED))
        return STAGE_STOPPED;
    Event *event = event_of_source(source, failure);
    if (event)
        return import_fail(source->import, stage, events_new(event, NULL), error);
    g_propagate_error(error, g_steal_pointer(&failure));
    return STAGE_ERROR;
}

static Event *event_over_limit(const Source *source)
{
    const Settings *settings = source->import->service->settings;
    int64_t limit = settings_bytes(settings, "limits.image_gib"), size = source->image->size;
    if (size <= limit)
        return NULL;
    Event *event = event_size_limit_exceeded("Image", source_text(source->import),
                                             settings_text(settings, "limits.image_gib"));
    return event_with(event, "{s:I, s:I, s:I, s:s, s:i}", "size", (json_int_t)size, "limit",
                      (json_int_t)limit, "over", (json_int_t)(size - limit), "setting",
                      "limits.image_gib", "layers", (int)source->image->layers->len);
}

static bool source_record(const Source *source, GError **error)
{
    const Import *import = source->import;
    const char *text =
        import->config && import->config->document ? import->config->document->text : NULL;
    g_autoptr(DbTransaction) transaction =
        service_transaction_of(import->service, import->model->id, error);
    return transaction &&
           attempt_set_package(import->service->db, import->model->id, import->job->attempt,
                               source->image->size, source->image->manifest->digest, text, NULL,
                               error) &&
           db_commit(import->service->db, error);
}

/* What the stage says: the size; of an image that the attempt before saw, too, nothing; of another
 * one that it is another. NULL: *error. */
static GPtrArray *size_events(const Source *source, GError **error)
{
    Import *import = source->import;
    g_autoptr(GError) failure = NULL;
    int before = import->job->attempt - 1;
    const char *digest = source->image->manifest->digest, *from = import->request->from;
    g_autofree char *closed =
        stage_result(import->service->db, import->model->id, before, "size", &failure);
    g_autoptr(Attempt) row =
        closed ? attempt_load(import->service->db, import->model->id, before, &failure) : NULL;
    if (failure) {
        g_propagate_error(error, g_steal_pointer(&failure));
        return NULL;
    }
    bool same = row && g_strcmp0(row->listing, digest) == 0;
    if (same && g_strcmp0(from, "check") != 0 && g_strcmp0(from, "size") != 0)
        return events_new(NULL, NULL);
    GPtrArray *events = g_ptr_array_new_with_free_func((GDestroyNotify)event_free);
    if (row && !same) {
        g_autofree char *attempt = g_strdup_printf("%d", before);
        Event *changed = event_with(event_source_changed("1", attempt, "source"), "{s:I, s:s}",
                                    "files", (json_int_t)1, "digest", digest);
        changed->stage = "source";
        g_ptr_array_add(events, event_with_text(changed, "path", source_text(import)));
    }
    Event *event =
        event_with(event_source_image_size_calculated(), "{s:I, s:i, s:s, s:s}", "size",
                   (json_int_t)source->image->size, "layers", (int)source->image->layers->len,
                   "platform", source->image->platform, "digest", digest);
    event->stage = "source";
    g_ptr_array_add(events, event_with_text(event, "image", source_text(import)));
    return events;
}

StageResult stage_source_size(Import *import, GError **error)
{
    g_auto(Source) source = {.import = import};
    StageResult result = source_open(&source, "source", error);
    if (result != STAGE_CLOSED)
        return result;
    Event *over = event_over_limit(&source);
    if (over) {
        over->stage = "source";
        return import_fail(import, "source", events_new(over, NULL), error);
    }
    GPtrArray *events = size_events(&source, error);
    if (!events)
        return STAGE_ERROR;
    if (source_record(&source, error))
        return import_close(import, "size", json_object(), events, error);
    g_ptr_array_unref(events);
    return STAGE_ERROR;
}

/* 24: the registry that keeps the images does not take this one. */
static Event *event_of_target(const Source *source, const ImageTaken *taken, const GError *failure)
{
    Import *import = source->import;
    const Model *model = import->model;
    Registry *registry = import->images ? image_repository_registry(import->images) : NULL;
    if (!registry || failure->domain != REGISTRY_ERROR)
        return NULL;
    const RegistryFailure *last = registry_failure(registry);
    bool denied = last->status == 401 || last->status == 403 || last->status == 404;
    g_autofree char *target =
        service_image_name(import->service, model->project, model->name, model->version);
    Event *event = event_with_kind(event_source_image_share_failed(),
                                   denied ? "target_denied" : "target_broken");
    event_with(event, "{s:I, s:I, s:b}", "done", (json_int_t)(taken->sent + taken->present), "size",
               (json_int_t)source->image->size, "mount_tried", source->place.registry != NULL);
    event_with_text(event, "target", target);
    event_with_text(event, "error",
                    last->reason && !last->status ? last->reason : failure->message);
    return event_with_registry(event, registry, source_shown(import));
}

static StageResult source_copy_failed(Source *source, const ImageTaken *taken,
                                      const GError *failure, GError **error)
{
    Import *import = source->import;
    if (g_error_matches(failure, G_IO_ERROR, G_IO_ERROR_CANCELLED))
        return STAGE_STOPPED;
    Event *event = taken->source_failed ? event_of_source(source, failure)
                                        : event_of_target(source, taken, failure);
    if (!event)
        event = event_of_error(import->service, failure, source->image->size);
    return import_fail(import, "source", events_new(event, NULL), error);
}

/* All layers are the source's own: their origin is "base". */
static bool source_publish(const Source *source, GError **error)
{
    Import *import = source->import;
    ImageRepository *images = import_images(import, error);
    return images &&
           image_record(import->service, import->job, source->image, source->image->layers->len,
                        error) &&
           service_write_index(import->service, error) &&
           tag_put(import->service, images, source->image, import->model, error);
}

static bool source_take(Source *source, ImageTaken *taken, GError **error)
{
    Service *service = source->import->service;
    ImageRepository *images =
        service_has_room(service, error) ? import_images(source->import, error) : NULL;
    const ImageTaking taking = {.from = source->place.source,
                                .image = source->image,
                                .mount_from = source->place.registry,
                                .fault = &source->fault};
    *taken = (ImageTaken){0};
    progress_begin(&service->progress, source->image->size);
    bool done = images && image_repository_take(images, &taking, taken, error);
    progress_end(&service->progress);
    return done;
}

StageResult stage_source(Import *import, GError **error)
{
    Service *service = import->service;
    g_auto(Source) source = {.import = import};
    StageResult result = source_open(&source, "source", error);
    if (result != STAGE_CLOSED)
        return result;
    Event *over = event_over_limit(&source); /* a tag may have moved since it was looked at */
    if (over)
        return import_fail(import, "source", events_new(over, NULL), error);
    ImageTaken taken;
    g_autoptr(GError) failure = NULL;
    /* gc must not find the copies before the row that keeps them. */
    autofd lock = layout_lock(service->images, false, error);
    if (lock < 0)
        return STAGE_ERROR;
    if (!source_take(&source, &taken, &failure))
        return source_copy_failed(&source, &taken, failure, error);
    if (!source_publish(&source, error))
        return STAGE_ERROR;
    const Model *model = import->model;
    g_autofree char *target =
        service_image_name(service, model->project, model->name, model->version);
    Event *event = event_with(event_source_image_shared(), "{s:s, s:I, s:I, s:I}", "digest",
                              source.image->manifest->digest, "bytes_copied",
                              (json_int_t)taken.sent, "bytes_mounted", (json_int_t)taken.present,
                              "duration_ms", (json_int_t)(clock_monotonic_ms() - import->began));
    event_with_text(event, "target", target);
    return import_close(import, "source", json_object(),
                        events_new(event_with_text(event, "image", source_text(import)), NULL),
                        error);
}
