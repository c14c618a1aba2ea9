#include "import/bootstrap.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <string.h>
#include <sys/file.h>

#include "base/error_domain.h"
#include "base/io.h"
#include "build/apt_sources.h"
#include "build/userns.h"
#include "image/image_base.h"
#include "image/layer.h"
#include "image/layer_archive.h"
#include "import/base.h"
#include "import/bootstrap_child.h"
#include "import/bootstrap_image.h"
#include "import/import.h"

#define ETC_APT "/etc/apt"

DEFINE_ERROR_DOMAIN(bootstrap_error);

static const BootstrapRecipe RECIPES[] = {
    {"python3.11", "bookworm", "python3,python3-pip",
     "/usr/lib/python3.11 /usr/lib/python3/dist-packages"},
};

const char *const *bootstrap_names(void)
{
    static const char *names[G_N_ELEMENTS(RECIPES) + 1];
    for (size_t i = 0; i < G_N_ELEMENTS(RECIPES); i++)
        names[i] = RECIPES[i].name;
    return names;
}

const char *bootstrap_step_name(int step, bool zh)
{
    static const char *const NAMES[BOOTSTRAP_STEPS][2] = {
        {"asking the mirror", "查询软件源"},  {"downloading packages", "下载软件包"},
        {"unpacking packages", "解包"},       {"installing the base", "安装基础软件包"},
        {"installing Python", "安装 Python"}, {"compiling Python's modules", "编译模块"},
        {"packing the layer", "打包镜像层"},
    };
    return NAMES[CLAMP(step, 1, BOOTSTRAP_STEPS) - 1][zh];
}

char *bootstrap_mirrors(const Settings *settings, GError **error)
{
    char *origin = NULL;
    g_autofree char *lines = apt_sources(settings, ETC_APT, RECIPES[0].release, &origin, error);
    return lines ? origin : NULL;
}

/* -- before it begins -- */

char *bootstrap_obstacle(bool zh, char **mend)
{
    g_autofree char *program = g_find_program_in_path(BOOTSTRAP_PROGRAM);
    if (program)
        return userns_obstacle(zh, mend); /* as our sandbox needs it */
    *mend = g_strdup("apt install mmdebstrap");
    return g_strdup(zh ? "未安装 " BOOTSTRAP_PROGRAM : BOOTSTRAP_PROGRAM " is not installed");
}

static const BootstrapRecipe *recipe_find(const Settings *settings, const char *name,
                                          GError **error)
{
    const char *platform = settings_text(settings, "image.platform");
    if (*platform && !image_platform_fits(platform, image_host_platform())) {
        g_set_error(error, IMPORT_ERROR, IMPORT_ERROR_USAGE,
                    "runtime bootstrap makes images for this machine's %s, not for %s "
                    "(image.platform): make it on such a machine, and use runtime add",
                    image_host_platform(), platform);
        return NULL;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(RECIPES); i++)
        if (strcmp(RECIPES[i].name, name) == 0)
            return &RECIPES[i];
    g_autofree char *names = g_strjoinv(", ", (char **)bootstrap_names());
    g_set_error(error, IMPORT_ERROR, IMPORT_ERROR_USAGE,
                "runtime bootstrap %s: expected one of: %s; runtime add takes any other base", name,
                names);
    return NULL;
}

bool bootstrap_can_begin(const Settings *settings, const char *name, GError **error)
{
    if (!recipe_find(settings, name, error))
        return false;
    g_autofree char *mend = NULL;
    g_autofree char *obstacle = bootstrap_obstacle(false, &mend);
    if (obstacle)
        g_set_error(error, BOOTSTRAP_ERROR, 0, "%s: %s", obstacle, mend);
    return !obstacle;
}

/* -- the two layers -- */

static LayerArchive *pack_packages(Service *service, const BootstrapRecipe *recipe,
                                   const char *sources, GError **error)
{
    g_autoptr(LayerArchive) layer = layer_archive_new(service->images, error);
    g_autoptr(BootstrapChild) child =
        layer ? bootstrap_child_new(recipe, sources, service->data->path, &service->progress, error)
              : NULL;
    if (!child)
        return NULL;
    GError *broken = NULL;
    bool copied = layer_archive_copy(layer, bootstrap_child_output(child), bootstrap_image_keeps,
                                     &service->progress, &broken);
    /* An archive that ends too early is what a failure looks like from here: mmdebstrap says why.
     */
    bool torn =
        broken && broken->domain == ARCHIVE_ERROR && broken->code == ARCHIVE_ERROR_MALFORMED;
    if ((copied || torn) && !bootstrap_child_wait(child, error)) {
        g_clear_error(&broken);
        return NULL;
    }
    if (!copied) {
        g_propagate_error(error, broken);
        return NULL;
    }
    return bootstrap_image_add_sources(layer, recipe->release, error) ? g_steal_pointer(&layer)
                                                                      : NULL;
}

