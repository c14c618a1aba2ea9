#include "store/data.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/io.h"
#include "base/machine.h"
#include "store/model_changes.h"
#include "store/schema.h"

#ifndef CIFS_SUPER_MAGIC
#define CIFS_SUPER_MAGIC 0xFF534D42
#endif
#ifndef SMB2_SUPER_MAGIC
#define SMB2_SUPER_MAGIC 0xFE534D42
#endif

const char *data_network_file_system(int fd)
{
    struct statfs about;
    if (fstatfs(fd, &about) < 0)
        return NULL;
    switch ((unsigned long)about.f_type & 0xFFFFFFFFUL) {
    case NFS_SUPER_MAGIC:
        return "nfs";
    case SMB_SUPER_MAGIC:
    case CIFS_SUPER_MAGIC:
    case SMB2_SUPER_MAGIC:
        return "smb";
    default:
        return NULL;
    }
}

static bool data_lock_store(DataDirectory *data, bool alone, GError **error)
{
    data->store_lock = openat(data->fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (data->store_lock < 0)
        return io_fail(error, errno, "%s/lock", data->path);
    struct flock lock = {.l_type = alone ? F_WRLCK : F_RDLCK,
                         .l_whence = SEEK_SET,
                         .l_start = 0,
                         .l_len = 1};
    if (fcntl(data->store_lock, F_OFD_SETLK, &lock) == 0)
        return true;
    if (errno != EAGAIN && errno != EACCES)
        return io_fail(error, errno, "%s/lock", data->path);
    g_set_error(error, DB_ERROR, DB_ERROR_BUSY,
                alone ? "%s is in use: end what works on it first"
                      : "%s is being restored by another process",
                data->path);
    return false;
}

static DataDirectory *data_open_locked(const char *path, bool create, bool alone,
                                       int busy_timeout_ms, GError **error)
{
    g_autoptr(DataDirectory) data = g_new0(DataDirectory, 1);
    data->fd = data->store_lock = -1;
    data->busy_timeout_ms = busy_timeout_ms;
    data->lease_ms = DATA_LEASE_MS;
    data->connections = DB_CONNECTIONS;
    pthread_mutex_init(&data->held_lock, NULL);
    data->path = g_canonicalize_filename(path, NULL);
    g_autofree char *machine = machine_id();
    data->home = g_strconcat(machine, ":", data->path, NULL);
    if (create && !io_make_directories(data->path, 0700, error)) {
        g_prefix_error(error, "data directory %s: ", data->path);
        return NULL;
    }
    data->fd = open(data->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (data->fd < 0) {
        io_fail(error, errno, "data directory %s", data->path);
        return NULL;
    }
    const char *network = data_network_file_system(data->fd);
    if (network) {
        g_set_error(error, DB_ERROR, DB_ERROR_FAILED,
                    "data directory %s lies on %s, where file locks do not hold: choose a local "
                    "disk with --data",
                    data->path, network);
        return NULL;
    }
    if (!data_lock_store(data, alone, error))
        return NULL;
    data_make_reserve(data);
    return g_steal_pointer(&data);
}

DataDirectory *data_open(const char *path, bool create, int busy_timeout_ms, GError **error)
{
    return data_open_locked(path, create, false, busy_timeout_ms, error);
}

DataDirectory *data_open_alone(const char *path, int busy_timeout_ms, GError **error)
{
    return data_open_locked(path, true, true, busy_timeout_ms, error);
}

void data_free(DataDirectory *data)
{
    if (!data)
        return;
    io_close(&data->store_lock);
    io_close(&data->fd);
    g_free(data->path);
    g_free(data->home);
    g_free(data->store_url);
    pthread_mutex_destroy(&data->held_lock);
    g_free(data);
}

const char *data_home(const DataDirectory *data)
{
    return data->home;
}

char *data_path(const DataDirectory *data, const char *name)
{
    return g_build_filename(data->path, name, NULL);
}

static void make_room(gpointer data)
{
    data_make_room(data);
}

/* Bytes of DATA/lock; the first is data_lock_store's. */
enum { OPENING = 1, GC = 2 };

static int data_lock_byte(const DataDirectory *data, off_t byte, GError **error)
{
    int fd = openat(data->fd, "lock", O_RDWR | O_CLOEXEC);
    struct flock exclusive = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    if (fd >= 0 && fcntl(fd, F_OFD_SETLKW, &exclusive) == 0)
        return fd;
    io_fail(error, errno, "%s/lock", data->path);
    io_close(&fd);
    return -1;
}

int data_lock_gc(const DataDirectory *data, GError **error)
{
    return data_lock_byte(data, GC, error);
}

bool data_use(DataDirectory *data, const char *url, GError **error)
{
    if (*url && !db_is_served(url)) {
        g_set_error(error, DB_ERROR, DB_ERROR_FAILED,
                    "store.url is no postgresql://[USER[:PASSWORD]@]HOST[:PORT]/DATABASE");
        return false;
    }
    g_free(data->store_url);
    data->store_url = *url ? g_strdup(url) : NULL;
    return true;
}

/* Of a server: its own locks keep those apart that migrate it. */
static Db *open_elsewhere(DataDirectory *data, GError **error)
{
    int count;
    const Migration *migrations = schema_migrations(&count);
    g_autoptr(Db) db =
        db_open_postgres(data->store_url, data->busy_timeout_ms, data->connections, error);
    if (!db || !schema_migrate(db, migrations, count, NULL, error) ||
        !model_changes_go_on(db, error))
        return NULL;
    return g_steal_pointer(&db);
}

Db *data_open_store(DataDirectory *data, GError **error)
{
    if (data->store_url)
        return open_elsewhere(data, error);
    /* A further connection needs no room of its own; what is being written beside it would take
     * what the reserve is kept for. */
    if (!data->store_was_opened)
        data_make_room(data);
    /* Making and migrating a store are for one process at a time: SQLite's own lock does not cover
     * the switch to WAL. */
    autofd opening = data_lock_byte(data, OPENING, error);
    if (opening < 0)
        return NULL;
    g_autofree char *path = data_path(data, DATA_STORE);
    g_autoptr(Db) db = db_open_sqlite(path, data->busy_timeout_ms, error);
    if (db)
        db_before_writing(db, make_room, data);
    int count;
    const Migration *migrations = schema_migrations(&count);
    if (!db || !schema_migrate(db, migrations, count, path, error))
        return NULL;
    if (!data->store_was_opened)
        data->store_was_opened = true;
    return g_steal_pointer(&db);
}

void data_release_reserve(DataDirectory *data)
{
    unlinkat(data->fd, "reserve", 0);
}

void data_make_room(DataDirectory *data)
{
    if (data_free_bytes(data) < DATA_ROOM_BYTES)
        data_release_reserve(data);
}

/* Made only where that leaves room: what is given up at once would be made again and again. */
bool data_make_reserve(DataDirectory *data)
{
    struct stat about;
    if (fstatat(data->fd, "reserve", &about, 0) == 0 && about.st_size >= DATA_RESERVE_BYTES)
        return true;
    if (data_free_bytes(data) < DATA_RESERVE_BYTES + DATA_ROOM_BYTES)
        return false;
    autofd fd = openat(data->fd, "reserve", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0 && posix_fallocate(fd, 0, DATA_RESERVE_BYTES) == 0)
        return true;
    unlinkat(data->fd, "reserve", 0);
    return false;
}

int64_t data_free_bytes(const DataDirectory *data)
{
    struct statvfs about;
    return fstatvfs(data->fd, &about) == 0 ? (int64_t)about.f_bavail * (int64_t)about.f_frsize : 0;
}

int64_t data_disk_bytes(const DataDirectory *data)
{
    struct statvfs about;
    return fstatvfs(data->fd, &about) == 0 ? (int64_t)about.f_blocks * (int64_t)about.f_frsize : 0;
}
