/* The key that a store's secrets are sealed with: without it a copy of the store would hold secrets
 * that nobody can open. A key that the settings name lies elsewhere, and is kept elsewhere. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/io.h"
#include "base/seal.h"
#include "upkeep/backup.h"

#define BEFORE_RESTORE SEAL_KEY_FILE ".before-restore"

bool backup_key_save(const DataDirectory *data, int directory, GError **error)
{
    bool missing;
    g_autoptr(GBytes) key = seal_key_file_read(data->fd, data->path, &missing, error);
    if (!key)
        return missing;
    return io_replace_file(directory, SEAL_KEY_FILE, g_bytes_get_data(key, NULL),
                           g_bytes_get_size(key), 0600, error);
}

/* A second name for the key that goes, as the store that goes has one. */
static bool present_keep(const DataDirectory *data, GError **error)
{
    if (unlinkat(data->fd, BEFORE_RESTORE, 0) < 0 && errno != ENOENT)
        return io_fail(error, errno, "%s/" BEFORE_RESTORE, data->path);
    return linkat(data->fd, SEAL_KEY_FILE, data->fd, BEFORE_RESTORE, 0) == 0 || errno == ENOENT ||
           io_fail(error, errno, "%s/" BEFORE_RESTORE, data->path);
}

/* The backup may be another user's to own; the key that is made of it is ours alone. */
bool backup_key_bring(int directory, const char *source, const DataDirectory *data, GError **error)
{
    g_autoptr(GError) failure = NULL;
    g_autoptr(GBytes) key = io_read_file(directory, SEAL_KEY_FILE, SEAL_KEY_BYTES, &failure);
    if (g_error_matches(failure, IO_ERROR, ENOENT))
        return true;
    if (!key || g_bytes_get_size(key) != SEAL_KEY_BYTES) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_DAMAGED,
                    "backup %s is damaged: its " SEAL_KEY_FILE " cannot be read as a key: %s",
                    source, failure ? failure->message : "it is not 32 bytes");
        return false;
    }
    g_autoptr(GBytes) present = io_read_file(data->fd, SEAL_KEY_FILE, SEAL_KEY_BYTES, NULL);
    if (present && g_bytes_equal(present, key))
        return true;
    return present_keep(data, error) &&
           io_replace_file(data->fd, SEAL_KEY_FILE, g_bytes_get_data(key, NULL),
                           g_bytes_get_size(key), 0600, error);
}
