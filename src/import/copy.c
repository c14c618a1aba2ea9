#include "import/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "image/image_archive.h"
#include "image/image_json.h"
#include "image/model_pack.h"
#include "image/referrers.h"
#include "import/carried.h"
#include "import/import.h"
#include "import/logins.h"
#include "store/artifacts.h"

#define ARCHIVE_SCHEME "oci-archive:"
#define LAYOUT_SCHEME  "oci:"
#define ARCHIVE_SUFFIX ".tar"
#define PACK_TAG       ".model"

void copy_target_clear(CopyTarget *target)
{
    reference_free(target->reference);
    g_free(target->file);
    g_free(target->tag);
}

void copied_clear(Copied *copied)
{
    g_clear_pointer(&copied->digest, g_free);
    g_clear_pointer(&copied->bytes.why, g_free);
}

/* -- where to -- */

static void read_archive(CopyTarget *target, const char *text, const Model *model)
{
    const char *colon = strchr(text, ':');
    g_autofree char *repository = reference_encode_name(model->name);
    target->kind = COPY_ARCHIVE;
    target->file = colon ? g_strndup(text, (gsize)(colon - text)) : g_strdup(text);
    target->tag =
        colon ? g_strdup(colon + 1) : g_strdup_printf("%s:%s", repository, model->version);
}

/* Where it has neither, the version is the tag. */
static char *with_tag(const char *text, const char *version)
{
    bool layout = g_str_has_prefix(text, LAYOUT_SCHEME);
    const char *name = layout ? text + strlen(LAYOUT_SCHEME) : strrchr(text, '/');
    bool tagged = !name || strpbrk(name, ":@");
    return tagged ? g_strdup(text) : g_strdup_printf("%s:%s", text, version);
}

bool copy_target_read(CopyTarget *target, const char *text, const Model *model, GError **error)
{
    if (g_str_has_prefix(text, ARCHIVE_SCHEME)) {
        read_archive(target, text + strlen(ARCHIVE_SCHEME), model);
        return true;
    }
    if (g_str_has_suffix(text, ARCHIVE_SUFFIX) && !strchr(text, ':')) {
        read_archive(target, text, model);
        return true;
    }
    g_autofree char *whole = with_tag(text, model->version);
    target->reference = reference_parse(whole, error);
    if (!target->reference)
        return false;
    target->kind = target->reference->kind == REFERENCE_LAYOUT ? COPY_LAYOUT : COPY_REGISTRY;
    if (!target->reference->digest)
        return true;
    g_set_error(error, REFERENCE_ERROR, REFERENCE_ERROR_SYNTAX,
                "%s is a digest; expected a tag to copy to", text);
    return false;
}

/* -- what is copied -- */

/* Of an image of ours. NULL with *error unset: there is none. */
static Artifact *artifact_of(Service *service, ArtifactKind kind, ImageSource *from,
                             const char *model_id, const Image *image, GError **error)
{
    int64_t size;
    g_autofree char *digest =
        artifact_find(service->db, kind, model_id, image->manifest->digest, &size, error);
    const Descriptor manifest = {(char *)IMAGE_MEDIA_MANIFEST, digest, size};
    return digest ? artifact_read(from, &manifest, error) : NULL;
}

bool copy_source_of_model(CopySource *source, Service *service, ImageRepository *images,
                          const char *model_id, const Image *image, GError **error)
{
    g_autoptr(GError) failure = NULL;
    source->from = image_repository_source(images);
    source->registry = image_repository_registry(images);
    source->image = image;
    source->artifact = artifact_of(service, ARTIFACT_SAID, source->from, model_id, image, &failure);
    source->why = failure ? g_strdup(failure->message) : NULL;
    g_clear_error(&failure);
    source->pack = artifact_of(service, ARTIFACT_PACK, source->from, model_id, image, &failure);
    if (!failure)
        return true;
    g_propagate_error(error, g_steal_pointer(&failure));
    return false;
}

void copy_source_clear(CopySource *source)
{
    g_clear_pointer(&source->pack, artifact_free);
    g_clear_pointer(&source->artifact, artifact_free);
    g_clear_pointer(&source->why, g_free);
}

/* -- to where -- */

/* What is said of the image goes with it. A registry may refuse what it does not know: the image is
 * there all the same, and copied->why says it. False: it was stopped. */
