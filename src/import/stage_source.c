/* Custom images: the source is looked at (size), then copied into our own store, verified (source).
 * Which answer gives which event: images.md. A layout behaves like a registry: no directory or no
 * layout 19, a tag that is not in its index 7, a blob that is missing or damaged 19, what is
 * malformed 9, a blob that cannot be read 24. */
#include <gio/gio.h>
#include <string.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/nearest.h"
#include "event/timeline.h"
#include "image/reference.h"
#include "import/pipeline.h"
#include "import/sources.h"

typedef struct {
    Import *import;
    Reference *reference;
    Layout *layout;
    Image *image;
    ImageFault fault;
} Source;

static void source_clear(Source *source)
{
    reference_free(source->reference);
    layout_free(source->layout);
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

static json_t *names_json(char *const *names, guint most)
{
    json_t *array = json_array();
    for (guint i = 0; names && names[i] && i < most; i++)
        json_array_append_new(array, json_string(names[i]));
    return array;
}

static Event *with_source(Event *event, const Source *source)
{
    event_with_text(event, "image", source_text(source->import));
    if (source->fault.bad_digest)
        event_with_text(event, "digest", source->fault.bad_digest);
    return event;
}

static Event *event_not_found(const Source *source, const char *kind, const char *which,
                              const GError *failure)
{
    Event *event = event_with_kind(event_source_image_not_found(), kind);
    event_with_text(event, "which", which);
    event_with_text(event, "error", failure->message);
    return with_source(event, source);
}

static Event *event_damaged(const Source *source, const GError *failure)
{
    Event *event = event_not_found(source, "damaged", "blob", failure);
    if (source->fault.bad_digest)
        event_with_text(event, "expected", source->fault.bad_digest);
    return event_with_text(event, "found", source->fault.found ? source->fault.found : "missing");
}

static Event *event_platform(const Source *source, const GError *failure)
{
    Event *event = event_not_found(source, "platform", "platform", failure);
    event_with_text(event, "expected", source_platform(source->import));
    return event_with_json(event, "found", names_json(source->fault.platforms, 20));
}

static Event *event_tag_missing(Source *source)
{
    g_auto(GStrv) tags = layout_tags(source->layout, NULL);
    Event *event = event_image_tag_not_found(source->reference->directory, source->reference->tag);
    with_source(event, source);
    event_with_text(event, "repository", source->reference->directory);
    event_with(event, "{s:i}", "n", tags ? (int)g_strv_length(tags) : 0);
    const char *nearest =
        tags ? text_nearest(source->reference->tag, (const char *const *)tags) : NULL;
    if (nearest)
        event_with_text(event, "nearest", nearest);
    return event_with_json(event, "tags", names_json(tags, 10));
}

static Event *event_malformed(Source *source, const GError *failure)
{
    Event *event =
        event_with_kind(event_image_tag_list_failed(source->reference->directory), "malformed");
    event_with_text(event, "error", failure->message);
    return with_source(event, source);
}

/* A blob of the source cannot be read: no fault of the service's own files. */
static Event *event_broken(Source *source, const GError *failure)
{
    Event *event = event_with_kind(event_source_image_share_failed(), "broken");
    event_with(event, "{s:i, s:s}", "errno", failure->code, "error", g_strerror(failure->code));
    return with_source(event, source);
}

/* NULL: it is no failure of the source. */
static Event *event_of_image_error(Source *source, const GError *failure)
{
    if (failure->domain == IO_ERROR && source->fault.bad_digest)
        return event_broken(source, failure);
    if (failure->domain != IMAGE_ERROR)
        return NULL;
    switch ((ImageError)failure->code) {
    case IMAGE_ERROR_NO_LAYOUT:
        return event_not_found(source, "manifest", "repository", failure);
    case IMAGE_ERROR_NO_TAG:
        return event_tag_missing(source);
    case IMAGE_ERROR_NO_MANIFEST:
        return event_not_found(source, "manifest", "manifest", failure);
    case IMAGE_ERROR_NO_BLOB:
    case IMAGE_ERROR_DAMAGED:
        return event_damaged(source, failure);
    case IMAGE_ERROR_PLATFORM:
        return event_platform(source, failure);
    case IMAGE_ERROR_MALFORMED:
    case IMAGE_ERROR_UNSUPPORTED:
        return event_malformed(source, failure);
    }
    return NULL;
}

static json_t *source_resolve(Source *source, GError **error)
{
    if (source->reference->digest)
        return json_pack("{s:s}", "digest", source->reference->digest);
    return layout_resolve(source->layout, source->reference->tag, error);
}

static bool source_read(Source *source, GError **error)
{
    Import *import = source->import;
    source->reference = reference_parse(source_text(import), error);
    if (!source->reference)
        return false;
    g_autofree char *directory =
        import_request_directory(import->request, source->reference->directory);
    /* Asked again: links may lead elsewhere than when the request was admitted. */
    if (!sources_allow_layout(import->service->settings, import->request, directory)) {
        g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_NO_LAYOUT,
                    "%s is nothing that this project may import from", source_text(import));
        return false;
    }
    source->layout = layout_open(directory, error);
    json_t *descriptor = source->layout ? source_resolve(source, error) : NULL;
    if (descriptor)
        source->image = image_read(layout_source(source->layout), descriptor,
                                   source_platform(import), &source->fault, error);
    json_decref(descriptor);
    return source->image != NULL;
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
    Event *event = event_of_image_error(source, failure);
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
    g_autoptr(DbTransaction) transaction = service_transaction(import->service, error);
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

static StageResult source_copy_failed(Source *source, const GError *failure, GError **error)
{
    Import *import = source->import;
    if (g_error_matches(failure, G_IO_ERROR, G_IO_ERROR_CANCELLED))
        return STAGE_STOPPED;
    Event *event = event_of_image_error(source, failure);
    if (!event)
        event = event_of_error(import->service, failure, source->image->size);
    return import_fail(import, "source", events_new(event, NULL), error);
}

/* All layers are the source's own: their origin is "base". */
static bool source_publish(const Source *source, GError **error)
{
    Import *import = source->import;
    return image_record(import->service, import->job, source->image, source->image->layers->len,
                        error) &&
           service_write_index(import->service, error);
}

StageResult stage_source(Import *import, GError **error)
{
    Service *service = import->service;
    g_auto(Source) source = {.import = import};
    StageResult result = source_open(&source, "source", error);
    if (result != STAGE_CLOSED)
        return result;
    int64_t copied = 0, reused = 0;
    g_autoptr(GError) failure = NULL;
    /* gc must not find the copies before the row that keeps them. */
    autofd lock = layout_lock(service->images, false, error);
    if (lock < 0)
        return STAGE_ERROR;
    progress_begin(&service->progress, source.image->size);
    bool done = service_has_room(service, &failure) &&
                image_copy(layout_source(source.layout), source.image, service->images,
                           &service->progress, &copied, &reused, &source.fault, &failure);
    progress_end(&service->progress);
    if (!done)
        return source_copy_failed(&source, failure, error);
    if (!source_publish(&source, error))
        return STAGE_ERROR;
    g_autofree char *target =
        reference_name(import->model->project, import->model->name, import->model->version);
    Event *event = event_with(event_source_image_shared(), "{s:s, s:I, s:I, s:I}", "digest",
                              source.image->manifest->digest, "bytes_copied", (json_int_t)copied,
                              "bytes_mounted", (json_int_t)reused, "duration_ms",
                              (json_int_t)(clock_monotonic_ms() - import->began));
    event_with_text(event, "target", target);
    return import_close(import, "source", json_object(),
                        events_new(event_with_text(event, "image", source_text(import)), NULL),
                        error);
}
