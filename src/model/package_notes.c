/* What lies in a package and is not what it seems: Git LFS pointers, a Dockerfile, leftovers.
 *
 * A pointer in the place of the engine's model file ends the import; anything else is packed as it
 * is, and said. */
#include <string.h>

#include "model/package.h"

#define LFS_HEAD     "version https://git-lfs.github.com/spec/v1"
#define LFS_MAX_SIZE 1024 /* bytes: a pointer is shorter */

static bool is_lfs_pointer(Package *package, const PackageFile *file)
{
    if (file->identity.size < (int64_t)strlen(LFS_HEAD) || file->identity.size >= LFS_MAX_SIZE)
        return false;
    /* What cannot be read is named by the stage that packs it. */
    Event *finding = NULL;
    g_autoptr(GBytes) bytes = package_read(package, file, LFS_MAX_SIZE, &finding);
    event_free(finding);
    return bytes && g_bytes_get_size(bytes) >= strlen(LFS_HEAD) &&
           memcmp(g_bytes_get_data(bytes, NULL), LFS_HEAD, strlen(LFS_HEAD)) == 0;
}

static Event *note(const Package *package, const PackageFile *file, const char *why)
{
    g_autofree char *path = package_path_in_source(package->child, file->path);
    return event_with(event_package_note(path, why), "{s:s, s:s}", "path", path, "why", why);
}

static Event *finding_of_pointer(const Package *package, const PackageFile *file,
                                 const char *model_type)
{
    if (!model_type || !package_is_model_file(model_type, file->path))
        return note(package, file, "it is a Git LFS pointer, which is packed as it is");
    g_autofree char *path = package_path_in_source(package->child, file->path);
    g_autofree char *size = g_strdup_printf("%" G_GINT64_FORMAT, file->identity.size);
    return event_with(event_lfs_pointer_found(path, size), "{s:s, s:I, s:s, s:s}", "file", path,
                      "size", (json_int_t)file->identity.size, "found", "a Git LFS pointer",
                      "expected", "the model file itself");
}

/* One note for all of them: a folder that was once on a Mac may hold thousands. */
static Event *note_of_leftovers(const Package *package)
{
    const PackageFile *first = package->leftovers->pdata[0];
    int64_t bytes = 0;
    for (guint i = 0; i < package->leftovers->len; i++)
        bytes += ((const PackageFile *)package->leftovers->pdata[i])->identity.size;
    g_autofree char *why =
        g_strdup_printf("macOS or Windows left it there; of such files, %u in all, none is packed",
                        package->leftovers->len);
    g_autofree char *path = package_path_in_source(package->child, first->path);
    Event *event = event_with_kind(event_package_note(path, why), "leftovers");
    return event_with(event, "{s:s, s:s, s:i, s:I}", "path", path, "why", why, "n",
                      (int)package->leftovers->len, "size", (json_int_t)bytes);
}

void package_check_notes(Package *package, const char *model_type, Findings *findings)
{
    for (guint i = 0; i < package->files->len; i++) {
        const PackageFile *file = package->files->pdata[i];
        if (is_lfs_pointer(package, file))
            findings_add(findings, finding_of_pointer(package, file, model_type));
        else if (strcmp(file->path, "Dockerfile") == 0)
            findings_add(
                findings,
                note(package, file,
                     "the image is built on the runtime's base; the file is packed as it is"));
    }
    if (package->leftovers->len > 0)
        findings_add(findings, note_of_leftovers(package));
}
