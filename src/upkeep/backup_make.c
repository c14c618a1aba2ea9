#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "config.h"
#include "store/schema.h"
#include "upkeep/backup.h"
#include "upkeep/kept.h"

typedef struct {
    Service *service;
    char *path;    /* DEST, absolute */
    char *name;    /* its last part */
    char *partial; /* NAME.partial, beneath `parent` */
    int parent;
    int directory; /* of DEST.partial; -1: it was not made */
    bool published;
    Db *db; /* the copy */
    Layout *images;
    Kept *kept;
} Making;

/* -- the place -- */

static bool fail_destination(const Making *making, const char *why, GError **error)
{
    g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_DESTINATION, "%s %s", making->path, why);
    return false;
}

static bool directory_is_empty(int parent, const char *name)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *stream = fd >= 0 ? fdopendir(fd) : NULL;
    if (!stream) {
        io_close(&fd);
        return false;
    }
    int entries = 0;
    while (readdir(stream))
        entries++;
    closedir(stream);
    return entries == 2; /* . and .. */
}

/* A rename replaces an empty directory, but no mount point. */
static bool destination_is_free(const Making *making, GError **error)
{
    struct stat above, there;
    if (fstat(making->parent, &above) < 0)
        return io_fail(error, errno, "%s", making->path);
    if (fstatat(making->parent, making->name, &there, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT || io_fail(error, errno, "%s", making->path);
    if (!S_ISDIR(there.st_mode))
        return fail_destination(making, "is there and is no directory", error);
    if (there.st_dev != above.st_dev)
        return fail_destination(making, "is a mount point: name a new directory in it", error);
    return directory_is_empty(making->parent, making->name) ||
           fail_destination(making, "is there and is not empty", error);
}

static bool place_open(Making *making, GError **error)
{
    g_autofree char *above = g_path_get_dirname(making->path);
    making->name = g_path_get_basename(making->path);
    making->partial = g_strconcat(making->name, ".partial", NULL);
    making->parent = open(above, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (making->parent < 0) {
        g_autofree char *why = g_strdup_printf("cannot be made: %s: %s", above, g_strerror(errno));
        return fail_destination(making, why, error);
    }
    if (!destination_is_free(making, error))
        return false;
    if (mkdirat(making->parent, making->partial, 0700) < 0) {
        if (errno != EEXIST)
            return io_fail(error, errno, "%s.partial", making->path);
        return fail_destination(making,
                                "is being written by another backup; if none runs, one was killed: "
                                "remove the directory of that name with .partial behind it",
                                error);
    }
    making->directory =
        openat(making->parent, making->partial, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return making->directory >= 0 || io_fail(error, errno, "%s.partial", making->path);
}

/* Everything in a directory that is ours alone. Best effort: what stays is named .partial. */
static void directory_empty(int fd)
{
    int again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = again >= 0 ? fdopendir(again) : NULL;
    struct dirent *entry;
    while (stream && (entry = readdir(stream))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            unlinkat(fd, entry->d_name, 0) == 0)
            continue;
        autofd below = openat(fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (below >= 0)
            directory_empty(below);
        unlinkat(fd, entry->d_name, AT_REMOVEDIR);
    }
    if (stream)
        closedir(stream);
    else
        io_close(&again);
}

static void making_clear(Making *making)
{
    kept_free(making->kept);
    layout_free(making->images);
    db_free(making->db);
    if (making->directory >= 0 && !making->published) {
        directory_empty(making->directory);
        unlinkat(making->parent, making->partial, AT_REMOVEDIR);
    }
    io_close(&making->directory);
    io_close(&making->parent);
    g_free(making->path);
    g_free(making->name);
    g_free(making->partial);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Making, making_clear)

static char *making_path(const Making *making, const char *name)
{
    return g_strdup_printf("%s.partial/%s", making->path, name);
}

/* -- the store -- */

static bool store_copy(Making *making, GError **error)
{
    g_autofree char *path = making_path(making, DATA_STORE);
    if (!db_copy_to(making->service->db, path, error))
        return false;
    making->db = db_open_sqlite(path, 0, error);
    if (making->db && image_store_is_registry(making->service->store))
        making->kept = kept_new(); /* the registry has its own */
    else if (making->db)
        making->kept = kept_read(making->db, making->service->images, error);
    return making->kept != NULL;
}

/* Closes the copy, which ends its write-ahead log, and makes it durable. */
static bool store_seal(Making *making, Backup *backup, GError **error)
{
    g_clear_pointer(&making->db, db_free);
    unlinkat(making->directory, DATA_STORE "-wal", 0);
    unlinkat(making->directory, DATA_STORE "-shm", 0);
    autofd fd = openat(making->directory, DATA_STORE, O_RDONLY | O_CLOEXEC);
    struct stat about;
    if (fd < 0 || fstat(fd, &about) < 0 || fsync(fd) < 0)
        return io_fail(error, errno, "%s.partial/" DATA_STORE, making->path);
    backup->database_size = about.st_size;
    backup->database_digest = backup_hash(fd, -1, &making->service->progress, error);
    return backup->database_digest != NULL;
}

static bool store_count(Making *making, Backup *backup, GError **error)
{
    return schema_version(making->db, &backup->schema, error) &&
           db_query_int(making->db, &backup->models, 0, error,
                        "SELECT count(*) FROM models WHERE deleted_at IS NULL", "") &&
           db_query_int(making->db, &backup->runtimes, 0, error, "SELECT count(*) FROM runtimes",
                        "") &&
           db_query_int(making->db, &backup->events, 0, error, "SELECT count(*) FROM events", "");
}

/* -- the blobs -- */

static bool room_is_there(const Making *making, GError **error)
{
    struct statvfs about;
    int64_t needed = kept_bytes(making->kept);
    if (fstatvfs(making->directory, &about) < 0)
        return io_fail(error, errno, "%s.partial", making->path);
    int64_t there = (int64_t)about.f_bavail * (int64_t)about.f_frsize;
    return needed <= there ||
           io_fail(error, ENOSPC,
                   "%s needs %" G_GINT64_FORMAT " bytes, %" G_GINT64_FORMAT " are free",
                   making->path, needed, there);
}

/* Who needs it, in words. The caller frees it. */
static char *blob_user(const KeptBlob *kept)
{
    if (kept->runtimes->len)
        return g_strconcat("runtime ", kept->runtimes->pdata[0], NULL);
    if (kept->models->len)
        return g_strconcat("model ", ((const KeptModel *)kept->models->pdata[0])->label, NULL);
    if (kept->repositories->len)
        return g_strconcat("what was pushed to ",
                           ((const KeptRepository *)kept->repositories->pdata[0])->label, NULL);
    return g_strdup("an environment");
}

static bool blob_copy(Making *making, const KeptBlob *kept, GError **error)
{
    g_autoptr(GError) failure = NULL;
    Service *service = making->service;
    if (image_copy_blob(layout_source(service->images), &kept->blob, making->images,
                        &service->progress, NULL, &failure))
        return true;
    if (failure->domain != IMAGE_ERROR) {
        g_propagate_error(error, g_steal_pointer(&failure));
        return false;
    }
    g_autofree char *user = blob_user(kept);
    g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_DAMAGED,
                "%s is damaged (waybill verify says what mends it): %s", user, failure->message);
    return false;
}

static bool blobs_copy(Making *making, GError **error)
{
    g_autofree char *path = making_path(making, BACKUP_IMAGES);
    making->images = layout_create(path, error);
    if (!making->images)
        return false;
    kept_measure(making->kept, making->service->images);
    if (!room_is_there(making, error))
        return false;
    Progress *progress = &making->service->progress;
    progress_begin(progress, kept_bytes(making->kept));
    bool done = true;
    for (guint i = 0; done && i < making->kept->blobs->len; i++)
        done = blob_copy(making, making->kept->blobs->pdata[i], error);
    progress_end(progress);
    return done && (image_store_is_registry(making->service->store) ||
                    images_write_index(making->images, making->db, error));
}

/* -- */

static bool backup_publish(Making *making, const Backup *backup, GError **error)
{
    json_auto_t *object = backup_json(backup);
    char *json = json_dumps(object, JSON_INDENT(2));
    g_autofree char *text = g_strconcat(json, "\n", NULL);
    free(json);
    bool done = io_replace_file(making->directory, BACKUP_FILE, text, strlen(text), 0600, error) &&
                io_sync_directory(making->directory, error);
    if (!done)
        return false;
    if (renameat(making->parent, making->partial, making->parent, making->name) < 0)
        return io_fail(error, errno, "rename to %s", making->path);
    making->published = true;
    return io_sync_directory(making->parent, error);
}

static bool making_copy(Making *making, GError **error)
{
    /* Until the last blob is copied gc keeps what the copy of the store refers to. */
    autofd lock = layout_lock(making->service->images, false, error);
    return lock >= 0 && store_copy(making, error) &&
           backup_key_save(making->service->data, making->directory, error) &&
           blobs_copy(making, error);
}

Backup *backup_make(Service *service, const char *destination, GError **error)
{
    g_auto(Making) making = {.service = service,
                             .path = g_canonicalize_filename(destination, NULL),
                             .parent = -1,
                             .directory = -1};
    g_autoptr(Backup) backup = g_new0(Backup, 1);
    backup->waybill = g_strdup(WAYBILL_VERSION);
    backup->created_at = clock_now_ms();
    backup->images = g_strdup(image_store_place(service->store));
    if (!place_open(&making, error) || !making_copy(&making, error) ||
        !store_count(&making, backup, error) || !store_seal(&making, backup, error))
        return NULL;
    backup->blobs = making.kept->blobs->len;
    backup->bytes = kept_bytes(making.kept);
    return backup_publish(&making, backup, error) ? g_steal_pointer(&backup) : NULL;
}
