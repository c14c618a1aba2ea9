#include "upkeep/gc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "build/environment.h"
#include "build/unpack.h"
#include "event/timeline_old.h"
#include "import/bootstrap.h"
#include "import/scans.h"
#include "store/environments.h"
#include "store/models.h"
#include "store/pushed.h"
#include "store/pushes.h"
#include "store/uploads.h"
#include "upkeep/gc_objects.h"
#include "upkeep/gc_registry.h"
#include "upkeep/kept.h"

#define DAY_MS          (INT64_C(24) * 3600 * 1000)
#define HOUR_MS         3600000LL
#define PATIENCE_MS     20000
#define TEMPORARY_AGE_S 60 /* who writes a small file is done, or dead, by then */

typedef struct {
    Service *service;
    GcPart part;
    bool dry_run;
    bool patient; /* waits for who works in a store's layout, however long that takes */
    Kept *kept;
    GPtrArray *garbage; /* of char *: digests, and names that are none */
    GcResult *result;
} Gc;

static void gc_clear(Gc *gc)
{
    kept_free(gc->kept);
    g_ptr_array_unref(gc->garbage);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Gc, gc_clear)

/* What nobody wrote to since then is given up. */
static int64_t uploads_end(const Service *service)
{
    return clock_now_ms() - settings_int(service->settings, "upload.expire_hours") * HOUR_MS;
}

/* -- the store -- */

/* Digests of layers that files are remembered by, and that are not kept. */
static GPtrArray *lost_digests(Gc *gc, GError **error)
{
    g_autoptr(GPtrArray) lost = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(DbRows) rows =
        db_query(gc->service->db, error,
                 "SELECT digest, count(*) FROM file_digests WHERE packed_as <> '' GROUP BY digest",
                 "");
    GError *failure = NULL;
    while (rows && db_next(rows, &failure)) {
        if (kept_has(gc->kept, db_text(rows, 0)))
            continue;
        g_ptr_array_add(lost, g_strdup(db_text(rows, 0)));
        gc->result->digests += (int)db_int(rows, 1);
    }
    if (failure)
        g_propagate_error(error, failure);
    return rows && !failure ? g_steal_pointer(&lost) : NULL;
}

static bool digests_forget(Gc *gc, GError **error)
{
    g_autoptr(GPtrArray) lost = lost_digests(gc, error);
    for (guint i = 0; lost && i < lost->len; i++)
        if (!db_exec(gc->service->db, error,
                     "DELETE FROM file_digests WHERE packed_as <> '' AND digest = $1", "s",
                     lost->pdata[i]))
            return false;
    return lost && scans_forget(gc->service->db, error);
}

/* Whichever is shorter; 0: for ever. */
static int64_t deleted_days(const Settings *settings)
{
    int64_t deleted = settings_int(settings, "store.deleted_days");
    int64_t events = settings_int(settings, "store.events_days");
    return deleted && events ? MIN(deleted, events) : MAX(deleted, events);
}

/* A transaction each: whoever imports meanwhile does not wait for all of them. */
static bool deleted_forget(Gc *gc, GError **error)
{
    Db *db = gc->service->db;
    int64_t days = deleted_days(gc->service->settings);
    g_autoptr(GPtrArray) ids =
        days ? models_deleted_before(db, clock_now_ms() - days * DAY_MS, error) : g_ptr_array_new();
    for (guint i = 0; ids && i < ids->len && !gc->dry_run; i++) {
        g_autoptr(DbTransaction) transaction = service_transaction(gc->service, error);
        if (!transaction || !model_remove(db, ids->pdata[i], error) || !db_commit(db, error))
            return false;
    }
    gc->result->models = ids ? (int)ids->len : 0;
    return ids != NULL;
}

