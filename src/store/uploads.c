#include "store/uploads.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"

void upload_free(Upload *upload)
{
    if (!upload)
        return;
    g_free(upload->project);
    g_free(upload->id);
    g_free(upload->directory);
    g_free(upload->home);
    g_free(upload);
}

void upload_file_free(UploadFile *file)
{
    if (!file)
        return;
    g_free(file->path);
    g_free(file);
}

bool upload_id_is_valid(const char *id)
{
    for (const char *at = id; *at; at++)
        if (g_ascii_isupper(*at))
            return false;
    return g_uuid_string_is_valid(id);
}

/* -- rows -- */

bool upload_insert(Db *db, const DataDirectory *data, const char *project, const char *id,
                   const char *owner, GError **error)
{
    g_autofree char *directory = g_uuid_string_random();
    int64_t now = clock_now_ms();
    return db_exec(
        db, error,
        "INSERT INTO uploads(project, id, directory, owner, created_at, written_at, home) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7)",
        "ssssiis", project, id, directory, owner, now, now, data_home(data));
}

#define OPEN_USES                                                             \
    "SELECT 1 FROM upload_uses s JOIN jobs j ON j.model_id = s.model_id AND " \
    "j.attempt = s.attempt AND j.state <> 'done' WHERE s.directory = u.directory"

Upload *upload_load(Db *db, const char *project, const char *id, GError **error)
{
    g_autoptr(DbRows) rows = db_query(
        db, error,
        "SELECT directory, created_at, written_at, (SELECT count(*) FROM upload_files f WHERE "
        "f.directory = u.directory), (SELECT coalesce(sum(CASE WHEN f.size > 0 THEN f.size ELSE 0 "
        "END), 0) FROM upload_files f "
        "WHERE f.directory = u.directory), EXISTS(" OPEN_USES
        "), home FROM uploads u WHERE u.project = $1 AND u.id = $2",
        "ss", project, id);
    if (!rows || !db_next(rows, error))
        return NULL;
    Upload *upload = g_new0(Upload, 1);
    *upload = (Upload){.project = g_strdup(project),
                       .id = g_strdup(id),
                       .directory = g_strdup(db_text(rows, 0)),
                       .created_at = db_int(rows, 1),
                       .written_at = db_int(rows, 2),
                       .files = db_int(rows, 3),
                       .bytes = db_int(rows, 4),
                       .in_use = db_int(rows, 5) != 0,
                       .home = g_strdup(db_text(rows, 6))};
    return upload;
}

/* A data directory's own store goes where the directory goes. */
bool upload_is_here(Db *db, const DataDirectory *data, const Upload *upload)
{
    return db_engine(db) == DB_SQLITE || g_strcmp0(upload->home, data_home(data)) == 0;
}

bool uploads_count(Db *db, const char *project, int64_t *count, GError **error)
{
    return db_query_int(db, count, 0, error, "SELECT count(*) FROM uploads WHERE project = $1", "s",
                        project);
}

char *upload_files_path(const DataDirectory *data, const Upload *upload)
{
    return g_build_filename(data->path, UPLOADS_DIRECTORY, upload->directory, "files", NULL);
}

static UploadFile *file_of_row(DbRows *rows)
{
    UploadFile *file = g_new0(UploadFile, 1);
    file->path = g_strdup(db_text(rows, 0));
    file->size = db_int(rows, 1);
    file->complete = db_int(rows, 2) != 0;
    return file;
}

UploadFile *upload_file_load(Db *db, const Upload *upload, const char *path, GError **error)
{
    g_autoptr(DbRows) rows =
        db_query(db, error,
                 "SELECT path, size, complete FROM upload_files WHERE directory = $1 AND path = $2",
                 "ss", upload->directory, path);
    return rows && db_next(rows, error) ? file_of_row(rows) : NULL;
}

GPtrArray *upload_files_list(Db *db, const Upload *upload, bool incomplete, GError **error)
{
    g_autoptr(GPtrArray) files = g_ptr_array_new_with_free_func((GDestroyNotify)upload_file_free);
    g_autoptr(DbRows) rows =
        db_query(db, error,
                 "SELECT path, size, complete FROM upload_files WHERE directory = $1 AND "
                 "complete <= $2 ORDER BY path",
                 "si", upload->directory, (int64_t)(incomplete ? 0 : 1));
    GError *failure = NULL;
    while (rows && db_next(rows, &failure))
        g_ptr_array_add(files, file_of_row(rows));
    if (failure)
        g_propagate_error(error, failure);
    return rows && !failure ? g_steal_pointer(&files) : NULL;
}

bool upload_touch(Db *db, const Upload *upload, GError **error)
{
    return db_exec(db, error, "UPDATE uploads SET written_at = $2 WHERE directory = $1", "si",
                   upload->directory, clock_now_ms());
}

bool upload_file_set(Db *db, const Upload *upload, const char *path, int64_t size, bool complete,
                     GError **error)
{
    return db_exec(db, error,
                   "INSERT INTO upload_files(directory, path, size, complete) VALUES ($1, $2, $3, "
                   "$4) ON CONFLICT(directory, path) DO UPDATE SET size = excluded.size, "
                   "complete = excluded.complete",
                   "ssii", upload->directory, path, size, (int64_t)complete) &&
           upload_touch(db, upload, error);
}

bool upload_file_forget(Db *db, const Upload *upload, const char *path, GError **error)
{
    return db_exec(db, error, "DELETE FROM upload_files WHERE directory = $1 AND path = $2", "ss",
                   upload->directory, path);
}

