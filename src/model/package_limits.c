/* The limits of a package: 41 for each file over its limit, 10 for the whole. */
#include <string.h>

#include "model/package.h"

static int file_compare_size(gconstpointer a, gconstpointer b)
{
    const PackageFile *const *left = a, *const *right = b;
    if ((*left)->identity.size != (*right)->identity.size)
        return (*left)->identity.size < (*right)->identity.size ? 1 : -1;
    return strcmp((*left)->path, (*right)->path);
}

/* The ten largest: what to slim down first. */
static json_t *package_top(const Package *package)
{
    g_autoptr(GPtrArray) sorted = g_ptr_array_copy(package->files, NULL, NULL);
    g_ptr_array_set_free_func(sorted, NULL);
    g_ptr_array_sort(sorted, file_compare_size);
    json_t *top = json_array();
    for (guint i = 0; i < sorted->len && i < 10; i++) {
        const PackageFile *file = sorted->pdata[i];
        g_autofree char *path = package_path_in_source(package->child, file->path);
        json_array_append_new(top, json_pack("{s:s, s:I}", "path", path, "size",
                                             (json_int_t)file->identity.size));
    }
    return top;
}

void package_check_limits(const Package *package, const char *name, const PackageLimits *limits,
                          Findings *findings)
{
    for (guint i = 0; i < package->files->len; i++) {
        const PackageFile *file = package->files->pdata[i];
        int64_t size = file->identity.size;
        if (size <= limits->model_file_bytes)
            continue;
        g_autofree char *path = package_path_in_source(package->child, file->path);
        Event *event =
            event_with_limit_gib(event_model_file_too_large(path), limits->model_file_gib);
        findings_add(findings,
                     event_with(event, "{s:s, s:I, s:I, s:I, s:s}", "file", path, "size",
                                (json_int_t)size, "limit", (json_int_t)limits->model_file_bytes,
                                "over", (json_int_t)(size - limits->model_file_bytes), "setting",
                                "limits.model_file_gib"));
    }
    if (package->bytes <= limits->model_bytes)
        return;
    Event *event = event_size_limit_exceeded("Model", name, limits->model_gib);
    event_with(event, "{s:I, s:I, s:I, s:s, s:i}", "size", (json_int_t)package->bytes, "limit",
               (json_int_t)limits->model_bytes, "over",
               (json_int_t)(package->bytes - limits->model_bytes), "setting", "limits.model_gib",
               "files", (int)package->files->len);
    findings_add(findings, event_with_json(event, "top", package_top(package)));
}
