#include "image/store.h"

#include <string.h>

#include "base/digest.h"
#include "image/image_push.h"
#include "image/reference.h"
#include "image/registry_private.h"
#include "image/registry_push.h"

#define URL_REGISTRY   "registry://"
#define URL_PLAIN_HTTP REFERENCE_PLAIN_HTTP

struct ImageStore {
    Layout *layout;
    const Settings *settings;
    Progress *progress;
    char *place; /* HOST[:PORT][/NAMESPACE]; NULL: the layout is the store */
    bool plain_http;
    GPtrArray *open;  /* of ImageRepository, borrowed: those that live */
    Registry *failed; /* of one that lived, whose request failed last */
};

struct ImageRepository {
    ImageStore *store;
    Registry *registry; /* NULL: it is the layout */
};

/* -- images.url -- */

/* NULL: it is no registry. */
static const char *place_of(const char *url, bool *plain_http)
{
    *plain_http = g_str_has_prefix(url, URL_PLAIN_HTTP);
    if (*plain_http)
        return url + strlen(URL_PLAIN_HTTP);
    return g_str_has_prefix(url, URL_REGISTRY) ? url + strlen(URL_REGISTRY) : NULL;
}

/* The reference of a repository there; the tag is none that anybody uses. */
static Reference *repository_at(const char *place, bool plain_http, const char *name,
                                GError **error)
{
    g_autofree char *text =
        g_strdup_printf("%s%s/%s:0", plain_http ? URL_PLAIN_HTTP : "", place, name);
    return reference_parse(text, error);
}

char *image_store_url_place(const char *url)
{
    bool plain_http;
    const char *place = place_of(url, &plain_http);
    return place ? g_strconcat(plain_http ? URL_PLAIN_HTTP : "", place, NULL) : NULL;
}

bool image_store_url_is_valid(const char *url, GError **error)
{
    bool plain_http;
    const char *place = place_of(url, &plain_http);
    if (!*url)
        return true;
    g_autoptr(Reference) reference =
        place ? repository_at(place, plain_http, STORE_RUNTIMES, NULL) : NULL;
    if (reference)
        return true;
    g_set_error(error, REFERENCE_ERROR, REFERENCE_ERROR_SYNTAX,
                "images.url %s: expected registry://HOST[:PORT]/NAMESPACE or, without TLS, "
                "registry+http://HOST[:PORT]/NAMESPACE; empty, the data directory keeps them",
                url);
    return false;
}

/* -- the store -- */

ImageStore *image_store_new(Layout *layout, const Settings *settings, Progress *progress,
                            GError **error)
{
    const char *url = settings_text(settings, "images.url");
    if (!image_store_url_is_valid(url, error))
        return NULL;
    ImageStore *store = g_new0(ImageStore, 1);
    store->layout = layout;
    store->settings = settings;
    store->progress = progress;
    store->place = g_strdup(place_of(url, &store->plain_http));
    store->open = g_ptr_array_new();
    return store;
}

void image_store_free(ImageStore *store)
{
    if (!store)
        return;
    g_ptr_array_unref(store->open);
    registry_free(store->failed);
    g_free(store->place);
    g_free(store);
}

bool image_store_is_registry(const ImageStore *store)
{
    return store->place != NULL;
}

const char *image_store_place(const ImageStore *store)
{
    return store->place;
}

static const Registry *later(const Registry *a, const Registry *b)
{
    if (!a || !b)
        return a ? a : b;
    return a->failure.noted_at > b->failure.noted_at ? a : b;
}

const Registry *image_store_failed(const ImageStore *store)
{
    const Registry *last = store->failed;
    for (guint i = 0; i < store->open->len; i++)
        last = later(last, ((const ImageRepository *)store->open->pdata[i])->registry);
    return last && last->failure.method ? last : NULL;
}

/* -- a repository -- */

static Registry *open_registry(const ImageStore *store, const char *name, GError **error)
{
    g_autoptr(GError) failure = NULL;
    g_autoptr(Reference) reference = repository_at(store->place, store->plain_http, name, error);
    if (!reference)
        return NULL;
    RegistryLogin *login =
        registry_login_find(store->settings, reference->host, reference->repository, &failure);
    if (failure) {
        g_propagate_error(error, g_steal_pointer(&failure));
        return NULL;
    }
    Registry *registry = registry_open(store->settings, reference, login, store->progress, error);
    if (registry)
        registry->ours = true;
    return registry;
}

ImageRepository *image_repository_open(ImageStore *store, const char *name, GError **error)
{
    Registry *registry = store->place ? open_registry(store, name, error) : NULL;
    if (store->place && !registry)
        return NULL;
    ImageRepository *repository = g_new0(ImageRepository, 1);
    repository->store = store;
    repository->registry = registry;
    g_ptr_array_add(store->open, repository);
    return repository;
}

void image_repository_free(ImageRepository *repository)
{
    if (!repository)
        return;
    ImageStore *store = repository->store;
    g_ptr_array_remove_fast(store->open, repository);
    if (repository->registry && later(store->failed, repository->registry) != store->failed) {
        registry_free(store->failed);
        store->failed = g_steal_pointer(&repository->registry);
    }
    registry_free(repository->registry);
    g_free(repository);
}