static bool events_forget(Gc *gc, GError **error)
{
    Db *db = gc->service->db;
    int64_t days = settings_int(gc->service->settings, "store.events_days");
    if (!days)
        return true;
    g_autoptr(GPtrArray) old = timeline_attempts_before(db, clock_now_ms() - days * DAY_MS, error);
    for (guint i = 0; old && i < old->len && !gc->dry_run; i++) {
        const TimelineAttempt *one = old->pdata[i];
        g_autoptr(DbTransaction) transaction = service_transaction(gc->service, error);
        if (!transaction || !timeline_forget(db, one->model_id, one->attempt, error) ||
            !db_commit(db, error))
            return false;
    }
    gc->result->attempts = old ? (int)old->len : 0;
    return old != NULL;
}

/* Rows of blobs that nobody needs. */
static bool rows_forget(Gc *gc, GError **error)
{
    int environments;
    Service *service = gc->service;
    return environments_forget(service->db, &environments, error) &&
           pushed_blobs_forget(service->db, uploads_end(service), error);
}

/* Where the blobs are a registry's, which keeps what nobody deletes there. */
static bool rows_forget_alone(Gc *gc, GError **error)
{
    Db *db = gc->service->db;
    g_autoptr(DbTransaction) transaction = db_transaction(db, error);
    /* A dry run ends in a rollback. */
    return transaction && rows_forget(gc, error) && (gc->dry_run || db_commit(db, error));
}

/* One transaction: what is kept is what the store said at one moment, and no row outlives its
 * blob. */
static bool kept_look(Gc *gc, GError **error)
{
    Service *service = gc->service;
    g_autoptr(DbTransaction) transaction = db_transaction(service->db, error);
    if (!transaction || !rows_forget(gc, error))
        return false;
    gc->kept = kept_read(service->db, service->images, error);
    if (!gc->kept) {
        g_prefix_error(error, "nothing was removed: ");
        return false;
    }
    /* A dry run ends in a rollback. */
    return digests_forget(gc, error) && (gc->dry_run || db_commit(service->db, error));
}

static bool kept_look_fetched(Gc *gc, GError **error)
{
    gc->kept = kept_read_fetched(gc->service->db, gc->service->images, error);
    if (!gc->kept)
        g_prefix_error(error, "nothing was removed: ");
    return gc->kept != NULL;
}

/* -- blobs -- */

static bool blob_sort(const char *name, int64_t size, gpointer data, GError **error)
{
    Gc *gc = data;
    if (kept_has(gc->kept, name)) {
        gc->result->kept++;
        gc->result->kept_bytes += size;
    } else {
        gc->result->blobs++;
        gc->result->blob_bytes += size;
        g_ptr_array_add(gc->garbage, g_strdup(name));
    }
    return true;
}

static bool blobs_remove(Gc *gc, GError **error)
{
    if (!layout_each_blob(gc->service->images, blob_sort, gc, error))
        return false;
    for (guint i = 0; i < gc->garbage->len && !gc->dry_run; i++)
        if (!layout_remove_blob(gc->service->images, gc->garbage->pdata[i], error))
            return false;
    return true;
}

/* -- left-overs -- */

/* What io_replace_file or an interrupted restore left in the data directory. */
static bool is_left_over(int directory, const char *name, struct stat *status)
{
    bool replacement = g_str_has_suffix(name, ".tmp");
    bool restoring = g_str_has_prefix(name, DATA_RESTORING);
    if ((!replacement && !restoring) || fstatat(directory, name, status, AT_SYMLINK_NOFOLLOW) < 0 ||
        !S_ISREG(status->st_mode))
        return false;
    /* No restore is under way: it would have the data directory for itself. */
    return restoring || status->st_mtim.tv_sec + TEMPORARY_AGE_S < time(NULL);
}

