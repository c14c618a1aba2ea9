#include "model/waste.h"

#include <string.h>

#include "model/ignore.h"

/* Lines of .waybillignore, each of one name, so that it holds at any depth. */
static const char *const LINES[] = {
    /* optimizers and trainers: PyTorch, transformers, accelerate, DeepSpeed, Lightning */
    "optimizer.pt", "optimizer.bin", "*.optim", "scheduler.pt", "scheduler.bin", "rng_state*.pth",
    "random_states_*.pkl", "global_step[0-9]*/", "checkpoint-[0-9]*/", "checkpoints/",
    "events.out.tfevents.*", "wandb/", "lightning_logs/",
    /* histories and caches */
    ".git/", "__pycache__/", ".cache/", ".ipynb_checkpoints/", ".pytest_cache/", ".venv/",
    "node_modules/", "*.tmp"};

static GPtrArray *lines_compile(void)
{
    GPtrArray *compiled = g_ptr_array_new_with_free_func((GDestroyNotify)ignore_rules_free);
    for (size_t i = 0; i < G_N_ELEMENTS(LINES); i++) {
        IgnoreRules *rules = ignore_rules_new();
        g_autofree char *fault = ignore_rules_add(rules, "", LINES[i], strlen(LINES[i]));
        g_assert(!fault);
        g_ptr_array_add(compiled, rules);
    }
    return compiled;
}

/* The index of the first line that leaves the entry out, or -1. */
static int line_of_entry(const GPtrArray *lines, const char *path, bool is_directory)
{
    for (guint i = 0; i < lines->len; i++)
        if (ignore_rules_match(lines->pdata[i], path, is_directory))
            return (int)i;
    return -1;
}

/* The same of a file: the outermost of its directories that is left out decides. */
static int line_of_file(const GPtrArray *lines, const char *path)
{
    g_autofree char *part = g_strdup(path);
    for (char *slash = strchr(part, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        int line = line_of_entry(lines, part, true);
        *slash = '/';
        if (line >= 0)
            return line;
    }
    return line_of_entry(lines, path, false);
}

const char *package_waste_line(const char *path)
{
    g_autoptr(GPtrArray) lines = lines_compile();
    int line = line_of_file(lines, path);
    return line < 0 ? NULL : LINES[line];
}

static int waste_compare(gconstpointer a, gconstpointer b)
{
    const Waste *const *left = a, *const *right = b;
    if ((*left)->bytes != (*right)->bytes)
        return (*left)->bytes < (*right)->bytes ? 1 : -1;
    return strcmp((*left)->line, (*right)->line);
}

GPtrArray *package_waste(const Package *package)
{
    Waste counted[G_N_ELEMENTS(LINES)] = {0};
    g_autoptr(GPtrArray) lines = lines_compile();
    for (guint i = 0; i < package->files->len; i++) {
        const PackageFile *file = package->files->pdata[i];
        int line = line_of_file(lines, file->path);
        if (line < 0)
            continue;
        counted[line].files++;
        counted[line].bytes += file->identity.size;
    }
    GPtrArray *waste = g_ptr_array_new_with_free_func(g_free);
    for (size_t i = 0; i < G_N_ELEMENTS(LINES); i++) {
        counted[i].line = LINES[i];
        if (counted[i].files > 0)
            g_ptr_array_add(waste, g_memdup2(&counted[i], sizeof counted[i]));
    }
    g_ptr_array_sort(waste, waste_compare);
    return waste;
}

static int file_compare_size(gconstpointer a, gconstpointer b)
{
    const PackageFile *const *left = a, *const *right = b;
    if ((*left)->identity.size != (*right)->identity.size)
        return (*left)->identity.size < (*right)->identity.size ? 1 : -1;
    return strcmp((*left)->path, (*right)->path);
}

GPtrArray *package_top(const Package *package)
{
    GPtrArray *sorted = g_ptr_array_sized_new(package->files->len);
    for (guint i = 0; i < package->files->len; i++)
        g_ptr_array_add(sorted, package->files->pdata[i]);
    g_ptr_array_sort(sorted, file_compare_size);
    g_ptr_array_set_size(sorted, (int)MIN(sorted->len, PACKAGE_TOP_MAX));
    return sorted;
}

json_t *package_top_json(const Package *package)
{
    g_autoptr(GPtrArray) files = package_top(package);
    json_t *top = json_array();
    for (guint i = 0; i < files->len; i++) {
        const PackageFile *file = files->pdata[i];
        g_autofree char *path = package_path_in_source(package->child, file->path);
        json_array_append_new(top, json_pack("{s:s, s:I}", "path", path, "size",
                                             (json_int_t)file->identity.size));
    }
    return top;
}

json_t *package_waste_json(const Package *package)
{
    g_autoptr(GPtrArray) all = package_waste(package);
    json_t *array = json_array();
    for (guint i = 0; i < all->len; i++) {
        const Waste *waste = all->pdata[i];
        json_array_append_new(array,
                              json_pack("{s:s, s:I, s:i}", "path", waste->line, "size",
                                        (json_int_t)waste->bytes, "files", (int)waste->files));
    }
    return array;
}
