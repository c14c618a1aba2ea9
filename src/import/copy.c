#include "import/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "image/image_archive.h"
#include "image/image_json.h"
#include "image/referrers.h"
#include "import/import.h"
#include "import/logins.h"
#include "store/artifacts.h"

#define ARCHIVE_SCHEME "oci-archive:"
#define LAYOUT_SCHEME  "oci:"
#define ARCHIVE_SUFFIX ".tar"

void copy_target_clear(CopyTarget *target)
{
    reference_free(target->reference);
    g_free(target->file);
    g_free(target->tag);
}

void copied_clear(Copied *copied)
{
    g_clear_pointer(&copied->digest, g_free);
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

/* -- the copying -- */

/* What is said of the image goes with it. A registry may refuse what it does not know: the image is
 * there all the same. False: it is not there; *error only when it was stopped. */
static bool push_artifact(Service *service, const char *model_id, const Image *image,
                          Registry *registry, GError **error)
{
    int64_t size;
    g_autoptr(GError) failure = NULL;
    ImageSource *from = layout_source(service->images);
    g_autofree char *digest =
        artifact_find(service->db, model_id, image->manifest->digest, &size, NULL);
    if (!digest)
        return false;
    const Descriptor manifest = {(char *)IMAGE_MEDIA_MANIFEST, digest, size};
    g_autoptr(Artifact) artifact = artifact_read(from, &manifest, &failure);
    if (artifact && referrers_push(registry, from, artifact, image->manifest, &failure))
        return true;
    if (g_error_matches(failure, G_IO_ERROR, G_IO_ERROR_CANCELLED))
        g_propagate_error(error, g_steal_pointer(&failure));
    return false;
}

bool copy_to_registry(Service *service, const CopySource *source, const Reference *to,
                      const char *mount_from, Registry **registry, CopiedBytes *copied,
                      GError **error)
{
    g_autoptr(GError) failure = NULL;
    RegistryLogin *login = login_for(service, source->login_project, true, to, &failure);
    if (failure) {
        g_propagate_error(error, g_steal_pointer(&failure));
        return false;
    }
    *registry = registry_open(service->settings, to, login, &service->progress, error);
    if (!*registry)
        return false;
    const ImagePush push = {.from = layout_source(service->images),
                            .image = source->image,
                            .to = *registry,
                            .tag = to->tag,
                            .mount_from = mount_from,
                            .parallel =
                                (int)settings_int(service->settings, "registry.max_parallel"),
                            .progress = &service->progress};
    progress_begin(&service->progress, source->image->size);
    bool done = image_push(&push, &copied->pushed, error);
    progress_end(&service->progress);
    if (!done)
        return false;
    copied->described =
        push_artifact(service, source->model_id, source->image, *registry, &failure);
    bool stopped = failure != NULL;
    if (stopped)
        g_propagate_error(error, g_steal_pointer(&failure));
    return !stopped;
}

static bool copy_to_layout(Service *service, const Image *image, const Reference *to,
                           ImagePushed *pushed, GError **error)
{
    g_autoptr(Layout) layout = layout_create(to->directory, error);
    if (!layout)
        return false;
    progress_begin(&service->progress, image->size);
    bool done = image_copy(layout_source(service->images), image, layout, &service->progress,
                           &pushed->sent, &pushed->present, NULL, error) &&
                layout_add_tag(layout, image->manifest, to->tag, error);
    progress_end(&service->progress);
    return done;
}

static bool write_archive(Service *service, const Image *image, const CopyTarget *target, int fd,
                          GError **error)
{
    progress_begin(&service->progress, image->size);
    bool done = image_archive_write(layout_source(service->images), image, target->tag, fd,
                                    &service->progress, NULL, error);
    progress_end(&service->progress);
    return done;
}

/* The file appears under its name when it is whole. */
static bool copy_to_file(Service *service, const Image *image, const CopyTarget *target,
                         GError **error)
{
    g_autofree char *temporary = g_strdup_printf("%s.%08x.tmp", target->file, g_random_int());
    autofd fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0)
        return io_fail(error, errno, "%s", target->file);
    bool done = write_archive(service, image, target, fd, error) &&
                (fsync(fd) == 0 || io_fail(error, errno, "%s", target->file)) &&
                (rename(temporary, target->file) == 0 || io_fail(error, errno, "%s", target->file));
    if (!done)
        unlink(temporary);
    return done;
}

static Image *image_of(Service *service, const Model *model, GError **error)
{
    if (!model->image_digest) {
        g_set_error(error, IMPORT_ERROR, IMPORT_ERROR_USAGE, "%s:%s has no image: it is %s",
                    model->name, model->version, model_status(model));
        return NULL;
    }
    ImageSource *source = layout_source(service->images);
    json_auto_t *descriptor = source->resolve(source, NULL, model->image_digest, error);
    return descriptor ? image_read(source, descriptor, NULL, NULL, error) : NULL;
}

bool copy_model(Service *service, const Model *model, const CopyTarget *target, Copied *copied,
                GError **error)
{
    /* gc must not take the blobs away meanwhile. */
    autofd lock = layout_lock(service->images, false, error);
    g_autoptr(Image) image = lock >= 0 ? image_of(service, model, error) : NULL;
    g_autoptr(Registry) registry = NULL;
    if (!image)
        return false;
    copied->digest = g_strdup(image->manifest->digest);
    copied->size = image->size;
    const CopySource source = {model->id, model->project, image};
    if (target->kind == COPY_REGISTRY)
        return copy_to_registry(service, &source, target->reference, NULL, &registry,
                                &copied->bytes, error);
    if (target->kind == COPY_LAYOUT)
        return copy_to_layout(service, image, target->reference, &copied->bytes.pushed, error);
    copied->bytes.pushed.sent = image->size;
    return strcmp(target->file, "-") == 0
               ? write_archive(service, image, target, STDOUT_FILENO, error)
               : copy_to_file(service, image, target, error);
}
