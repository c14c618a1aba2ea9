#include "build/resolved.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"

#define DEPTH_MAX  9
#define STATUS_MAX (64 << 20)
#define COUNT_MAX  5000

static void add_package(GPtrArray *packages, const char *installer, const char *name,
                        const char *version)
{
    if (packages->len < COUNT_MAX)
        g_ptr_array_add(packages, g_strjoin("\t", installer, name, version, NULL));
}

/* NAME-VERSION.dist-info: neither half has a '-' of its own. */
static void take_dist_info(GPtrArray *packages, const char *directory)
{
    g_autofree char *text = g_strndup(directory, strlen(directory) - strlen(".dist-info"));
    char *version = strrchr(text, '-');
    if (!version)
        return;
    *version++ = '\0';
    add_package(packages, "pip", text, version);
}

static void walk(GPtrArray *packages, int parent, const char *name, int depth)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *entry;
    while (dir && (entry = readdir(dir))) {
        if (entry->d_name[0] == '.' || entry->d_type != DT_DIR)
            continue;
        if (g_str_has_suffix(entry->d_name, ".dist-info"))
            take_dist_info(packages, entry->d_name);
        else if (depth < DEPTH_MAX && strcmp(entry->d_name, "__pycache__") != 0)
            walk(packages, dirfd(dir), entry->d_name, depth + 1);
    }
    if (dir)
        closedir(dir);
    else
        io_close(&fd);
}

/* name -> version of what is installed. */
static GHashTable *dpkg_status(const char *text)
{
    GHashTable *found = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    g_auto(GStrv) lines = g_strsplit(text ? text : "", "\n", -1);
    g_autofree char *name = NULL;
    bool installed = false;
    for (int i = 0; lines[i]; i++) {
        if (g_str_has_prefix(lines[i], "Package: ")) {
            g_free(name);
            name = g_strdup(lines[i] + strlen("Package: "));
            installed = false;
        } else if (g_str_has_prefix(lines[i], "Status: ")) {
            installed = g_str_has_suffix(lines[i], " installed");
        } else if (g_str_has_prefix(lines[i], "Version: ") && name && installed) {
            g_hash_table_replace(found, g_strdup(name), g_strdup(lines[i] + strlen("Version: ")));
        }
    }
    return found;
}

static void take_dpkg(GPtrArray *packages, int upper, const char *base_status)
{
    g_autoptr(GBytes) bytes = io_read_file(upper, "var/lib/dpkg/status", STATUS_MAX, NULL);
    if (!bytes)
        return;
    g_autofree char *text = g_strndup(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes));
    GHashTable *before = dpkg_status(base_status), *after = dpkg_status(text);
    GHashTableIter iter;
    gpointer name, version;
    g_hash_table_iter_init(&iter, after);
    while (g_hash_table_iter_next(&iter, &name, &version))
        if (g_strcmp0(g_hash_table_lookup(before, name), version) != 0)
            add_package(packages, "apt", name, version);
    g_hash_table_unref(before);
    g_hash_table_unref(after);
}

static gint compare_texts(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

json_t *resolved_packages(int upper, const char *base_status)
{
    g_autoptr(GPtrArray) packages = g_ptr_array_new_with_free_func(g_free);
    walk(packages, upper, "usr", 0);
    walk(packages, upper, "opt", 0);
    take_dpkg(packages, upper, base_status);
    g_ptr_array_sort(packages, compare_texts);
    json_t *list = json_array();
    for (guint i = 0; i < packages->len; i++) {
        g_auto(GStrv) parts = g_strsplit(packages->pdata[i], "\t", 3);
        json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "installer", parts[0], "name",
                                              parts[1], "version", parts[2]));
    }
    return list;
}
