#include "model/leftovers.h"

#include <string.h>

#define MACOS_ARCHIVE "__MACOSX"

static const char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static bool is_in_archive_folder(const char *path)
{
    return g_str_has_prefix(path, MACOS_ARCHIVE "/") || strstr(path, "/" MACOS_ARCHIVE "/");
}

static bool is_apple_double(PackageSource *source, const char *child, const PackageFile *file)
{
    static const unsigned char MAGIC[] = {0x00, 0x05, 0x16, 0x07};
    unsigned char head[sizeof MAGIC];
    size_t done = 0;
    ssize_t got = 0;
    Event *finding = NULL; /* what cannot be read is named by the stage that packs it */
    g_autoptr(PackageReader) reader = source->open(source, child, file, &finding);
    while (reader && done < sizeof head &&
           (got = reader->read(reader, head + done, sizeof head - done, &finding)) > 0)
        done += (size_t)got;
    event_free(finding);
    return done == sizeof head && memcmp(head, MAGIC, sizeof head) == 0;
}

bool leftover_is(PackageSource *source, const char *child, const PackageFile *file)
{
    static const char *const NAMES[] = {".DS_Store", "Thumbs.db", "desktop.ini", NULL};
    const char *name = name_of(file->path);
    return g_strv_contains(NAMES, name) || is_in_archive_folder(file->path) ||
           (g_str_has_prefix(name, "._") && is_apple_double(source, child, file));
}