/* -- uses -- */

bool upload_use(Db *db, const char *project, const char *id, const char *model_id, int attempt,
                GError **error)
{
    return db_exec(db, error,
                   "INSERT INTO upload_uses(directory, model_id, attempt) SELECT directory, $3, $4 "
                   "FROM uploads WHERE project = $1 AND id = $2",
                   "sssi", project, id, model_id, (int64_t)attempt);
}

bool upload_delete(Db *db, const char *project, const char *id, const char *model_id, int attempt,
                   char **directory, GError **error)
{
    GError *failure = NULL;
    *directory = NULL;
    if (!db_exec(db, error,
                 "DELETE FROM upload_uses WHERE model_id = $1 AND attempt = $2 AND directory IN "
                 "(SELECT directory FROM uploads WHERE project = $3 AND id = $4)",
                 "siss", model_id, (int64_t)attempt, project, id))
        return false;
    g_autoptr(Upload) upload = upload_load(db, project, id, &failure);
    if (failure)
        g_propagate_error(error, failure);
    if (!upload || upload->in_use)
        return !failure;
    *directory = g_strdup(upload->directory);
    return db_exec(db, error, "DELETE FROM uploads WHERE directory = $1", "s", upload->directory);
}

/* -- directories -- */

static bool directory_clear(int parent, const char *name, int64_t *bytes, bool dry_run,
                            GError **error);

static bool entry_remove(int directory, const char *name, int64_t *bytes, bool dry_run,
                         GError **error)
{
    struct stat about;
    if (fstatat(directory, name, &about, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT || io_fail(error, errno, "%s", name);
    if (S_ISDIR(about.st_mode))
        return directory_clear(directory, name, bytes, dry_run, error);
    if (!dry_run && unlinkat(directory, name, 0) < 0 && errno != ENOENT)
        return io_fail(error, errno, "%s", name);
    *bytes += about.st_size;
    return true;
}

static bool directory_clear(int parent, const char *name, int64_t *bytes, bool dry_run,
                            GError **error)
{
    autofd fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT || io_fail(error, errno, "%s", name);
    int again = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    DIR *stream = again < 0 ? NULL : fdopendir(again);
    if (!stream)
        return io_fail(error, errno, "%s", name);
    bool done = true;
    for (struct dirent *entry; done && (entry = readdir(stream));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            done = entry_remove(fd, entry->d_name, bytes, dry_run, error);
    closedir(stream);
    if (done && !dry_run && unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
        done = io_fail(error, errno, "%s", name);
    return done;
}

static bool remove_counted(const DataDirectory *data, const char *directory, bool dry_run,
                           int64_t *bytes, GError **error)
{
    autofd uploads = openat(data->fd, UPLOADS_DIRECTORY, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (uploads < 0)
        return errno == ENOENT || io_fail(error, errno, UPLOADS_DIRECTORY);
    return directory_clear(uploads, directory, bytes, dry_run, error);
}

bool upload_remove_directory(const DataDirectory *data, const char *directory, GError **error)
{
    int64_t bytes = 0;
    return remove_counted(data, directory, false, &bytes, error);
}

/* -- the sweep -- */

/* Names beneath uploads/. */
static GPtrArray *directories_list(const DataDirectory *data)
{
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *path = data_path(data, UPLOADS_DIRECTORY);
    g_autoptr(GDir) stream = g_dir_open(path, 0, NULL);
    const char *name;
    while (stream && (name = g_dir_read_name(stream)))
        g_ptr_array_add(names, g_strdup(name));
    return names;
}

/* Deletes the rows that have expired, and returns the directories that belong to none: of those
 * that were listed before, so that a new upload's is never among them. */
static GPtrArray *sweep_rows(Db *db, GPtrArray *listed, int64_t before, bool dry_run,
                             GError **error)
{
    g_autoptr(DbTransaction) transaction = db_transaction(db, error);
    if (!transaction ||
        !db_exec(db, error,
                 "DELETE FROM uploads AS u WHERE written_at < $1 AND NOT EXISTS(" OPEN_USES ")",
                 "i", before))
        return NULL;
    g_autoptr(GPtrArray) garbage = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; i < listed->len; i++) {
        int64_t known;
        const char *name = listed->pdata[i];
        if (!db_query_int(db, &known, 0, error, "SELECT count(*) FROM uploads WHERE directory = $1",
                          "s", name))
            return NULL;
        if (!known)
            g_ptr_array_add(garbage, g_strdup(name));
    }
    /* A dry run ends in a rollback. */
    return dry_run || db_commit(db, error) ? g_steal_pointer(&garbage) : NULL;
}

bool uploads_sweep(Db *db, const DataDirectory *data, int64_t before, bool dry_run, int *count,
                   int64_t *bytes, GError **error)
{
    int64_t expired;
    g_autoptr(GPtrArray) listed = directories_list(data);
    /* Mostly there is nothing to do, and no need to wait for the write lock. */
    if (!db_query_int(db, &expired, 0, error, "SELECT count(*) FROM uploads WHERE written_at < $1",
                      "i", before))
        return false;
    if (listed->len == 0 && expired == 0)
        return true;
    g_autoptr(GPtrArray) garbage = sweep_rows(db, listed, before, dry_run, error);
    for (guint i = 0; garbage && i < garbage->len; i++) {
        if (!remove_counted(data, garbage->pdata[i], dry_run, bytes, error))
            return false;
        ++*count;
    }
    return garbage != NULL;
}
