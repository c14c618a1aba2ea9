#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "config.h"
#include "store/model_changes.h"
#include "store/schema.h"
#include "upkeep/backup.h"
#include "upkeep/kept.h"

typedef struct {
    const char *source;
    int directory; /* of the source */
    Layout *from;
    DataDirectory *data;
    Layout *to;
    Db *db; /* DATA_RESTORING, until it is put in place */
    Progress *progress;
} Restoring;

static void store_sweep(DataDirectory *data)
{
    static const char *const FILES[] = {DATA_RESTORING, DATA_RESTORING "-wal",
                                        DATA_RESTORING "-shm", DATA_RESTORING "-journal"};
    for (size_t i = 0; i < G_N_ELEMENTS(FILES); i++)
        unlinkat(data->fd, FILES[i], 0);
}

static void restoring_clear(Restoring *restoring)
{
    layout_free(restoring->from);
    layout_free(restoring->to);
    db_free(restoring->db);
    if (restoring->data)
        store_sweep(restoring->data);
    data_free(restoring->data);
    io_close(&restoring->directory);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Restoring, restoring_clear)

static bool fail_damaged(const Restoring *restoring, const char *why, GError **error)
{
    g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_DAMAGED, "backup %s is damaged: %s",
                restoring->source, why);
    return false;
}

/* A fault of the backup's images is one of the backup. */
static bool fail_of_backup(const Restoring *restoring, GError *failure, GError **error)
{
    if (failure->domain != IMAGE_ERROR) {
        g_propagate_error(error, failure);
        return false;
    }
    fail_damaged(restoring, failure->message, error);
    g_error_free(failure);
    return false;
}

/* -- the backup -- */

static Backup *source_open(Restoring *restoring, GError **error)
{
    restoring->directory = open(restoring->source, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (restoring->directory < 0) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_NO_BACKUP, "%s is no backup: %s",
                    restoring->source, g_strerror(errno));
        return NULL;
    }
    g_autoptr(Backup) backup = backup_read(restoring->directory, restoring->source, error);
    if (!backup)
        return NULL;
    const int known = schema_newest();
    if (backup->schema > known) {
        g_set_error(error, DB_ERROR, DB_ERROR_NEWER,
                    "backup %s has schema %d, written by waybill %s; this is waybill %s, which "
                    "knows schemas up to %d: use the newer program",
                    restoring->source, backup->schema, backup->waybill, WAYBILL_VERSION, known);
        return NULL;
    }
    GError *failure = NULL;
    g_autofree char *images = g_build_filename(restoring->source, BACKUP_IMAGES, NULL);
    restoring->from = layout_open(images, &failure);
    return restoring->from || fail_of_backup(restoring, failure, error) ? g_steal_pointer(&backup)
                                                                        : NULL;
}

static bool store_bring(Restoring *restoring, const Backup *backup, GError **error)
{
    DataDirectory *data = restoring->data;
    store_sweep(data);
    autofd from = openat(restoring->directory, DATA_STORE, O_RDONLY | O_CLOEXEC);
    if (from < 0)
        return fail_damaged(restoring, "it has no " DATA_STORE, error);
    autofd to = openat(data->fd, DATA_RESTORING, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (to < 0)
        return io_fail(error, errno, "%s/" DATA_RESTORING, data->path);
    g_autofree char *found = backup_hash(from, to, restoring->progress, error);
    if (!found)
        return false;
    if (strcmp(found, backup->database_digest) != 0)
        return fail_damaged(restoring, DATA_STORE " is not what " BACKUP_FILE " says", error);
    return fsync(to) == 0 || io_fail(error, errno, "%s/" DATA_RESTORING, data->path);
}

static bool store_open(Restoring *restoring, GError **error)
{
    g_autofree char *path = data_path(restoring->data, DATA_RESTORING);
    int count;
    const Migration *migrations = schema_migrations(&count);
    restoring->db = db_open_sqlite(path, 0, error);
    return restoring->db && db_check(restoring->db, error) &&
           schema_migrate(restoring->db, migrations, count, NULL, error) &&
           model_changes_end_epoch(restoring->db, error);
}

/* -- the store that is there -- */

static bool events_lost_of(Db *backup, const char *model_id, int64_t last_seq, int64_t *lost,
                           GError **error)
{
    int64_t saved;
    if (!db_query_int(backup, &saved, 0, error, "SELECT last_seq FROM models WHERE id = $1", "s",
                      model_id))
        return false;
    *lost += MAX(last_seq - saved, 0);
    return true;
}

/* Events that the store has and the backup has not: seq is dense, so the newest ones tell. No clock
 * is asked. */
static bool events_lost(Db *present, Db *backup, int64_t *lost, GError **error)
{
    *lost = 0;
    GError *failure = NULL;
    g_autoptr(DbRows) rows = db_query(present, error, "SELECT id, last_seq FROM models", "");
    while (rows && db_next(rows, &failure))
        if (!events_lost_of(backup, db_text(rows, 0), db_int(rows, 1), lost, error))
            return false;
    if (failure)
        g_propagate_error(error, failure);
    return rows && !failure;
}

/* A damaged store is what a backup is for: nothing can be said about what it holds. */
static bool present_may_go(Restoring *restoring, GError **error)
{
    DataDirectory *data = restoring->data;
    if (faccessat(data->fd, DATA_STORE, F_OK, 0) < 0)
        return true;
    g_autoptr(GError) failure = NULL;
    g_autoptr(Db) present = data_open_store(data, &failure);
    int64_t lost = 0;
    if (present)
        events_lost(present, restoring->db, &lost, &failure);
    if (failure && !g_error_matches(failure, DB_ERROR, DB_ERROR_DAMAGED)) {
        g_propagate_error(error, g_steal_pointer(&failure));
        return false;
    }
    if (failure || lost == 0)
        return true;
    g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_REFUSED,
                "the store in %s is newer than the backup: %" G_GINT64_FORMAT
                " events would be lost; to restore all the same, move the directory away: mv %s "
                "%s.old",
                data->path, lost, data->path, data->path);
    return false;
}