static bool push_artifact(const CopySource *source, Registry *registry, CopiedBytes *copied,
                          GError **error)
{
    g_autoptr(GError) failure = NULL;
    copied->why = g_strdup(source->why);
    if (!source->artifact)
        return true;
    copied->described =
        referrers_push(registry, source->from, source->artifact, source->image->manifest, &failure);
    if (g_error_matches(failure, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
        g_propagate_error(error, g_steal_pointer(&failure));
        return false;
    }
    if (failure)
        copied->why = g_strdup(failure->message);
    return true;
}

/* The files of a dynamic model, as the layers of an image are sent; then the list of them, which
 * refers to the image. They are the model: that they cannot be sent fails the copy. */
static bool push_pack(const CopySource *source, ImagePush push, CopiedBytes *copied, GError **error)
{
    const Artifact *pack = source->pack;
    ImagePushed pushed = {0};
    g_autoptr(GPtrArray) files = g_ptr_array_new();
    for (guint i = 1; i < pack->blobs->len; i++)
        g_ptr_array_add(files, pack->blobs->pdata[i]);
    const Image as_image = {.manifest = pack->manifest,
                            .config = pack->blobs->pdata[0],
                            .layers = files};
    push.image = &as_image;
    push.tag = NULL;
    bool done = image_push(&push, &pushed, error);
    copied->pushed.sent += pushed.sent;
    copied->pushed.mounted += pushed.mounted;
    copied->pushed.present += pushed.present;
    copied->pushed.wire += pushed.wire;
    copied->pushed.source_failed |= pushed.source_failed;
    return done && referrers_push(push.to, source->from, pack, source->image->manifest, error);
}

static int64_t pack_size(const Artifact *pack)
{
    int64_t size = 0;
    for (guint i = 0; pack && i < pack->blobs->len; i++)
        size += ((const Descriptor *)pack->blobs->pdata[i])->size;
    return size;
}

bool copy_to_registry(Service *service, const CopySource *source, RegistryLogin *login,
                      const Reference *to, const char *mount_from, Registry **registry,
                      CopiedBytes *copied, GError **error)
{
    *registry = registry_open(service->settings, to, login, &service->progress, error);
    if (!*registry)
        return false;
    if (!mount_from && source->registry && strcmp(registry_host(source->registry), to->host) == 0)
        mount_from = registry_repository(source->registry);
    const ImagePush push = {.from = source->from,
                            .image = source->image,
                            .to = *registry,
                            .tag = to->tag,
                            .mount_from = mount_from,
                            .parallel =
                                (int)settings_int(service->settings, "registry.max_parallel"),
                            .progress = &service->progress};
    progress_begin(&service->progress, source->image->size + pack_size(source->pack));
    bool done = image_push(&push, &copied->pushed, error) &&
                (!source->pack || push_pack(source, push, copied, error));
    progress_end(&service->progress);
    return done && push_artifact(source, *registry, copied, error);
}

/* A dynamic model's files go with it: under the image's tag with `.model` behind it, for a layout
 * lists nothing without one. */
static bool pack_to_layout(Service *service, const CopySource *source, Layout *layout,
                           const char *tag, GError **error)
{
    g_autofree char *name = g_strconcat(tag, PACK_TAG, NULL);
    for (guint i = 0; i < source->pack->blobs->len; i++)
        if (!image_copy_blob(source->from, source->pack->blobs->pdata[i], layout,
                             &service->progress, NULL, error))
            return false;
    return image_copy_blob(source->from, source->pack->manifest, layout, &service->progress, NULL,
                           error) &&
           layout_add_tag(layout, source->pack->manifest, name, error);
}

static bool copy_to_layout(Service *service, const CopySource *source, const Reference *to,
                           ImagePushed *pushed, GError **error)
{
    g_autoptr(Layout) layout = layout_create(to->directory, error);
    if (!layout)
        return false;
    progress_begin(&service->progress, source->image->size + pack_size(source->pack));
    bool done = image_copy(source->from, source->image, layout, &service->progress, &pushed->sent,
                           &pushed->present, NULL, error) &&
                layout_add_tag(layout, source->image->manifest, to->tag, error) &&
                (!source->pack || pack_to_layout(service, source, layout, to->tag, error));
    progress_end(&service->progress);
    return done;
}

static bool write_archive(Service *service, const CopySource *source, const char *tag, int fd,
                          GError **error)
{
    progress_begin(&service->progress, source->image->size);
    bool done =
        image_archive_write(source->from, source->image, tag, fd, &service->progress, NULL, error);
    progress_end(&service->progress);
    return done;
}

/* The file appears under its name when it is whole. */
static bool copy_to_file(Service *service, const CopySource *source, const CopyTarget *target,
                         GError **error)
{
    g_autofree char *temporary = g_strdup_printf("%s.%08x.tmp", target->file, g_random_int());
    autofd fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0)
        return io_fail(error, errno, "%s", target->file);
    bool done = write_archive(service, source, target->tag, fd, error) &&
                (fsync(fd) == 0 || io_fail(error, errno, "%s", target->file)) &&
                (rename(temporary, target->file) == 0 || io_fail(error, errno, "%s", target->file));
    if (!done)
        unlink(temporary);
    return done;
}

