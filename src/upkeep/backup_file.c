/* backup.json, and what making and restoring a backup share. */
#include <gio/gio.h>

#include "base/digest.h"
#include "base/error_domain.h"
#include "base/io.h"
#include "upkeep/backup.h"

#define FILE_MAX   ((size_t)64 << 10) /* bytes */
#define HASH_CHUNK ((size_t)256 << 10)

DEFINE_ERROR_DOMAIN(backup_error);

void backup_free(Backup *backup)
{
    if (!backup)
        return;
    g_free(backup->waybill);
    g_free(backup->images);
    g_free(backup->database_digest);
    g_free(backup);
}

#define LAYOUT  "{s:i, s:i, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:{s:s, s:I}"
#define WRITTEN LAYOUT ", s:s*}"
#define READ    LAYOUT ", s?s}"

json_t *backup_json(const Backup *backup)
{
    return json_pack(WRITTEN, "format", BACKUP_FORMAT, "schema", backup->schema, "waybill",
                     backup->waybill, "created_at", (json_int_t)backup->created_at, "models",
                     (json_int_t)backup->models, "runtimes", (json_int_t)backup->runtimes, "events",
                     (json_int_t)backup->events, "blobs", (json_int_t)backup->blobs, "bytes",
                     (json_int_t)backup->bytes, "database", "digest", backup->database_digest,
                     "size", (json_int_t)backup->database_size, "images", backup->images);
}

static Backup *backup_of_json(const json_t *object, char **why)
{
    int format = 0, schema = 0;
    const char *waybill = NULL, *digest = NULL, *images = NULL;
    json_int_t created, models, runtimes, events, blobs, bytes, size;
    json_error_t fault;
    if (json_unpack_ex((json_t *)object, &fault, 0, "{s:i}", "format", &format) == 0 &&
        format != BACKUP_FORMAT) {
        *why = g_strdup_printf("its format is %d; this program knows %d", format, BACKUP_FORMAT);
        return NULL;
    }
    if (json_unpack_ex((json_t *)object, &fault, 0, READ, "format", &format, "schema", &schema,
                       "waybill", &waybill, "created_at", &created, "models", &models, "runtimes",
                       &runtimes, "events", &events, "blobs", &blobs, "bytes", &bytes, "database",
                       "digest", &digest, "size", &size, "images", &images) != 0) {
        *why = g_strdup(fault.text);
        return NULL;
    }
    Backup *backup = g_new0(Backup, 1);
    *backup = (Backup){.schema = schema,
                       .waybill = g_strdup(waybill),
                       .created_at = created,
                       .models = models,
                       .runtimes = runtimes,
                       .events = events,
                       .blobs = blobs,
                       .images = g_strdup(images),
                       .bytes = bytes,
                       .database_digest = g_strdup(digest),
                       .database_size = size};
    return backup;
}

Backup *backup_read(int directory, const char *path, GError **error)
{
    g_autoptr(GError) failure = NULL;
    g_autoptr(GBytes) content = io_read_file(directory, BACKUP_FILE, FILE_MAX, &failure);
    if (!content) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_NO_BACKUP, "%s is no backup: %s", path,
                    failure->message);
        return NULL;
    }
    json_error_t fault;
    json_auto_t *object = json_loadb(g_bytes_get_data(content, NULL), g_bytes_get_size(content),
                                     JSON_REJECT_DUPLICATES, &fault);
    g_autofree char *why = object ? NULL : g_strdup(fault.text);
    Backup *backup = object ? backup_of_json(object, &why) : NULL;
    if (!backup)
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_NO_BACKUP, "%s/" BACKUP_FILE ": %s", path,
                    why);
    return backup;
}

char *backup_hash(int fd, int copy, Progress *progress, GError **error)
{
    g_autoptr(Digest) digest = digest_new();
    g_autofree char *chunk = g_malloc(HASH_CHUNK);
    ssize_t got;
    while ((got = io_read_full(fd, chunk, HASH_CHUNK, error)) > 0) {
        digest_update(digest, chunk, (size_t)got);
        if (copy >= 0 && !io_write_all(copy, chunk, (size_t)got, error))
            return NULL;
        if (progress_stopped(progress)) {
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED, "stopped");
            return NULL;
        }
    }
    return got < 0 ? NULL : digest_finish(digest);
}
