/* Stage `share`, where image.share_to names repositories: each gets the image. One that refuses it
 * is event 32; whether that fails the import is image.share_required. */
#include <gio/gio.h>
#include <string.h>

#include "base/io.h"
#include "import/copy.h"
#include "import/logins.h"
#include "import/pipeline.h"
#include "import/source_events.h"

bool share_is_wanted(const Import *import)
{
    return *settings_text(import->service->settings, "image.share_to") != '\0';
}

/* HOST/NAMESPACE/PROJECT/REPOSITORY:VERSION */
static char *target_of(const Import *import, const char *namespace)
{
    g_autofree char *name =
        reference_name(import->model->project, import->model->name, import->model->version);
    return g_strdup_printf("%s%s%s", namespace, g_str_has_suffix(namespace, "/") ? "" : "/", name);
}

static Event *event_not_shared(const Registry *registry, const char *target, const char *image,
                               const json_t *shared, const GError *failure)
{
    Event *event = event_roma_image_share_failed();
    if (registry)
        event_with_registry(event, registry, image);
    event_with_text(event, "image", image);
    event_with_text(event, "target", target);
    event_with_text(event, "error", failure->message);
    return event_with_json(event, "shared", json_deep_copy(shared));
}

/* What the sharing has come to. */
typedef struct {
    Import *import;
    CopySource source;
    json_t *shared;    /* [{target, digest, bytes_copied, bytes_mounted, described, why?}] */
    Reference *former; /* the target that got it last, or NULL */
    GPtrArray *events;
    bool stopped;
} Sharing;

static void note_shared(Sharing *sharing, Reference *to, const CopiedBytes *copied)
{
    const ImagePushed *pushed = &copied->pushed;
    json_t *row =
        json_pack("{s:s, s:s, s:I, s:I, s:b}", "target", to->text, "digest",
                  sharing->source.image->manifest->digest, "bytes_copied", (json_int_t)pushed->sent,
                  "bytes_mounted", (json_int_t)(pushed->mounted + pushed->present), "described",
                  copied->described);
    g_autofree char *why = copied->why ? event_text(copied->why) : NULL;
    if (why)
        json_object_set_new(row, "why", json_string(why));
    json_array_append_new(sharing->shared, row);
    reference_free(sharing->former);
    sharing->former = to;
}

static void note_failure(Sharing *sharing, const Registry *registry, const char *target,
                         const GError *failure)
{
    const Model *model = sharing->import->model;
    g_autofree char *name =
        service_image_name(sharing->import->service, model->project, model->name, model->version);
    sharing->stopped = g_error_matches(failure, G_IO_ERROR, G_IO_ERROR_CANCELLED);
    if (!sharing->stopped)
        g_ptr_array_add(sharing->events,
                        event_not_shared(registry, target, name, sharing->shared, failure));
}

static void share_with(Sharing *sharing, const char *target)
{
    CopiedBytes copied = {0};
    g_autoptr(GError) failure = NULL;
    g_autoptr(Registry) registry = NULL;
    Service *service = sharing->import->service;
    g_autoptr(Reference) to = reference_parse(target, &failure);
    RegistryLogin *login = to ? login_for(service, NULL, true, to, &failure) : NULL;
    const Reference *former = sharing->former;
    bool near = to && former && g_strcmp0(former->host, to->host) == 0;
    if (to && !failure &&
        copy_to_registry(service, &sharing->source, login, to, near ? former->repository : NULL,
                         &registry, &copied, &failure))
        note_shared(sharing, g_steal_pointer(&to), &copied);
    else
        note_failure(sharing, registry, target, failure);
    g_free(copied.why);
}

/* With all of them, whatever becomes of one. */
static void share_with_all(Sharing *sharing)
{
    const Settings *settings = sharing->import->service->settings;
    g_auto(GStrv) namespaces = g_strsplit_set(settings_text(settings, "image.share_to"), " \t", -1);
    for (char **namespace = namespaces; *namespace && !sharing->stopped; namespace ++) {
        g_autofree char *target = **namespace ? target_of(sharing->import, *namespace) : NULL;
        if (target)
            share_with(sharing, target);
    }
}

StageResult stage_share(Import *import, GError **error)
{
    Service *service = import->service;
    autofd lock = layout_lock(service->images, false, error);
    g_autoptr(Image) image = lock >= 0 ? import_image(import, error) : NULL;
    ImageRepository *images = image ? import_images(import, error) : NULL;
    if (!images)
        return STAGE_ERROR;
    Sharing sharing = {import, {0}, json_array(), NULL, events_new(NULL, NULL), false};
    if (!copy_source_of_model(&sharing.source, service, images, import->model->id, image, error)) {
        copy_source_clear(&sharing.source);
        json_decref(sharing.shared);
        g_ptr_array_unref(sharing.events);
        return STAGE_ERROR;
    }
    share_with_all(&sharing);
    copy_source_clear(&sharing.source);
    reference_free(sharing.former);
    json_t *result = json_pack("{s:o}", "shared", sharing.shared);
    bool failed = sharing.events->len && settings_bool(service->settings, "image.share_required");
    if (!sharing.stopped && !failed)
        return import_close(import, "share", result, sharing.events, error);
    json_decref(result);
    if (!sharing.stopped)
        return import_fail(import, "share", sharing.events, error);
    g_ptr_array_unref(sharing.events);
    return STAGE_STOPPED;
}