static bool copy_image(Service *service, const CopySource *source, RegistryLogin *login,
                       const CopyTarget *target, Copied *copied, GError **error)
{
    g_autoptr(RegistryLogin) owned = login;
    g_autoptr(Registry) registry = NULL;
    copied->digest = g_strdup(source->image->manifest->digest);
    copied->size = source->image->size;
    if (target->kind == COPY_REGISTRY)
        return copy_to_registry(service, source, g_steal_pointer(&owned), target->reference, NULL,
                                &registry, &copied->bytes, error);
    if (target->kind == COPY_LAYOUT)
        return copy_to_layout(service, source, target->reference, &copied->bytes.pushed, error);
    if (source->pack) {
        g_set_error(
            error, IMPORT_ERROR, IMPORT_ERROR_USAGE,
            "the model is loaded dynamically, and its files do not go into an archive: copy "
            "it to a registry or a layout");
        return false;
    }
    copied->bytes.pushed.sent = source->image->size;
    return strcmp(target->file, "-") == 0
               ? write_archive(service, source, target->tag, STDOUT_FILENO, error)
               : copy_to_file(service, source, target, error);
}

/* -- of our own store -- */

static Image *image_of(ImageRepository *images, const Model *model, GError **error)
{
    if (!model->image_digest) {
        g_set_error(error, IMPORT_ERROR, IMPORT_ERROR_USAGE, "%s:%s has no image: it is %s",
                    model->name, model->version, model_status(model));
        return NULL;
    }
    ImageSource *source = image_repository_source(images);
    json_auto_t *descriptor = source->resolve(source, NULL, model->image_digest, error);
    return descriptor ? image_read(source, descriptor, NULL, NULL, error) : NULL;
}

bool copy_model(Service *service, const Model *model, const CopyTarget *target, Copied *copied,
                GError **error)
{
    /* gc must not take the blobs away meanwhile. */
    autofd lock = layout_lock(service->images, false, error);
    g_autoptr(ImageRepository) images =
        lock >= 0 ? service_repository(service, model->project, model->name, error) : NULL;
    g_autoptr(Image) image = images ? image_of(images, model, error) : NULL;
    g_autoptr(GError) failure = NULL;
    RegistryLogin *login =
        image && target->kind == COPY_REGISTRY
            ? login_for(service, model->project, true, target->reference, &failure)
            : NULL;
    if (failure)
        g_propagate_error(error, g_steal_pointer(&failure));
    else if (image) {
        g_auto(CopySource) source = {0};
        if (copy_source_of_model(&source, service, images, model->id, image, error))
            return copy_image(service, &source, login, target, copied, error);
        registry_login_free(login);
    }
    return false;
}

/* -- of a server's -- */

/* The list of a dynamic model's files, where the registry has one of the image. */
static Artifact *pack_in_registry(Registry *registry, const Image *image, GError **error)
{
    json_auto_t *found =
        referrers_list(registry, image->manifest->digest, MODEL_PACK_ARTIFACT, error);
    if (!found || json_array_size(found) == 0)
        return NULL;
    g_autoptr(Descriptor) manifest =
        image_json_descriptor(json_array_get(found, 0), "a referrer", error);
    return manifest ? artifact_read(registry_source(registry), manifest, error) : NULL;
}

bool copy_from_registry(Service *service, const Reference *from, RegistryLogin *login,
                        const CopyTarget *target, Copied *copied, GError **error)
{
    g_autoptr(GError) failure = NULL;
    g_auto(ImagePlace) place = {0};
    if (!image_place_open(&place, from, NULL, service->settings, login, &service->progress, error))
        return false;
    g_autoptr(Image) image = image_place_read(&place, from, NULL, NULL, error);
    RegistryLogin *there = image && target->kind == COPY_REGISTRY
                               ? login_for(service, NULL, true, target->reference, &failure)
                               : NULL;
    if (failure)
        g_propagate_error(error, g_steal_pointer(&failure));
    else if (image) {
        g_auto(CopySource)
            source = {.from = place.source, .image = image, .registry = place.registry};
        g_autoptr(Carried) carried =
            carried_find(place.registry, image->manifest->digest, NULL, &failure);
        if (carried)
            source.artifact = g_steal_pointer(&carried->artifact);
        source.why = failure ? g_strdup(failure->message) : NULL;
        g_clear_error(&failure);
        source.pack = place.registry ? pack_in_registry(place.registry, image, &failure) : NULL;
        if (failure) {
            registry_login_free(there);
            g_propagate_error(error, g_steal_pointer(&failure));
            return false;
        }
        return copy_image(service, &source, there, target, copied, error);
    }
    return false;
}
