#include "model/package.h"

#include <string.h>

#include "base/digest.h"
#include "model/leftovers.h"

void package_file_free(PackageFile *file)
{
    if (!file)
        return;
    g_free(file->path);
    g_free(file);
}

void package_source_free(PackageSource *source)
{
    if (source)
        source->free(source);
}

void package_reader_free(PackageReader *reader)
{
    if (reader)
        reader->free(reader);
}

static int file_compare(gconstpointer a, gconstpointer b)
{
    const PackageFile *const *left = a, *const *right = b;
    return strcmp((*left)->path, (*right)->path);
}

static bool findings_hold(const Findings *findings, EventReason reason)
{
    for (guint i = 0; i < findings->events->len; i++)
        if (((const Event *)findings->events->pdata[i])->reason == reason)
            return true;
    return false;
}

/* Both stay sorted. Decided here, once, for check and import alike. */
static void take_leftovers_out(Package *package)
{
    GPtrArray *kept = g_ptr_array_new_with_free_func((GDestroyNotify)package_file_free);
    g_ptr_array_set_free_func(package->files, NULL);
    for (guint i = 0; i < package->files->len; i++) {
        PackageFile *file = package->files->pdata[i];
        bool leftover = leftover_is(package->source, package->child, file);
        g_ptr_array_add(leftover ? package->leftovers : kept, file);
    }
    g_ptr_array_unref(package->files);
    package->files = kept;
}

Package *package_open(PackageSource *source, const char *directory, const char *child,
                      Findings *findings, GError **error)
{
    g_autoptr(Package) package = g_new0(Package, 1);
    package->source = source;
    package->directory = g_strdup(directory);
    package->child = g_strdup(child);
    package->files = g_ptr_array_new_with_free_func((GDestroyNotify)package_file_free);
    package->leftovers = g_ptr_array_new_with_free_func((GDestroyNotify)package_file_free);
    if (!source->list(source, child, package->files, findings, error))
        return NULL;
    package->child_found =
        !source->unread && !findings_hold(findings, EVENT_ModelChildDirectoryMissing);
    g_ptr_array_sort(package->files, file_compare);
    take_leftovers_out(package);
    for (guint i = 0; i < package->files->len; i++)
        package->bytes += ((const PackageFile *)package->files->pdata[i])->identity.size;
    return g_steal_pointer(&package);
}

void package_free(Package *package)
{
    if (!package)
        return;
    package_source_free(package->source);
    g_free(package->directory);
    g_free(package->child);
    g_ptr_array_unref(package->files);
    g_clear_pointer(&package->leftovers, g_ptr_array_unref);
    g_free(package);
}

const char *package_name_fault(const char *path, const char *name)
{
    if (!g_utf8_validate(name, -1, NULL))
        return "a name that is not UTF-8";
    for (const char *at = name; *at; at = g_utf8_next_char(at))
        if (g_unichar_iscntrl(g_utf8_get_char(at)))
            return "a control character in its name";
    return strlen(path) > PACKAGE_MAX_PATH ? "a path over 4096 bytes" : NULL;
}

char *package_path_in_source(const char *child, const char *path)
{
    return strcmp(child, ".") == 0 ? g_strdup(path) : g_strconcat(child, "/", path, NULL);
}

const PackageFile *package_find(const Package *package, const char *path)
{
    guint low = 0, high = package->files->len;
    while (low < high) {
        guint middle = low + (high - low) / 2;
        const PackageFile *file = package->files->pdata[middle];
        int order = strcmp(path, file->path);
        if (order == 0)
            return file;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

GBytes *package_source_read(PackageSource *source, const char *child, const PackageFile *file,
                            size_t limit, Event **finding)
{
    *finding = NULL;
    if (file->identity.size > (int64_t)limit)
        return NULL;
    g_autoptr(PackageReader) reader = source->open(source, child, file, finding);
    if (!reader)
        return NULL;
    size_t size = (size_t)file->identity.size, done = 0;
    g_autofree char *data = g_malloc(size + 1);
    for (;;) {
        /* One byte more than was listed, so that a file that grew is noticed. */
        ssize_t got = reader->read(reader, data + done, size + 1 - done, finding);
        if (got < 0)
            return NULL;
        done += (size_t)got;
        if (got == 0 || done > size)
            break;
    }
    if (!reader->end(reader, finding))
        return NULL;
    return g_bytes_new_take(g_steal_pointer(&data), MIN(done, size));
}

GBytes *package_read(Package *package, const PackageFile *file, size_t limit, Event **finding)
{
    return package_source_read(package->source, package->child, file, limit, finding);
}

char *package_listing_digest(const Package *package)
{
    g_autoptr(Digest) digest = digest_new();
    for (guint i = 0; i < package->files->len; i++) {
        const PackageFile *file = package->files->pdata[i];
        digest_update(digest, file->path, strlen(file->path) + 1);
        digest_update(digest, &file->identity, sizeof file->identity);
    }
    return digest_finish(digest);
}