static bool finish_layer(LayerArchive *archive, GPtrArray *layers, GError **error)
{
    char *digest = layer_archive_finish(archive, error);
    if (!digest)
        return false;
    ImageLayer *layer = g_new0(ImageLayer, 1);
    layer->media_type = LAYER_MEDIA_TYPE;
    layer->digest = layer->diff_id = digest;
    layer->size = layer_archive_size(archive);
    g_ptr_array_add(layers, layer);
    return true;
}

static void free_layer(gpointer data)
{
    ImageLayer *layer = data;
    g_free((char *)layer->digest);
    g_free(layer);
}

/* -- the runtime -- */

static Runtime *runtime_of(const BootstrapRecipe *recipe, const Runtime *former, const Image *image)
{
    Runtime *runtime = g_new0(Runtime, 1);
    runtime->name = g_strdup(recipe->name);
    runtime->engine = former ? g_strdup(former->engine) : NULL;
    runtime->image = g_strconcat(BOOTSTRAP_PREFIX, recipe->name, NULL);
    runtime->platform = g_strdup(image->platform);
    runtime->digest = g_strdup(image->manifest->digest);
    runtime->media_type = g_strdup(image->manifest->media_type);
    runtime->manifest_size = image->manifest->size;
    runtime->size = image->size;
    return runtime;
}

static Runtime *record(Service *service, const BootstrapRecipe *recipe, const Image *image,
                       char **former, GError **error)
{
    g_autoptr(GError) failure = NULL;
    g_autoptr(DbTransaction) transaction = db_transaction(service->db, error);
    if (!transaction)
        return NULL;
    g_autoptr(Runtime) before = runtime_find(service->db, recipe->name, &failure);
    if (failure) {
        g_propagate_error(error, g_steal_pointer(&failure));
        return NULL;
    }
    g_autoptr(Runtime) runtime = runtime_of(recipe, before, image);
    if (!runtime_put(service->db, runtime, error) || !db_commit(service->db, error))
        return NULL;
    *former = before ? g_strdup(before->digest) : NULL;
    return g_steal_pointer(&runtime);
}

/* Blobs and row while gc waits: it must not find the blobs before the row that keeps them. */
static Runtime *keep(Service *service, const BootstrapRecipe *recipe, LayerArchive *packages,
                     LayerArchive *service_files, char **former, GError **error)
{
    bool existed;
    g_autoptr(GPtrArray) layers = g_ptr_array_new_with_free_func(free_layer);
    if (!finish_layer(packages, layers, error) || !finish_layer(service_files, layers, error))
        return NULL;
    autofd lock = layout_lock(service->images, false, error);
    if (lock < 0 || !layer_archive_commit(packages, &existed, error) ||
        !layer_archive_commit(service_files, &existed, error))
        return NULL;
    g_autoptr(Image) image =
        bootstrap_image_make(service->images, recipe->name, recipe->release, layers, error);
    bool sent = image && (!image_store_is_registry(service->store) ||
                          base_store(service, recipe->name, layout_source(service->images), NULL,
                                     image, error));
    return sent ? record(service, recipe, image, former, error) : NULL;
}

Runtime *bootstrap_run(Service *service, const char *name, char **former, GError **error)
{
    if (!bootstrap_can_begin(service->settings, name, error) || !service_has_room(service, error))
        return NULL;
    const BootstrapRecipe *recipe = recipe_find(service->settings, name, NULL);
    g_autofree char *sources =
        apt_sources(service->settings, ETC_APT, recipe->release, NULL, error);
    if (!sources)
        return NULL;
    progress_step(&service->progress, 1);
    g_autoptr(LayerArchive) packages = pack_packages(service, recipe, sources, error);
    g_autoptr(LayerArchive) files =
        packages ? bootstrap_image_service(service->images, error) : NULL;
    g_autoptr(Runtime) runtime =
        files ? keep(service, recipe, packages, files, former, error) : NULL;
    progress_step(&service->progress, 0);
    return runtime && service_write_index(service, error) ? g_steal_pointer(&runtime) : NULL;
}
