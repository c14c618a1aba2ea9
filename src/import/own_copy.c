#include "import/own_copy.h"

#include <gio/gio.h>

#include "event/timeline.h"

static json_t *evidence_of(const OwnCopy *copy, const char *place)
{
    g_autofree char *text = event_text(place);
    return json_pack("{s:s, s:i, s:I, s:I, s:I, s:b}", "place", text, "files", (int)copy->files,
                     "bytes", (json_int_t)copy->bytes, "copied_there",
                     (json_int_t)copy->copied_there, "kept", (json_int_t)copy->kept, "acls",
                     copy->acls);
}

StageResult own_copy_keep(Import *import, json_t **kept, GError **error)
{
    const Settings *settings = import->service->settings;
    Progress *progress = &import->service->progress;
    g_autoptr(GError) failure = NULL;
    Event *finding = NULL;
    OwnCopy copy;
    *kept = NULL;
    if (!own_store_is_set(settings))
        return STAGE_CLOSED;
    g_autoptr(OwnStore) store = own_store_open(settings, progress, error);
    if (!store)
        return STAGE_ERROR;
    g_autofree char *directory =
        g_strdup_printf("%s/%s", import->model->project, import->model->id);
    progress_begin(progress, import->package->bytes);
    bool done = own_store_keep(store, import->package, directory, &copy, &finding, &failure);
    progress_end(progress);
    if (finding)
        return import_fail(import, "copy", events_new(finding, NULL), error);
    if (!done && g_error_matches(failure, G_IO_ERROR, G_IO_ERROR_CANCELLED))
        return STAGE_STOPPED;
    if (!done)
        return import_fail(import, "copy",
                           events_new(event_of_error(import->service, failure, 0), NULL), error);
    g_autofree char *place = own_store_place(store, directory);
    *kept = evidence_of(&copy, place);
    package_source_free(import->package->source);
    import->package->source = own_store_source(g_steal_pointer(&store), directory);
    return STAGE_CLOSED;
}
