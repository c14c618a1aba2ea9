#include "upkeep/space.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "store/data.h"
#include "upkeep/kept.h"

static void space_project_free(SpaceProject *project)
{
    g_free(project->project);
    g_free(project);
}

static void space_model_free(SpaceModel *model)
{
    g_free(model->id);
    g_free(model->project);
    g_free(model->name);
    g_free(model->version);
    g_free(model);
}

void space_free(Space *space)
{
    if (!space)
        return;
    g_ptr_array_unref(space->projects);
    g_ptr_array_unref(space->models);
    g_free(space);
}

/* -- whose they are -- */

typedef struct {
    GHashTable *models;   /* id -> SpaceModel */
    GHashTable *projects; /* name -> SpaceProject */
} Owners;

static void owners_clear(Owners *owners)
{
    g_hash_table_unref(owners->models);
    g_hash_table_unref(owners->projects);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Owners, owners_clear)

static SpaceProject *owners_project(Owners *owners, Space *space, const char *name)
{
    SpaceProject *project = g_hash_table_lookup(owners->projects, name);
    if (!project) {
        project = g_new0(SpaceProject, 1);
        project->project = g_strdup(name);
        g_ptr_array_add(space->projects, project);
        g_hash_table_insert(owners->projects, project->project, project);
    }
    return project;
}

static bool read_owners(Space *space, Owners *owners, Db *db, const char *of, GError **error)
{
    GError *failure = NULL;
    g_autoptr(DbRows) rows = db_query(db, &failure,
                                      "SELECT id, project, name, version FROM models WHERE "
                                      "deleted_at IS NULL AND ($1 IS NULL OR project = $1) "
                                      "ORDER BY project, name, version_number",
                                      "s", of);
    while (rows && db_next(rows, &failure)) {
        SpaceModel *model = g_new0(SpaceModel, 1);
        model->id = g_strdup(db_text(rows, 0));
        model->project = g_strdup(db_text(rows, 1));
        model->name = g_strdup(db_text(rows, 2));
        model->version = g_strdup(db_text(rows, 3));
        g_ptr_array_add(space->models, model);
        g_hash_table_insert(owners->models, model->id, model);
        owners_project(owners, space, model->project)->models++;
    }
    if (failure)
        g_propagate_error(error, failure);
    return !failure;
}

/* A blob counts for each of its models, and once for each project of its models or repositories. */
static void add_blob(Owners *owners, Space *space, const char *of, const KeptBlob *kept)
{
    const int64_t bytes = MAX(kept->blob.size, 0);
    bool alone = kept->models->len == 1 && kept->runtimes->len == 0 && kept->repositories->len == 0;
    g_autoptr(GHashTable) counted = g_hash_table_new(NULL, NULL);
    for (guint i = 0; i < kept->models->len; i++) {
        const KeptModel *user = kept->models->pdata[i];
        SpaceModel *model = g_hash_table_lookup(owners->models, user->id);
        if (!model) /* of another project */
            continue;
        SpaceProject *project = g_hash_table_lookup(owners->projects, model->project);
        model->bytes += bytes;
        model->alone += alone ? bytes : 0;
        if (g_hash_table_add(counted, project))
            project->bytes += bytes;
    }
    for (guint i = 0; i < kept->repositories->len; i++) {
        const KeptRepository *user = kept->repositories->pdata[i];
        if (of && strcmp(of, user->project) != 0)
            continue;
        SpaceProject *project = owners_project(owners, space, user->project);
        if (g_hash_table_add(counted, project))
            project->bytes += bytes;
    }
}

static int compare_models(gconstpointer a, gconstpointer b)
{
    const SpaceModel *left = *(SpaceModel *const *)a, *right = *(SpaceModel *const *)b;
    if (left->bytes != right->bytes)
        return left->bytes < right->bytes ? 1 : -1;
    return strcmp(left->id, right->id);
}

static int compare_projects(gconstpointer a, gconstpointer b)
{
    return strcmp((*(SpaceProject *const *)a)->project, (*(SpaceProject *const *)b)->project);
}

/* A runtime that cannot be read hides nothing of the others. */
static void add_runtimes(Kept *kept, const Service *service, const GPtrArray *runtimes)
{
    for (guint i = 0; i < runtimes->len; i++) {
        g_autoptr(GError) unreadable = NULL;
        if (!kept_add_runtime(kept, layout_source(service->images), runtimes->pdata[i],
                              &unreadable) &&
            !image_store_is_registry(service->store))
            g_warning("%s", unreadable->message);
    }
}

/* NULL: *error. */
static GPtrArray *read_store(Space *space, Owners *owners, Kept *kept, Db *db, const char *project,
                             GError **error)
{
    g_autoptr(DbSnapshot) snapshot = db_snapshot(db, error);
    return snapshot && read_owners(space, owners, db, project, error) &&
                   kept_add_models(kept, db, NULL, false, error) && kept_add_pushed(kept, db, error)
               ? runtimes_list(db, error)
               : NULL;
}

/* Files are looked at once the store is let go. */
static bool read_kept(Space *space, Service *service, const char *project, GError **error)
{
    g_auto(Owners) owners = {g_hash_table_new(g_str_hash, g_str_equal),
                             g_hash_table_new(g_str_hash, g_str_equal)};
    g_autoptr(Kept) kept = kept_new();
    g_autoptr(GPtrArray) runtimes = read_store(space, &owners, kept, service->db, project, error);
    if (!runtimes)
        return false;
    add_runtimes(kept, service, runtimes);
    kept_measure(kept, service->images);
    for (guint i = 0; i < kept->blobs->len; i++)
        add_blob(&owners, space, project, kept->blobs->pdata[i]);
    g_ptr_array_sort(space->models, compare_models);
    g_ptr_array_sort(space->projects, compare_projects);
    space->kept_bytes = kept_bytes(kept);
    return true;
}

/* -- what is on the disk -- */

static bool count_blob(const char *name G_GNUC_UNUSED, int64_t size, gpointer data,
                       GError **error G_GNUC_UNUSED)
{
    Space *space = data;
    space->blobs++;
    space->blob_bytes += size;
    return true;
}

static int64_t store_bytes(const DataDirectory *data)
{
    static const char *const NAMES[] = {DATA_STORE, DATA_STORE "-wal"};
    int64_t bytes = 0;
    struct stat about;
    for (gsize i = 0; i < G_N_ELEMENTS(NAMES); i++)
        if (fstatat(data->fd, NAMES[i], &about, AT_SYMLINK_NOFOLLOW) == 0)
            bytes += about.st_size;
    return bytes;
}

Space *space_read(Service *service, const char *project, GError **error)
{
    g_autoptr(Space) space = g_new0(Space, 1);
    space->projects = g_ptr_array_new_with_free_func((GDestroyNotify)space_project_free);
    space->models = g_ptr_array_new_with_free_func((GDestroyNotify)space_model_free);
    space->free_bytes = data_free_bytes(service->data);
    space->disk_bytes = data_disk_bytes(service->data);
    space->store_bytes = store_bytes(service->data);
    if (!read_kept(space, service, project, error) ||
        !layout_each_blob(service->images, count_blob, space, error))
        return NULL;
    return g_steal_pointer(&space);
}