ImageSource *image_repository_source(ImageRepository *repository)
{
    return repository->registry ? registry_source(repository->registry)
                                : layout_source(repository->store->layout);
}

Registry *image_repository_registry(ImageRepository *repository)
{
    return repository->registry;
}

/* -- blobs -- */

bool image_repository_has_blob(ImageRepository *repository, const char *digest, int64_t size,
                               bool *there, GError **error)
{
    if (repository->registry)
        return registry_has_blob(repository->registry, digest, there, error);
    *there = layout_has_blob(repository->store->layout, digest, size);
    return true;
}

bool image_repository_mount(ImageRepository *repository, const char *digest, int64_t size,
                            const char *from, bool *there, GError **error)
{
    if (!image_repository_has_blob(repository, digest, size, there, error))
        return false;
    if (*there || !repository->registry)
        return true;
    const ImageStore *store = repository->store;
    g_autoptr(Reference) other = repository_at(store->place, store->plain_http, from, error);
    return other && registry_mount(repository->registry, digest, other->repository, there, error);
}

BlobSink *image_repository_sink(ImageRepository *repository, int64_t size, GError **error)
{
    return repository->registry ? registry_sink(repository->registry, size, error)
                                : layout_sink(repository->store->layout, error);
}

char *image_repository_put(ImageRepository *repository, GBytes *content, GError **error)
{
    bool there;
    gsize size;
    const void *data = g_bytes_get_data(content, &size);
    if (!repository->registry)
        return layout_put(repository->store->layout, data, size, error);
    g_autofree char *digest = digest_of(data, size);
    if (!registry_has_blob(repository->registry, digest, &there, error))
        return NULL;
    if (there)
        return g_steal_pointer(&digest);
    g_autoptr(BlobSink) sink = registry_sink(repository->registry, (int64_t)size, error);
    for (bool again = sink != NULL; again;) {
        g_autoptr(GError) failure = NULL;
        if (sink->write(sink, data, size, &failure) && sink->commit(sink, digest, &there, &failure))
            return g_steal_pointer(&digest);
        again = blob_sink_again(sink, &failure);
        if (!again)
            g_propagate_error(error, g_steal_pointer(&failure));
    }
    return NULL;
}

/* -- images -- */

static bool push(ImageRepository *repository, const ImageTaking *taking, ImageTaken *taken,
                 GError **error)
{
    ImagePushed pushed;
    const ImageStore *store = repository->store;
    const Registry *near = taking->mount_from;
    bool mounts = near && strcmp(near->root, repository->registry->root) == 0;
    const ImagePush push = {.from = taking->from,
                            .image = taking->image,
                            .to = repository->registry,
                            .mount_from = mounts ? near->repository : NULL,
                            .parallel = (int)settings_int(store->settings, "registry.max_parallel"),
                            .progress = store->progress,
                            .fault = taking->fault};
    bool done = image_push(&push, &pushed, error);
    *taken = (ImageTaken){pushed.sent, pushed.mounted + pushed.present, pushed.source_failed};
    return done;
}

bool image_repository_take(ImageRepository *repository, const ImageTaking *taking,
                           ImageTaken *taken, GError **error)
{
    ImageStore *store = repository->store;
    if (repository->registry)
        return push(repository, taking, taken, error);
    *taken = (ImageTaken){.source_failed = true}; /* of the disk nobody takes it for a registry's */
    return image_copy(taking->from, taking->image, store->layout, store->progress, &taken->sent,
                      &taken->present, taking->fault, error);
}

static bool put_tag(Registry *registry, const Descriptor *manifest, const char *tag, GError **error)
{
    ImageSource *source = registry_source(registry);
    g_autoptr(GBytes) content = source->read(source, manifest, false, error);
    return content && registry_put_manifest(registry, content, manifest->media_type,
                                            manifest->digest, tag, NULL, error);
}

/* *digest: what the tag names, the caller's. */
static bool read_tag(Registry *registry, const char *tag, char **digest, GError **error)
{
    ImageSource *source = registry_source(registry);
    json_auto_t *named = source->resolve(source, tag, NULL, error);
    *digest = named ? g_strdup(json_string_value(json_object_get(named, "digest"))) : NULL;
    return named != NULL;
}

bool image_repository_tag(ImageRepository *repository, const Image *image, const char *tag,
                          GError **error)
{
    Registry *registry = repository->registry;
    const Descriptor *manifest = image->manifest;
    g_autofree char *digest = NULL;
    if (!registry)
        return true;
    if (!put_tag(registry, manifest, tag, error) || !read_tag(registry, tag, &digest, error))
        return false;
    if (g_strcmp0(digest, manifest->digest) == 0)
        return true;
    g_set_error(error, REGISTRY_ERROR, REGISTRY_ERROR_MALFORMED,
                "%s has %s name %s, after it took %s under that tag", registry->name, tag, digest,
                manifest->digest);
    return false;
}

bool image_repository_mend_tag(ImageRepository *repository, const Descriptor *manifest,
                               const char *tag, bool *mended, GError **error)
{
    Registry *registry = repository->registry;
    g_autofree char *digest = NULL;
    *mended = false;
    if (!registry)
        return true;
    if (!read_tag(registry, tag, &digest, error))
        return false;
    if (g_strcmp0(digest, manifest->digest) == 0)
        return true;
    *mended = put_tag(registry, manifest, tag, error);
    return *mended;
}
