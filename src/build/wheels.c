#include "build/wheels.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "image/layer.h"

#define READ_BYTES (1 << 20)

static bool write_wheel(struct archive *archive, const char *directory, const char *name,
                        GError **error)
{
    g_autofree char *path = g_build_filename(directory, name, NULL);
    autofd fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0)
        return io_fail(error, errno, "%s", path);
    if (archive_read_data_into_fd(archive, fd) == ARCHIVE_OK)
        return true;
    return io_fail(error, archive_errno(archive) ? archive_errno(archive) : EIO, "%s", path);
}

static bool look_into(Layout *layout, const char *digest, const GPtrArray *names,
                      const char *directory, guint *found, GError **error)
{
    autofd blob = layout_open_blob(layout, digest, error);
    if (blob < 0)
        return false;
    struct archive *archive = archive_read_new();
    struct archive_entry *entry;
    bool done = true;
    archive_read_support_format_tar(archive);
    archive_read_open_fd(archive, blob, READ_BYTES);
    while (done && *found < names->len && archive_read_next_header(archive, &entry) == ARCHIVE_OK) {
        const char *path = archive_entry_pathname(entry);
        if (!path || !g_str_has_prefix(path, LAYER_ROOT "/"))
            continue;
        for (guint i = 0; done && i < names->len; i++)
            if (strcmp(path + strlen(LAYER_ROOT "/"), names->pdata[i]) == 0) {
                done = write_wheel(archive, directory, names->pdata[i], error);
                ++*found;
                break;
            }
    }
    archive_read_free(archive);
    return done;
}

bool wheels_extract(Layout *layout, const GPtrArray *layers, const GPtrArray *names,
                    const char *directory, GError **error)
{
    guint found = 0;
    for (guint i = 0; i < layers->len && found < names->len; i++)
        if (!look_into(layout, layers->pdata[i], names, directory, &found, error))
            return false;
    if (found >= names->len)
        return true;
    g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_NO_BLOB,
                "a wheel of the package is in none of its layers");
    return false;
}
