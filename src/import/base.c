#include "import/base.h"

#include "base/io.h"
#include "import/import.h"

void base_source_free(BaseSource *source)
{
    if (!source)
        return;
    reference_free(source->reference);
    layout_free(source->layout);
    image_free(source->image);
    g_free(source);
}

static Image *base_read(Layout *layout, const Reference *reference, const char *platform,
                        GError **error)
{
    ImageFault fault = {0};
    json_t *descriptor = reference->digest ? json_pack("{s:s}", "digest", reference->digest)
                                           : layout_resolve(layout, reference->tag, error);
    Image *image =
        descriptor ? image_read(layout_source(layout), descriptor, platform, &fault, error) : NULL;
    json_decref(descriptor);
    image_fault_clear(&fault);
    return image;
}

BaseSource *base_open(const Settings *settings, const char *text, GError **error)
{
    g_autoptr(BaseSource) source = g_new0(BaseSource, 1);
    source->reference = reference_parse(text, error);
    if (!source->reference)
        return NULL;
    if (source->reference->kind == REFERENCE_REGISTRY) {
        g_set_error(error, IMPORT_ERROR, IMPORT_ERROR_USAGE,
                    "%s is in a registry: registries are not in this version; give an OCI layout, "
                    "oci:DIR:TAG",
                    text);
        return NULL;
    }
    const char *wanted = settings_text(settings, "image.platform");
    source->layout = layout_open(source->reference->directory, error);
    source->image = source->layout ? base_read(source->layout, source->reference,
                                               *wanted ? wanted : image_host_platform(), error)
                                   : NULL;
    return source->image ? g_steal_pointer(&source) : NULL;
}

bool base_verify(const BaseSource *source, GError **error)
{
    Progress progress = {0};
    ImageFault fault = {0};
    bool sound = true;
    for (guint i = 0; sound && i < source->image->layers->len; i++)
        sound = image_verify_blob(layout_source(source->layout), source->image->layers->pdata[i],
                                  &progress, &fault, error);
    image_fault_clear(&fault);
    return sound;
}

static Runtime *base_row(const char *name, const char *engine, const char *reference,
                         const Image *image)
{
    Runtime *runtime = g_new0(Runtime, 1);
    runtime->name = g_strdup(name);
    runtime->engine = g_strdup(engine);
    runtime->image = g_strdup(reference);
    runtime->platform = g_strdup(image->platform);
    runtime->digest = g_strdup(image->manifest->digest);
    runtime->media_type = g_strdup(image->manifest->media_type);
    runtime->manifest_size = image->manifest->size;
    runtime->size = image->size;
    return runtime;
}

/* Blobs and row while gc waits: it must not find the blobs before the row that keeps them. */
static bool base_keep(Service *service, Layout *from, const Image *image, const Runtime *runtime,
                      GError **error)
{
    int64_t copied, reused;
    ImageFault fault = {0};
    autofd lock = layout_lock(service->images, false, error);
    bool kept = lock >= 0 && image_copy(layout_source(from), image, service->images,
                                        &service->progress, &copied, &reused, &fault, error);
    image_fault_clear(&fault);
    if (!kept)
        return false;
    g_autoptr(DbTransaction) transaction = db_transaction(service->db, error);
    return transaction && runtime_put(service->db, runtime, error) && db_commit(service->db, error);
}

Runtime *base_add(Service *service, const char *name, const char *engine, const BaseSource *source,
                  GError **error)
{
    g_autoptr(Runtime) runtime = base_row(name, engine, source->reference->text, source->image);
    if (!base_keep(service, source->layout, source->image, runtime, error) ||
        !service_write_index(service, error))
        return NULL;
    return g_steal_pointer(&runtime);
}

bool base_remove(Service *service, const char *name, bool *found, GError **error)
{
    g_autoptr(GError) failure = NULL;
    g_autoptr(DbTransaction) transaction = db_transaction(service->db, error);
    if (!transaction)
        return false;
    g_autoptr(Runtime) runtime = runtime_find(service->db, name, &failure);
    *found = runtime != NULL;
    if (failure) {
        g_propagate_error(error, g_steal_pointer(&failure));
        return false;
    }
    return runtime_remove(service->db, name, error) && db_commit(service->db, error) &&
           service_write_index(service, error);
}