static bool data_sweep(Gc *gc, GError **error)
{
    DataDirectory *data = gc->service->data;
    g_autoptr(GDir) stream = g_dir_open(data->path, 0, error);
    const char *name;
    while (stream && (name = g_dir_read_name(stream))) {
        struct stat status;
        if (!is_left_over(data->fd, name, &status))
            continue;
        if (!gc->dry_run && unlinkat(data->fd, name, 0) < 0 && errno != ENOENT)
            return io_fail(error, errno, "%s/%s", data->path, name);
        gc->result->temporary++;
        gc->result->temporary_bytes += status.st_size;
    }
    return stream != NULL;
}

/* Whoever works on one of these holds a lock on it: nobody is waited for. */
static bool left_overs_remove(Gc *gc, GError **error)
{
    Service *service = gc->service;
    g_autofree char *scratch = environment_scratch(service->data->path);
    if (!gc->dry_run) {
        sandbox_sweep(scratch);
        bootstrap_sweep(service->data->path);
    }
    return layout_sweep_temporary(service->images, gc->dry_run, &gc->result->temporary,
                                  &gc->result->temporary_bytes, error) &&
           data_sweep(gc, error);
}

/* Unpacked layers that no base image and no environment has. */
static bool unpacked_remove(Gc *gc, GError **error)
{
    int count;
    g_autoptr(GHashTable) kept = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for (guint i = 0; i < gc->kept->blobs->len; i++) {
        const KeptBlob *blob = gc->kept->blobs->pdata[i];
        if (blob->runtimes->len)
            g_hash_table_add(kept, unpack_name(blob->blob.digest));
    }
    return unpack_collect(gc->service->data->path, kept, gc->dry_run, &count, error);
}

/* -- uploads -- */

/* Ends the pushes that have expired, and returns the files that belong to none: of those that were
 * listed before, so that a new one's is never among them. */
static GPtrArray *pushes_forget(Db *db, const GPtrArray *listed, const GPtrArray *expired,
                                bool dry_run, GError **error)
{
    g_autoptr(GPtrArray) garbage = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(DbTransaction) transaction = db_transaction(db, error);
    for (guint i = 0; transaction && i < expired->len; i++)
        if (!push_delete(db, expired->pdata[i], error))
            return NULL;
    for (guint i = 0; transaction && i < listed->len; i++) {
        int64_t known;
        const char *name = listed->pdata[i];
        if (!db_query_int(db, &known, 0, error,
                          "SELECT count(*) FROM registry_uploads WHERE id = $1", "s", name))
            return NULL;
        if (!known)
            g_ptr_array_add(garbage, g_strdup(name));
    }
    /* A dry run ends in a rollback. */
    return transaction && (dry_run || db_commit(db, error)) ? g_steal_pointer(&garbage) : NULL;
}

static bool pushes_sweep(Service *service, int64_t before, bool dry_run, GcResult *result,
                         GError **error)
{
    g_autoptr(GPtrArray) listed = layout_partial_names(service->images, error);
    g_autoptr(GPtrArray) expired = listed ? pushes_expired(service->db, before, error) : NULL;
    if (!expired)
        return false;
    if (listed->len == 0 && expired->len == 0)
        return true;
    g_autoptr(GPtrArray) garbage = pushes_forget(service->db, listed, expired, dry_run, error);
    for (guint i = 0; garbage && i < garbage->len; i++)
        if (!layout_remove_partial(service->images, garbage->pdata[i], dry_run, &result->uploads,
                                   &result->upload_bytes, error))
            return false;
    return garbage != NULL;
}

/* Those that nobody wrote to since `before`, and files in this directory that belong to none. */
static bool uploads_remove(Service *service, int64_t before, bool dry_run, GcResult *result,
                           GError **error)
{
    return uploads_sweep(service->db, service->data, before, dry_run, &result->uploads,
                         &result->upload_bytes, error) &&
           pushes_sweep(service, before, dry_run, result, error);
}

bool gc_uploads(Service *service, bool dry_run, GcResult *result, GError **error)
{
    return uploads_remove(service, uploads_end(service), dry_run, result, error);
}

