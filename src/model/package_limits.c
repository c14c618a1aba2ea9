/* The limits of a package: 41 for each file over its limit, 10 for the whole. */
#include "model/package.h"
#include "model/waste.h"

/* Both events say where the bytes are. No waste, no word about it. */
static Event *with_largest(Event *event, const Package *package)
{
    json_t *waste = package_waste_json(package);
    event_with_text(event, "source", package->directory);
    event_with_json(event, "top", package_top_json(package));
    if (json_array_size(waste) > 0)
        json_object_set(event->evidence, "waste", waste);
    json_decref(waste);
    return event;
}

static Event *finding_of_file(const Package *package, const PackageFile *file,
                              const PackageLimits *limits)
{
    g_autofree char *path = package_path_in_source(package->child, file->path);
    const char *line = package_waste_line(file->path);
    int64_t size = file->identity.size;
    Event *event = event_with_limit_gib(event_model_file_too_large(path), limits->model_file_gib);
    event_with(event, "{s:s, s:I, s:I, s:I, s:s, s:s*}", "file", path, "size", (json_int_t)size,
               "limit", (json_int_t)limits->model_file_bytes, "over",
               (json_int_t)(size - limits->model_file_bytes), "setting", "limits.model_file_gib",
               "ignore_line", line);
    return with_largest(event, package);
}

void package_check_limits(const Package *package, const char *name, const PackageLimits *limits,
                          Findings *findings)
{
    for (guint i = 0; i < package->files->len; i++) {
        const PackageFile *file = package->files->pdata[i];
        if (file->identity.size > limits->model_file_bytes)
            findings_add(findings, finding_of_file(package, file, limits));
    }
    if (package->bytes <= limits->model_bytes)
        return;
    Event *event = event_size_limit_exceeded("Model", name, limits->model_gib);
    event_with(event, "{s:I, s:I, s:I, s:s, s:i}", "size", (json_int_t)package->bytes, "limit",
               (json_int_t)limits->model_bytes, "over",
               (json_int_t)(package->bytes - limits->model_bytes), "setting", "limits.model_gib",
               "files", (int)package->files->len);
    findings_add(findings, with_largest(event, package));
}
