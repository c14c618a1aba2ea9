#include "import/import.h"
#include "model/waste.h"

json_t *import_check_json(const Findings *findings, const Package *package)
{
    json_t *events = json_array();
    for (guint i = 0; i < findings->events->len; i++)
        json_array_append_new(events, event_json(findings->events->pdata[i], NULL));
    json_t *object = json_pack("{s:o}", "findings", events);
    if (!package || !package->child_found)
        return object;
    json_object_set_new(object, "files", json_integer(package->files->len));
    json_object_set_new(object, "bytes", json_integer((json_int_t)package->bytes));
    json_object_set_new(object, "top", package_top_json(package));
    json_object_set_new(object, "waste", package_waste_json(package));
    return object;
}
