#include "import/base.h"

#include "base/io.h"
#include "import/import.h"

void base_source_free(BaseSource *source)
{
    if (!source)
        return;
    reference_free(source->reference);
    image_place_clear(&source->place);
    image_free(source->image);
    g_free(source);
}

BaseSource *base_open(const Settings *settings, const char *text, GError **error)
{
    g_autoptr(GError) failure = NULL;
    g_autoptr(BaseSource) source = g_new0(BaseSource, 1);
    source->reference = reference_parse(text, error);
    if (!source->reference)
        return NULL;
    RegistryLogin *login = NULL;
    if (source->reference->kind == REFERENCE_REGISTRY)
        login = registry_login_find(settings, source->reference->host,
                                    source->reference->repository, &failure);
    if (failure) {
        g_propagate_error(error, g_steal_pointer(&failure));
        return NULL;
    }
    const char *wanted = settings_text(settings, "image.platform");
    ImageFault fault = {0};
    if (image_place_open(&source->place, source->reference, NULL, settings, login, NULL, error)) {
        source->place.source->spares = source->place.registry != NULL;
        source->image = image_place_read(&source->place, source->reference,
                                         *wanted ? wanted : image_host_platform(), &fault, error);
    }
    image_fault_clear(&fault);
    return source->image ? g_steal_pointer(&source) : NULL;
}

bool base_verify(const BaseSource *source, GError **error)
{
    Progress progress = {0};
    ImageFault fault = {0};
    bool sound = true;
    if (source->place.registry) /* it would come twice: it is verified while it is copied */
        return true;
    for (guint i = 0; sound && i < source->image->layers->len; i++)
        sound = image_verify_blob(source->place.source, source->image->layers->pdata[i], &progress,
                                  &fault, error);
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

bool base_store(Service *service, const char *name, ImageSource *from, const Registry *near,
                const Image *image, GError **error)
{
    ImageTaken taken;
    ImageFault fault = {0};
    g_autofree char *tag = reference_encode_name(name);
    g_autoptr(ImageRepository) images =
        image_repository_open(service->store, STORE_RUNTIMES, error);
    const ImageTaking taking = {.from = from, .image = image, .mount_from = near, .fault = &fault};
    bool stored = images && image_repository_take(images, &taking, &taken, error) &&
                  image_repository_tag(images, image, tag, error);
    image_fault_clear(&fault);
    return stored;
}

/* Blobs and row while gc waits: it must not find the blobs before the row that keeps them. */
static bool base_keep(Service *service, const ImagePlace *from, const Image *image,
                      const Runtime *runtime, GError **error)
{
    autofd lock = layout_lock(service->images, false, error);
    if (lock < 0 || !base_store(service, runtime->name, from->source, from->registry, image, error))
        return false;
    g_autoptr(DbTransaction) transaction = db_transaction(service->db, error);
    return transaction && runtime_put(service->db, runtime, error) && db_commit(service->db, error);
}

Runtime *base_add(Service *service, const char *name, const char *engine, const BaseSource *source,
                  GError **error)
{
    g_autoptr(Runtime) runtime = base_row(name, engine, source->reference->text, source->image);
    if (!base_keep(service, &source->place, source->image, runtime, error) ||
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
