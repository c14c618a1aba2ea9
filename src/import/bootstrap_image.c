#include "import/bootstrap_image.h"

#include <gio/gio.h>
#include <string.h>

#include "image/image_base.h"
#include "import/runtime-resource.h"

#define SERVICE_DIRECTORY "opt/waybill"
#define RESOURCES         "/waybill/runtime/python/"
#define SEARCH_PATH       "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* -- which files stay -- */

bool bootstrap_image_keeps(const char *path, bool is_directory)
{
    static const char *const FOLDERS[] = {"dev/",
                                          "proc/",
                                          "sys/",
                                          "run/",
                                          "tmp/",
                                          "var/tmp/",
                                          "var/log/",
                                          "var/cache/apt/",
                                          "var/cache/ldconfig/",
                                          "var/lib/apt/lists/",
                                          "etc/apt/sources.list.d/"};
    static const char *const FILES[] = {"etc/hostname",
                                        "etc/resolv.conf",
                                        "etc/machine-id",
                                        "etc/apt/sources.list",
                                        "var/lib/dbus/machine-id",
                                        "var/lib/dpkg/lock",
                                        "var/lib/dpkg/lock-frontend",
                                        "etc/apt/apt.conf.d/99mmdebstrap"};
    if (is_directory) /* apt's own are whoever's downloaded: it makes them again */
        return !g_str_has_suffix(path, "/partial");
    for (size_t i = 0; i < G_N_ELEMENTS(FOLDERS); i++)
        if (g_str_has_prefix(path, FOLDERS[i]))
            return false;
    for (size_t i = 0; i < G_N_ELEMENTS(FILES); i++)
        if (strcmp(path, FILES[i]) == 0)
            return false;
    /* etc/passwd- and the like, var/lib/dpkg/status-old, var/cache/debconf/config.dat-old */
    return !(g_str_has_prefix(path, "etc/") && g_str_has_suffix(path, "-")) &&
           !(g_str_has_prefix(path, "var/") && g_str_has_suffix(path, "-old"));
}

bool bootstrap_image_add_sources(LayerArchive *layer, const char *release, GError **error)
{
    g_autofree char *text =
        g_strdup_printf("deb http://deb.debian.org/debian %s main\n"
                        "deb http://deb.debian.org/debian %s-updates main\n"
                        "deb http://deb.debian.org/debian-security %s-security main\n",
                        release, release, release);
    return layer_archive_add_file(layer, "etc/apt/sources.list", text, strlen(text), error);
}

/* -- the service -- */

static gint by_name(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool add_resource(LayerArchive *layer, const char *resource, const char *path,
                         GError **error)
{
    g_autoptr(GBytes) bytes = g_resource_lookup_data(runtime_get_resource(), resource,
                                                     G_RESOURCE_LOOKUP_FLAGS_NONE, error);
    return bytes && layer_archive_add_file(layer, path, g_bytes_get_data(bytes, NULL),
                                           g_bytes_get_size(bytes), error);
}

/* A folder of the program's resources, and what is in it. */
static bool add_folder(LayerArchive *layer, const char *resources, const char *path, GError **error)
{
    g_auto(GStrv) names = g_resource_enumerate_children(runtime_get_resource(), resources,
                                                        G_RESOURCE_LOOKUP_FLAGS_NONE, error);
    if (!names || !layer_archive_add_directory(layer, path, error))
        return false;
    qsort(names, g_strv_length(names), sizeof *names, by_name);
    for (char **name = names; *name; name++) {
        bool folder = g_str_has_suffix(*name, "/");
        g_autofree char *resource = g_strconcat(resources, *name, NULL);
        g_autofree char *below =
            g_strdup_printf("%s/%.*s", path, (int)strlen(*name) - folder, *name);
        if (!(folder ? add_folder(layer, resource, below, error)
                     : add_resource(layer, resource, below, error)))
            return false;
    }
    return true;
}

LayerArchive *bootstrap_image_service(Layout *layout, GError **error)
{
    g_autoptr(LayerArchive) layer = layer_archive_new(layout, error);
    return layer && add_folder(layer, RESOURCES, SERVICE_DIRECTORY, error) ? g_steal_pointer(&layer)
                                                                           : NULL;
}

/* -- the image -- */

/* Cmd, not Entrypoint: `podman run IMAGE sh` looks around in it. */
Image *bootstrap_image_make(Layout *layout, const char *name, const char *release,
                            const GPtrArray *layers, GError **error)
{
    g_autofree char *debian = g_strdup_printf("Debian %s (waybill runtime bootstrap)", release);
    const char *const made_by[] = {debian, "the inference service (waybill runtime bootstrap)"};
    json_auto_t *settings =
        json_pack("{s:s, s:[s, s, s, s], s:[s, s], s:s, s:{s:{}}, s:s, s:{s:s}}", "User",
                  "1000:100", "Env", "PATH=" SEARCH_PATH, "LANG=C.UTF-8", "HOME=/home/ma-user",
                  "PYTHONUNBUFFERED=1", "Cmd", "/usr/bin/python3",
                  "/" SERVICE_DIRECTORY "/serve.py", "WorkingDir", "/home/mind", "ExposedPorts",
                  "8080/tcp", "StopSignal", "SIGTERM", "Labels", "io.waybill.runtime", name);
    return image_make_base(layout, layers, settings, made_by, error);
}
