#include "import/service.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "image/reference.h"
#include "import/import.h"
#include "store/audit.h"
#include "store/images_place.h"
#include "store/pushed.h"
#include "store/schema.h"
#include "store/shared_settings.h"
#include "store/store_home.h"

#define BUSY_TRIES 6
#define LOOK_US    100000

/* The settings and the store agree on where the images are. */
static bool images_are_there(Service *service, GError **error)
{
    g_autofree char *kept = NULL;
    const char *place = image_store_place(service->store);
    if (!place && db_engine(service->db) == DB_POSTGRES &&
        !store_home_keep(service->db, data_home(service->data), error))
        return false;
    if (!images_place_keep(service->db, place, &kept, error))
        return false;
    if (!kept)
        return true;
    g_set_error(error, IMPORT_ERROR, IMPORT_ERROR_USAGE,
                "the images of %s are kept in %s, and images.url says %s: they do not move by "
                "themselves; set images.url as it was, or remove every model and runtime first, or "
                "import again into another data directory (--data)",
                service->data->path, *kept ? kept : "it", place ? place : "nothing else");
    return false;
}

static bool open_images(Service *service, GError **error)
{
    g_autofree char *directory = data_path(service->data, "images");
    if (!image_store_url_is_valid(settings_text(service->settings, "images.url"), error))
        return false;
    service->images = layout_create(directory, error);
    service->store = service->images ? image_store_new(service->images, service->settings,
                                                       &service->progress, error)
                                     : NULL;
    return service->store && images_are_there(service, error);
}

Service *service_open(const char *directory, bool create, const Settings *settings, GError **error)
{
    g_autoptr(Service) service = g_new0(Service, 1);
    service->settings = settings;
    service->worker = g_strdup_printf("%s/%d", g_get_host_name(), getpid());
    service->data =
        data_open(directory, create, (int)settings_int(settings, "store.busy_timeout_ms"), error);
    if (service->data) {
        service->data->lease_ms = settings_int(settings, "store.lease_seconds") * 1000;
        service->data->connections = (int)settings_int(settings, "store.connections");
    }
    service->db =
        service->data && data_use(service->data, settings_text(settings, "store.url"), error)
            ? data_open_store(service->data, error)
            : NULL;
    return service->db && shared_settings_read(service->db, settings, error) &&
                   open_images(service, error)
               ? g_steal_pointer(&service)
               : NULL;
}

Service *service_open_memory(const Settings *settings, GError **error)
{
    int count;
    g_autoptr(Service) service = g_new0(Service, 1);
    service->settings = settings;
    service->db = db_open_sqlite(":memory:", 0, error);
    const Migration *migrations = schema_migrations(&count);
    return service->db && schema_migrate(service->db, migrations, count, NULL, error)
               ? g_steal_pointer(&service)
               : NULL;
}

void service_free(Service *service)
{
    if (!service)
        return;
    pulse_end(service->pulse, service->db);
    seal_key_free(service->key);
    image_store_free(service->store);
    layout_free(service->images);
    db_free(service->db);
    data_free(service->data);
    g_free(service->worker);
    g_free(service->credential);
    g_free(service->request_id);
    g_free(service);
}

void service_committed(Service *service)
{
    if (service->committed)
        service->committed(service->committed_data);
}

const SealKey *service_key(Service *service, bool create, GError **error)
{
    if (!service->key)
        service->key =
            seal_key_open(service->data->fd, service->data->path,
                          settings_text(service->settings, "security.secret_key"), create, error);
    return service->key;
}

bool service_check_key(Service *service, GError **error)
{
    return !*settings_text(service->settings, "security.secret_key") ||
           service_key(service, false, error);
}

bool service_audit(Service *service, const char *actor, const char *project, const char *action,
                   const char *object, GError **error)
{
    const AuditRow row = {.actor = actor ? actor : "",
                          .credential = service->credential,
                          .project = project,
                          .action = action,
                          .object = object,
                          .outcome = AUDIT_DONE,
                          .request_id = service->request_id};
    return audit_add(service->db, &row, error);
}

/* A server that is away is asked again after 1, 2, 3, … seconds; one that is busy waited itself. */
static void wait_for_store(Service *service, const GError *failure, int tries)
{
    const int64_t end = clock_monotonic_ms() + (int64_t)tries * 1000;
    if (!g_error_matches(failure, DB_ERROR, DB_ERROR_LOST))
        return;
    while (clock_monotonic_ms() < end && !progress_stopped(&service->progress))
        g_usleep(LOOK_US);
}

DbTransaction *service_transaction_of(Service *service, const char *model_id, GError **error)
{
    for (int tries = 1;; tries++) {
        g_autoptr(GError) failure = NULL;
        DbTransaction *transaction = model_id ? db_transaction_of(service->db, model_id, &failure)
                                              : db_transaction(service->db, &failure);
        if (transaction)
            return transaction;
        if (tries < BUSY_TRIES && db_error_passes(failure) &&
            !g_error_matches(failure, DB_ERROR, DB_ERROR_FENCED) &&
            !progress_stopped(&service->progress)) {
            wait_for_store(service, failure, tries);
            continue;
        }
        g_propagate_error(error, g_steal_pointer(&failure));
        return NULL;
    }
}

DbTransaction *service_transaction(Service *service, GError **error)
{
    return service_transaction_of(service, NULL, error);
}

bool service_has_room(Service *service, GError **error)
{
    return data_make_reserve(service->data) || io_fail(error, ENOSPC, "%s", service->data->path);
}

