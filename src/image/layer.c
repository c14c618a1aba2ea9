#include "image/layer.h"

#include <string.h>

#include "image/tar.h"

#define END_BLOCKS (2 * TAR_BLOCK)

static LayerPlan *plan_new(void)
{
    LayerPlan *plan = g_new0(LayerPlan, 1);
    plan->files = g_ptr_array_new();
    return plan;
}

void layer_plan_free(LayerPlan *plan)
{
    if (!plan)
        return;
    g_ptr_array_unref(plan->files);
    g_free(plan);
}

static void plan_add(LayerPlan *plan, const PackageFile *file)
{
    g_ptr_array_add(plan->files, (gpointer)file);
    plan->bytes += file->identity.size;
}

/* Files of at least `large` bytes alone, the others together up to `shared_max`. */
static GPtrArray *share_out(const GPtrArray *files, int64_t large, int64_t shared_max)
{
    GPtrArray *layers = g_ptr_array_new_with_free_func((GDestroyNotify)layer_plan_free);
    LayerPlan *shared = NULL;
    for (guint i = 0; i < files->len; i++) {
        const PackageFile *file = files->pdata[i];
        if (file->identity.size >= large)
            continue;
        if (!shared || shared->bytes + file->identity.size > shared_max) {
            shared = plan_new();
            g_ptr_array_add(layers, shared);
        }
        plan_add(shared, file);
    }
    for (guint i = 0; i < files->len; i++) {
        const PackageFile *file = files->pdata[i];
        if (file->identity.size < large)
            continue;
        LayerPlan *own = plan_new();
        plan_add(own, file);
        g_ptr_array_add(layers, own);
    }
    return layers;
}

GPtrArray *layer_plan(const Package *package, int max_layers)
{
    int64_t large = LAYER_LARGE_FILE, shared_max = LAYER_SHARED_MAX;
    for (;;) {
        GPtrArray *layers = share_out(package->files, large, shared_max);
        if (layers->len <= (guint)MAX(max_layers, 1) || shared_max > INT64_MAX / 2)
            return layers;
        g_ptr_array_unref(layers);
        large *= 2;
        shared_max *= 2;
    }
}

bool layer_plan_is_single(const LayerPlan *plan)
{
    return plan->files->len == 1 && plan->bytes >= LAYER_LARGE_FILE;
}

void layer_plan_headers(const LayerPlan *plan, guint index, GByteArray *out)
{
    const PackageFile *file = plan->files->pdata[index];
    const PackageFile *before = index > 0 ? plan->files->pdata[index - 1] : NULL;
    g_autofree char *path = g_strconcat(LAYER_ROOT "/", file->path, NULL);
    g_autofree char *previous = before ? g_strconcat(LAYER_ROOT "/", before->path, NULL) : NULL;
    tar_append_parents(out, LAYER_ROOT, previous, path);
    tar_append_file(out, path, file->identity.size);
}

int64_t layer_plan_size(const LayerPlan *plan)
{
    int64_t size = END_BLOCKS;
    g_autoptr(GByteArray) headers = g_byte_array_new();
    for (guint i = 0; i < plan->files->len; i++) {
        const PackageFile *file = plan->files->pdata[i];
        g_byte_array_set_size(headers, 0);
        layer_plan_headers(plan, i, headers);
        size += headers->len + file->identity.size + (int64_t)tar_padding(file->identity.size);
    }
    return size;
}

static void append_zeros(GByteArray *blob, size_t size)
{
    const guint end = blob->len;
    g_byte_array_set_size(blob, end + (guint)size);
    memset(blob->data + end, 0, size);
}

GBytes *layer_of_text(const char *path, const char *text, bool root)
{
    const size_t length = strlen(text);
    g_autoptr(GByteArray) blob = g_byte_array_new();
    tar_append_file(blob, path, (int64_t)length);
    g_byte_array_append(blob, (const guint8 *)text, (guint)length);
    append_zeros(blob, tar_padding((int64_t)length));
    if (root)
        tar_append_parents(blob, LAYER_ROOT, NULL, LAYER_ROOT "/");
    append_zeros(blob, END_BLOCKS);
    return g_byte_array_free_to_bytes(g_steal_pointer(&blob));
}

void layer_free(Layer *layer)
{
    if (!layer)
        return;
    g_free(layer->digest);
    g_clear_pointer(&layer->digests, g_ptr_array_unref);
    json_decref(layer->reports);
    g_free(layer);
}