/* -- the blobs -- */

/* A blob that is there, but damaged, would pass for the backup's. */
static bool blob_bring(Restoring *restoring, const Descriptor *blob, GError **error)
{
    GError *failure = NULL;
    if (layout_blob_size(restoring->to, blob->digest) >= 0 &&
        !layout_verify_blob(restoring->to, blob->digest, blob->size, NULL, NULL) &&
        !layout_remove_blob(restoring->to, blob->digest, error))
        return false;
    return image_copy_blob(layout_source(restoring->from), blob, restoring->to, restoring->progress,
                           NULL, &failure) ||
           fail_of_backup(restoring, failure, error);
}

static bool blobs_bring(Restoring *restoring, const Backup *backup, GError **error)
{
    GError *failure = NULL;
    g_autofree char *images = data_path(restoring->data, BACKUP_IMAGES);
    restoring->to = layout_create(images, error);
    if (!restoring->to || backup->images)
        return restoring->to != NULL;
    g_autoptr(Kept) kept = kept_read(restoring->db, restoring->from, &failure);
    if (!kept)
        return fail_of_backup(restoring, failure, error);
    kept_measure(kept, restoring->from);
    progress_begin(restoring->progress, kept_bytes(kept));
    bool done = true;
    for (guint i = 0; done && i < kept->blobs->len; i++) {
        const KeptBlob *blob = kept->blobs->pdata[i];
        done = blob_bring(restoring, &blob->blob, error);
    }
    progress_end(restoring->progress);
    return done;
}

/* -- the exchange -- */

/* A second name for the store that goes, with the log that one of its writers may have left. At
 * every moment there is a store under its name. */
static bool present_keep(DataDirectory *data, GError **error)
{
    unlinkat(data->fd, DATA_BEFORE_RESTORE, 0);
    unlinkat(data->fd, DATA_BEFORE_RESTORE "-wal", 0);
    if (linkat(data->fd, DATA_STORE, data->fd, DATA_BEFORE_RESTORE, 0) < 0 && errno != ENOENT)
        return io_fail(error, errno, "%s/" DATA_BEFORE_RESTORE, data->path);
    if (renameat(data->fd, DATA_STORE "-wal", data->fd, DATA_BEFORE_RESTORE "-wal") < 0 &&
        errno != ENOENT)
        return io_fail(error, errno, "%s/" DATA_STORE "-wal", data->path);
    if (unlinkat(data->fd, DATA_STORE "-shm", 0) < 0 && errno != ENOENT)
        return io_fail(error, errno, "%s/" DATA_STORE "-shm", data->path);
    return io_sync_directory(data->fd, error);
}

static bool store_put(Restoring *restoring, GError **error)
{
    DataDirectory *data = restoring->data;
    g_clear_pointer(&restoring->db, db_free); /* its log ends */
    if (!present_keep(data, error))
        return false;
    if (renameat(data->fd, DATA_RESTORING, data->fd, DATA_STORE) < 0)
        return io_fail(error, errno, "%s/" DATA_STORE, data->path);
    return io_sync_directory(data->fd, error);
}

static bool index_write(Restoring *restoring, const Backup *backup, GError **error)
{
    g_autoptr(Db) db = data_open_store(restoring->data, error);
    return db && (backup->images || images_write_index(restoring->to, db, error));
}

Backup *backup_restore(const char *source, const char *data_directory, const Settings *settings,
                       Progress *progress, GError **error)
{
    g_auto(Restoring) restoring = {.source = source, .directory = -1, .progress = progress};
    if (*settings_text(settings, "store.url")) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_REFUSED,
                    "store.url is set: restore into a data directory without it, then `waybill "
                    "store copy --to` it");
        return NULL;
    }
    g_autoptr(Backup) backup = source_open(&restoring, error);
    if (!backup)
        return NULL;
    restoring.data = data_open_alone(data_directory,
                                     (int)settings_int(settings, "store.busy_timeout_ms"), error);
    if (!restoring.data || !store_bring(&restoring, backup, error) ||
        !store_open(&restoring, error) || !present_may_go(&restoring, error) ||
        !blobs_bring(&restoring, backup, error) ||
        !backup_key_bring(restoring.directory, source, restoring.data, error) ||
        !store_put(&restoring, error) || !index_write(&restoring, backup, error))
        return NULL;
    return g_steal_pointer(&backup);
}
