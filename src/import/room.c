/* Whether there is room for one more import: asked as it begins. Who runs already goes on. */
#include "event/timeline.h"
#include "import/pipeline.h"
#include "store/usage.h"

static bool check_project(const Import *import, Findings *findings, GError **error)
{
    int64_t used;
    const char *setting = "limits.project_storage_gib";
    const int64_t limit = settings_bytes(import->service->settings, setting);
    const Model *model = import->model;
    if (!limit)
        return true;
    if (!usage_of_project(import->service->db, model->project, model->id, &used, error))
        return false;
    if (used < limit)
        return true;
    Event *event = event_with_kind(event_image_build_throttled(), "project_storage");
    event_with(event, "{s:I, s:I, s:s}", "used", (json_int_t)used, "limit", (json_int_t)limit,
               "setting", setting);
    findings_add(findings, event_with_text(event, "project", model->project));
    return true;
}

static void check_disk(const Import *import, Findings *findings)
{
    const char *setting = "store.min_free_gib";
    const int64_t least = settings_bytes(import->service->settings, setting);
    const int64_t free_bytes = data_free_bytes(import->service->data);
    if (free_bytes >= least)
        return;
    Event *event = event_with_kind(event_image_build_throttled(), "disk_watermark");
    findings_add(findings,
                 event_with(event, "{s:I, s:I, s:s, s:s}", "free", (json_int_t)free_bytes, "limit",
                            (json_int_t)least, "setting", setting, "volume", "data directory"));
}

bool import_find_room(const Import *import, Findings *findings, GError **error)
{
    check_disk(import, findings);
    return check_project(import, findings, error);
}
