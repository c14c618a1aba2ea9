/* Backups of the embedded mode:
 *
 *   DEST/waybill.db    a consistent copy of the store
 *   DEST/images/       an OCI image layout: every blob that this copy refers to; empty where a
 *                      registry keeps the images
 *   DEST/secret.key    what the store's secrets are sealed with, where the data directory has it
 *   DEST/backup.json   what it is; it comes last, so a directory without it is no backup
 *
 * A backup is made in DEST.partial, which becomes DEST by a rename once all of it is durable. */
#pragma once

#include "import/service.h"

#define BACKUP_ERROR (backup_error_quark())
GQuark backup_error_quark(void);
typedef enum {
    BACKUP_ERROR_DESTINATION, /* it is taken, or cannot be one */
    BACKUP_ERROR_NO_BACKUP,   /* the source of a restore is none */
    BACKUP_ERROR_DAMAGED,     /* a blob, or the store's copy, is not whole */
    BACKUP_ERROR_REFUSED      /* restoring it would lose what came later */
} BackupError;

#define BACKUP_FORMAT 1
#define BACKUP_FILE   "backup.json"
#define BACKUP_IMAGES "images"

/* backup.json. */
typedef struct {
    int schema;         /* of the store */
    char *waybill;      /* the version that wrote it */
    int64_t created_at; /* ms since 1970 UTC */
    int64_t models, runtimes, events, blobs;
    char *images;          /* HOST/NAMESPACE that keeps them, so that none are here; or NULL */
    int64_t bytes;         /* of the blobs */
    char *database_digest; /* of waybill.db */
    int64_t database_size;
} Backup;
void backup_free(Backup *backup);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Backup, backup_free)

json_t *backup_json(const Backup *backup);
/* backup.json of a directory. BACKUP_ERROR_NO_BACKUP: there is none that we can read. */
Backup *backup_read(int directory, const char *path, GError **error);

/* Of a store in use, too; gc waits meanwhile. Each blob is verified on its way. Where it fails or
 * is stopped (G_IO_ERROR_CANCELLED) nothing is left behind. */
Backup *backup_make(Service *service, const char *destination, GError **error);

/* Makes the data directory what the backup holds: blobs first, then the store, by a rename. The
 * store that it replaces is kept (DATA_BEFORE_RESTORE). Refused: a directory in use
 * (DB_ERROR_BUSY), a store or backup of a newer program (DB_ERROR_NEWER), a store with events that
 * the backup lacks (BACKUP_ERROR_REFUSED). The backup is only read, all of it. */
Backup *backup_restore(const char *source, const char *data_directory, const Settings *settings,
                       Progress *progress, GError **error);

/* secret.key to a backup, and from one; none is none. The key that it replaces stays as
 * secret.key.before-restore. */
bool backup_key_save(const DataDirectory *data, int directory, GError **error);
bool backup_key_bring(int directory, const char *source, const DataDirectory *data, GError **error);

/* SHA-256 of a file's bytes, which are also written to `copy` unless that is -1. NULL on failure;
 * G_IO_ERROR_CANCELLED: stopped. */
char *backup_hash(int fd, int copy, Progress *progress, GError **error);