/* Who records a blob has it for a moment; a backup may have it for hours. */
static int lock_before_long(Service *service, GError **error)
{
    const int64_t until = clock_monotonic_ms() + PATIENCE_MS;
    for (;;) {
        g_autoptr(GError) failure = NULL;
        int lock = layout_try_lock(service->images, &failure);
        bool again = lock < 0 && g_error_matches(failure, IO_ERROR, EWOULDBLOCK) &&
                     clock_monotonic_ms() < until && !progress_stopped(&service->progress);
        if (failure && !again)
            g_propagate_error(error, g_steal_pointer(&failure));
        if (!again)
            return lock;
        g_usleep(50000);
    }
}

/* Alone in the layout. In that of a registry's images nothing lies but what is worked on, or can be
 * fetched: where somebody does, whoever asked for gc does not wait; it is left to the next time,
 * and *error is EWOULDBLOCK. */
static int lock_layout(const Gc *gc, GError **error)
{
    Service *service = gc->service;
    if (!gc->patient)
        return lock_before_long(service, error);
    return image_store_is_registry(service->store) ? layout_try_lock(service->images, error)
                                                   : layout_lock(service->images, true, error);
}

/* -- all of it -- */

/* What all nodes share. */
static bool store_collect(Gc *gc, GError **error)
{
    Service *service = gc->service;
    const bool registry = image_store_is_registry(service->store);
    /* The bucket and the registry before the rows that know what is there. */
    return gc_objects(service, gc->dry_run, gc->result, error) &&
           (gc->result->busy ||
            ((!registry || gc_registry(service, gc->dry_run, gc->result, error)) &&
             deleted_forget(gc, error) && events_forget(gc, error) &&
             (!registry || rows_forget_alone(gc, error))));
}

/* Nobody works in the layout. */
static bool images_collect(Gc *gc, GError **error)
{
    Service *service = gc->service;
    /* index.json before the blobs: it never names one that is gone, wherever this ends. */
    return (image_store_is_registry(service->store) ? kept_look_fetched(gc, error)
                                                    : kept_look(gc, error)) &&
           (gc->dry_run || service_write_index(service, error)) && blobs_remove(gc, error) &&
           unpacked_remove(gc, error);
}

/* What this node alone has. When an upload has expired is the store's to say, by the settings of
 * those that take them: its files are garbage here once it has no row. */
static bool directory_collect(Gc *gc, GError **error)
{
    const int64_t before = gc->part & GC_OF_STORE ? uploads_end(gc->service) : 0;
    return (gc->result->busy || images_collect(gc, error)) && left_overs_remove(gc, error) &&
           uploads_remove(gc->service, before, gc->dry_run, gc->result, error);
}

static bool collect(Gc *gc, GError **error)
{
    g_autoptr(GError) failure = NULL;
    *gc->result = (GcResult){0};
    autofd lock = lock_layout(gc, &failure);
    gc->result->busy = g_error_matches(failure, IO_ERROR, EWOULDBLOCK);
    if (lock < 0 && !gc->result->busy) {
        g_propagate_error(error, g_steal_pointer(&failure));
        return false;
    }
    return (!(gc->part & GC_OF_STORE) || store_collect(gc, error)) &&
           (!(gc->part & GC_OF_DIRECTORY) || directory_collect(gc, error));
}

bool gc_run(Service *service, bool dry_run, GcResult *result, GError **error)
{
    g_auto(Gc) gc = {.service = service,
                     .part = GC_OF_BOTH,
                     .dry_run = dry_run,
                     .patient = true,
                     .garbage = g_ptr_array_new_with_free_func(g_free),
                     .result = result};
    return collect(&gc, error);
}

bool gc_try(Service *service, GcPart part, GcResult *result, GError **error)
{
    g_auto(Gc) gc = {.service = service,
                     .part = part,
                     .garbage = g_ptr_array_new_with_free_func(g_free),
                     .result = result};
    return collect(&gc, error);
}
