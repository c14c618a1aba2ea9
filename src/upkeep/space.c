#include "upkeep/space.h"

#include <fcntl.h>
#include <fts.h>
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

static void use_add(SpaceUse *use, int64_t bytes, bool alone)
{
    use->count++;
    use->bytes += bytes;
    use->alone += alone ? bytes : 0;
}

/* What has it beside models. */
static void add_uses(Space *space, const KeptBlob *kept, int64_t bytes)
{
    const int users = (kept->models->len > 0) + (kept->runtimes->len > 0) +
                      (kept->repositories->len > 0) + kept->environment;
    space->model_bytes += kept->models->len ? bytes : 0;
    if (kept->runtimes->len)
        use_add(&space->runtimes, bytes, users == 1);
    if (kept->environment)
        use_add(&space->environments, bytes, users == 1);
    if (kept->repositories->len)
        use_add(&space->pushed, bytes, users == 1);
}

/* A project's blob, which it may have seen already. */
static void meet_project(GHashTable *met, SpaceProject *project, int64_t bytes)
{
    if (g_hash_table_add(met, project))
        project->bytes += bytes;
}

/* A blob counts for each of its models, and once for each project of its models or repositories. */
static void add_blob(Owners *owners, Space *space, const char *of, const KeptBlob *kept)
{
    const int64_t bytes = MAX(kept->blob.size, 0);
    const bool others = kept->runtimes->len > 0 || kept->environment;
    bool elsewhere = false; /* another project has it, which is not asked for */
    bool alone = kept->models->len == 1 && !others && kept->repositories->len == 0;
    g_autoptr(GHashTable) met = g_hash_table_new(NULL, NULL);
    add_uses(space, kept, bytes);
    for (guint i = 0; i < kept->models->len; i++) {
        const KeptModel *user = kept->models->pdata[i];
        SpaceModel *model = g_hash_table_lookup(owners->models, user->id);
        elsewhere = elsewhere || !model;
        if (!model)
            continue;
        model->bytes += bytes;
        model->alone += alone ? bytes : 0;
        meet_project(met, g_hash_table_lookup(owners->projects, model->project), bytes);
    }
    for (guint i = 0; i < kept->repositories->len; i++) {
        const KeptRepository *user = kept->repositories->pdata[i];
        bool is_other = of && strcmp(of, user->project) != 0;
        elsewhere = elsewhere || is_other;
        if (!is_other)
            meet_project(met, owners_project(owners, space, user->project), bytes);
    }
    GHashTableIter iter;
    gpointer project;
    g_hash_table_iter_init(&iter, met);
    if (g_hash_table_size(met) == 1 && !elsewhere && !others &&
        g_hash_table_iter_next(&iter, &project, NULL))
        ((SpaceProject *)project)->alone += bytes;
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

static bool read_uploads(Space *space, Db *db, const char *project, GError **error)
{
    g_autoptr(DbRows) rows =
        db_query(db, error,
                 "SELECT count(DISTINCT u.directory), CAST(coalesce(sum(CASE WHEN f.size > 0 THEN "
                 "f.size ELSE 0 END), 0) AS BIGINT) FROM uploads u LEFT JOIN upload_files f ON "
                 "f.directory = u.directory WHERE $1 IS NULL OR u.project = $1",
                 "s", project);
    if (!rows || !db_next(rows, error))
        return false;
    space->uploads = (int)db_int(rows, 0);
    space->upload_bytes = db_int(rows, 1);
    return true;
}

/* Blobs on their way: what has arrived is a file of the layout. */
static bool read_pushes(Space *space, const Service *service, const char *project, GError **error)
{
    GError *failure = NULL;
    g_autoptr(DbRows) rows =
        db_query(service->db, error,
                 "SELECT id FROM registry_uploads WHERE $1 IS NULL OR project = $1", "s", project);
    while (rows && db_next(rows, &failure)) {
        space->uploads++;
        space->upload_bytes += layout_partial_size(service->images, db_text(rows, 0));
    }
    if (failure)
        g_propagate_error(error, failure);
    return rows && !failure;
}

/* NULL: *error. */
static GPtrArray *read_store(Space *space, Owners *owners, Kept *kept, Service *service,
                             const char *project, GError **error)
{
    Db *db = service->db;
    g_autoptr(DbSnapshot) snapshot = db_snapshot(db, error);
    return snapshot && read_owners(space, owners, db, project, error) &&
                   read_uploads(space, db, project, error) &&
                   read_pushes(space, service, project, error) &&
                   kept_add_models(kept, db, NULL, false, error) &&
                   kept_add_environments(kept, db, service->images, error) &&
                   kept_add_pushed(kept, db, error)
               ? runtimes_list(db, error)
               : NULL;
}

/* Files are looked at once the store is let go. */
static bool read_kept(Space *space, Service *service, const char *project, GError **error)
{
    g_auto(Owners) owners = {g_hash_table_new(g_str_hash, g_str_equal),
                             g_hash_table_new(g_str_hash, g_str_equal)};
    g_autoptr(Kept) kept = kept_new();
    g_autoptr(GPtrArray) runtimes = read_store(space, &owners, kept, service, project, error);
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

static bool read_store_bytes(Space *space, const Service *service, GError **error)
{
    static const char *const NAMES[] = {DATA_STORE, DATA_STORE "-wal"};
    struct stat about;
    if (db_engine(service->db) == DB_POSTGRES)
        return db_query_int(service->db, &space->store_bytes, 0, error,
                            "SELECT pg_database_size(current_database())", "");
    for (gsize i = 0; i < G_N_ELEMENTS(NAMES); i++)
        if (fstatat(service->data->fd, NAMES[i], &about, AT_SYMLINK_NOFOLLOW) == 0)
            space->store_bytes += about.st_size;
    return true;
}

/* What the files of a tree take of the disk; those that cannot be looked at are left out. */
static int64_t tree_bytes(const char *path)
{
    int64_t bytes = 0;
    char *const paths[] = {(char *)path, NULL};
    FTS *tree = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
    for (const FTSENT *entry; tree && (entry = fts_read(tree));)
        if (entry->fts_info == FTS_F || entry->fts_info == FTS_D)
            bytes += (int64_t)entry->fts_statp->st_blocks * 512;
    if (tree)
        fts_close(tree);
    return bytes;
}

Space *space_read(Service *service, const char *project, GError **error)
{
    g_autoptr(Space) space = g_new0(Space, 1);
    space->projects = g_ptr_array_new_with_free_func((GDestroyNotify)space_project_free);
    space->models = g_ptr_array_new_with_free_func((GDestroyNotify)space_model_free);
    space->free_bytes = data_free_bytes(service->data);
    space->disk_bytes = data_disk_bytes(service->data);
    space->project_limit = settings_bytes(service->settings, "limits.project_storage_gib");
    space->registry = image_store_is_registry(service->store);
    g_autofree char *unpacked = data_path(service->data, "unpacked");
    space->unpacked_bytes = tree_bytes(unpacked);
    if (!read_store_bytes(space, service, error) || !read_kept(space, service, project, error) ||
        !layout_each_blob(service->images, count_blob, space, error))
        return NULL;
    return g_steal_pointer(&space);
}

int64_t space_total(const Space *space)
{
    return (space->registry ? space->model_bytes : 0) + space->blob_bytes + space->upload_bytes +
           space->store_bytes + space->unpacked_bytes;
}
