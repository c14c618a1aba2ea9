/* The base image of a runtime. */
#include <gio/gio.h>

#include "import/pipeline.h"
#include "import/source_events.h"
#include "import/store_events.h"
#include "store/runtimes.h"

static json_t *descriptor_of(const Runtime *runtime)
{
    return json_pack("{s:s, s:s, s:I}", "mediaType", runtime->media_type, "digest", runtime->digest,
                     "size", (json_int_t)runtime->manifest_size);
}

/* What went wrong, for the events about it. */
typedef struct {
    Service *service;
    const Runtime *runtime;
    ImageRepository *kept; /* of a registry; NULL: it was not asked */
    ImageFault fault;
} BaseFailure;

static void base_failure_clear(BaseFailure *failure)
{
    image_repository_free(failure->kept);
    image_fault_clear(&failure->fault);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BaseFailure, base_failure_clear)

static bool layers_are_there(Service *service, const Image *image, GError **error)
{
    for (guint i = 0; i < image->layers->len; i++) {
        const Descriptor *layer = image->layers->pdata[i];
        if (layout_has_blob(service->images, layer->digest, layer->size))
            continue;
        g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_NO_BLOB, "layer %s is missing from the store",
                    layer->digest);
        return false;
    }
    return true;
}

/* As it lies in the layout. */
static Image *read_here(BaseFailure *base, GError **error)
{
    Service *service = base->service;
    json_auto_t *descriptor = descriptor_of(base->runtime);
    g_autoptr(Image) image = image_read(layout_source(service->images), descriptor,
                                        base->runtime->platform, &base->fault, error);
    return image && layers_are_there(service, image, error) ? g_steal_pointer(&image) : NULL;
}

/* From the registry that keeps the images; where it is to be at hand, into the layout. */
static Image *read_there(BaseFailure *base, bool at_hand, GError **error)
{
    int64_t copied, reused;
    Service *service = base->service;
    base->kept = image_repository_open(service->store, STORE_RUNTIMES, error);
    if (!base->kept)
        return NULL;
    ImageSource *from = image_repository_source(base->kept);
    json_auto_t *descriptor = descriptor_of(base->runtime);
    g_autoptr(Image) image =
        image_read(from, descriptor, base->runtime->platform, &base->fault, error);
    if (!image || !at_hand)
        return g_steal_pointer(&image);
    from->spares = true; /* what is here came from there */
    bool copied_all = service_has_room(service, error) &&
                      image_copy(from, image, service->images, &service->progress, &copied, &reused,
                                 &base->fault, error);
    return copied_all ? g_steal_pointer(&image) : NULL;
}

static Image *read_base(BaseFailure *base, bool at_hand, GError **error)
{
    g_autoptr(GError) failure = NULL;
    Image *image = read_here(base, &failure);
    if (image)
        return image;
    if (image_store_is_registry(base->service->store)) {
        image_fault_clear(&base->fault);
        return read_there(base, at_hand, error);
    }
    g_propagate_error(error, g_steal_pointer(&failure));
    return NULL;
}

/* 7, 9, 16, 18 or 19 of the registry that keeps it; NULL: it is none of them. */
static Event *event_before(const BaseFailure *base, const GError *failure)
{
    Registry *registry = base->kept ? image_repository_registry(base->kept) : NULL;
    if (!registry)
        return NULL;
    g_autofree char *text = g_strdup_printf("%s/%s@%s", registry_host(registry),
                                            registry_repository(registry), base->runtime->digest);
    g_autoptr(Reference) reference = reference_parse(text, NULL);
    const ImagePlace place = {NULL, registry, registry_source(registry)};
    const SourceView view = {reference, text, base->runtime->platform, &place, &base->fault};
    Event *event = reference ? source_event(&view, failure) : NULL;
    if (!event || event->reason != EVENT_SourceImageShareFailed)
        return event;
    event_free(event);
    return NULL;
}

static GPtrArray *events_unusable(const BaseFailure *base, const char *name, const GError *failure)
{
    const Runtime *runtime = base->runtime;
    GPtrArray *events = g_ptr_array_new_with_free_func((GDestroyNotify)event_free);
    Event *before = failure ? event_before(base, failure) : NULL;
    Event *refused = failure && !before ? store_event(base->service, failure) : NULL;
    if (before)
        g_ptr_array_add(events, before);
    Event *event = refused ? refused : event_with_kind(event_image_build_failed(), "base_unusable");
    event->follows = before != NULL;
    event_with_text(event, "runtime", name);
    event_with_text(event, "base", runtime ? runtime->image : name);
    event_with_text(event, "what", failure ? failure->message : "the runtime was removed");
    if (base->fault.bad_digest)
        event_with_text(event, "digest", base->fault.bad_digest);
    g_ptr_array_add(events, event);
    return events;
}

Image *base_image(Service *service, const char *name, bool at_hand, char **reference,
                  GPtrArray **events, GError **error)
{
    g_autoptr(GError) failure = NULL;
    g_autoptr(Runtime) runtime = runtime_find(service->db, name, &failure);
    g_auto(BaseFailure) base = {.service = service, .runtime = runtime};
    if (failure) {
        g_propagate_error(error, g_steal_pointer(&failure));
        return NULL;
    }
    Image *image = runtime ? read_base(&base, at_hand, &failure) : NULL;
    if (image)
        *reference = g_strdup(runtime->image);
    else if (g_error_matches(failure, G_IO_ERROR, G_IO_ERROR_CANCELLED))
        g_propagate_error(error, g_steal_pointer(&failure));
    else
        *events = events_unusable(&base, name, failure);
    return image;
}