static LayoutEntry *entry_new(char *name, DbRows *rows, int column)
{
    LayoutEntry *entry = g_new0(LayoutEntry, 1);
    entry->name = name;
    entry->media_type = g_strdup(db_text(rows, column));
    entry->digest = g_strdup(db_text(rows, column + 1));
    entry->size = db_int(rows, column + 2);
    return entry;
}

static bool entries_of_models(Db *db, GPtrArray *entries, GError **error)
{
    g_autoptr(DbRows) rows =
        db_query(db, error,
                 "SELECT m.project, m.name, m.version, a.image_media_type, a.image_digest, "
                 "a.image_manifest_size FROM models m "
                 "JOIN attempts a ON a.model_id = m.id WHERE m.deleted_at IS NULL AND a.attempt = "
                 "(SELECT max(i.attempt) FROM attempts i WHERE i.model_id = m.id AND "
                 "i.image_digest IS NOT NULL AND i.outcome <> 'failed') "
                 "ORDER BY m.project, m.name, m.version_number",
                 "");
    GError *failure = NULL;
    while (rows && db_next(rows, &failure))
        g_ptr_array_add(entries, entry_new(reference_name(db_text(rows, 0), db_text(rows, 1),
                                                          db_text(rows, 2)),
                                           rows, 3));
    if (failure)
        g_propagate_error(error, failure);
    return rows && !failure;
}

/* "runtime/NAME": no model's name has that shape, which always holds a colon. */
static bool entries_of_runtimes(Db *db, GPtrArray *entries, GError **error)
{
    g_autoptr(DbRows) rows =
        db_query(db, error,
                 "SELECT name, media_type, digest, manifest_size FROM runtimes ORDER BY name", "");
    GError *failure = NULL;
    while (rows && db_next(rows, &failure))
        g_ptr_array_add(entries,
                        entry_new(g_strconcat("runtime/", db_text(rows, 0), NULL), rows, 1));
    if (failure)
        g_propagate_error(error, failure);
    return rows && !failure;
}

typedef struct {
    GPtrArray *entries;
    GHashTable *names; /* of those that models have */
} PushedEntries;

/* Where a model has the name, the model's image has it. */
static void entry_of_push(const char *project, const char *repository, const char *tag,
                          const PushedManifest *manifest, gpointer data)
{
    PushedEntries *all = data;
    g_autofree char *part = reference_encode_name(project);
    g_autofree char *name = g_strdup_printf("%s/%s:%s", part, repository, tag);
    if (g_hash_table_contains(all->names, name))
        return;
    LayoutEntry *entry = g_new0(LayoutEntry, 1);
    *entry = (LayoutEntry){.name = g_steal_pointer(&name),
                           .media_type = g_strdup(manifest->media_type),
                           .digest = g_strdup(manifest->digest),
                           .size = manifest->size};
    g_ptr_array_add(all->entries, entry);
}

static bool entries_of_pushes(Db *db, GPtrArray *entries, GError **error)
{
    g_autoptr(GHashTable) names = g_hash_table_new(g_str_hash, g_str_equal);
    PushedEntries all = {entries, names};
    for (guint i = 0; i < entries->len; i++)
        g_hash_table_add(names, ((LayoutEntry *)entries->pdata[i])->name);
    return pushed_each_tag(db, entry_of_push, &all, error);
}

static GPtrArray *index_entries(gpointer data, GError **error)
{
    Db *db = data;
    g_autoptr(GPtrArray) entries =
        g_ptr_array_new_with_free_func((GDestroyNotify)layout_entry_free);
    if (!entries_of_models(db, entries, error) || !entries_of_runtimes(db, entries, error) ||
        !entries_of_pushes(db, entries, error))
        return NULL;
    return g_steal_pointer(&entries);
}

bool service_write_index(Service *service, GError **error)
{
    if (image_store_is_registry(service->store))
        return true;
    data_make_room(service->data);
    return images_write_index(service->images, service->db, error);
}

bool images_write_index(Layout *images, Db *db, GError **error)
{
    return layout_write_index(images, index_entries, db, error);
}

bool images_index_is_current(Layout *images, Db *db, bool *current, GError **error)
{
    return layout_index_is_current(images, index_entries, db, current, error);
}

ImageRepository *service_repository(Service *service, const char *project, const char *name,
                                    GError **error)
{
    g_autofree char *path = reference_repository(project, name);
    return image_repository_open(service->store, path, error);
}

bool images_bring(Service *service, ImageRepository *from, const Image *image, GError **error)
{
    int64_t copied, reused;
    if (!image_store_is_registry(service->store))
        return true;
    ImageSource *source = image_repository_source(from);
    source->spares = true; /* what is here came from there */
    progress_begin(&service->progress, image->size);
    bool done = service_has_room(service, error) &&
                image_copy(source, image, service->images, &service->progress, &copied, &reused,
                           NULL, error);
    progress_end(&service->progress);
    return done;
}

static const char *registry_place(const Service *service)
{
    return service->store ? image_store_place(service->store) : NULL;
}

char *service_image_name(const Service *service, const char *project, const char *name,
                         const char *version)
{
    const char *place = registry_place(service);
    char *reference = reference_name(project, name, version);
    if (!place)
        return reference;
    g_autofree char *owned = reference;
    return g_strdup_printf("%s/%s", place, owned);
}

char *service_image_address(const Service *service, const char *project, const char *name,
                            const char *version)
{
    g_autofree char *reference = service_image_name(service, project, name, version);
    if (service->serves || registry_place(service))
        return g_steal_pointer(&reference);
    return g_strdup_printf("oci:%s:%s", layout_directory(service->images), reference);
}
