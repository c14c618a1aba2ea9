/* Files of two attempts, side by side. Both lists are read in the order of their paths, so that
 * memory does not grow with them. */
#include <string.h>

#include "import/difference_parts.h"
#include "model/package.h"

void file_change_free(FileChange *change)
{
    g_free(change->path);
    for (int i = 0; i < 2; i++) {
        g_free(change->digests[i]);
        g_free(change->layer_digests[i]);
    }
    g_free(change);
}

/* One of the lists, at a row. */
typedef struct {
    const Side *side;
    DbRows *rows;
    GHashTable *layers; /* path -> digest of the layer that holds the file alone */
    bool more;
} Files;

static void files_clear(Files *files)
{
    db_rows_free(files->rows);
    g_clear_pointer(&files->layers, g_hash_table_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Files, files_clear)

static bool files_next(Files *files, GError **error)
{
    g_autoptr(GError) failure = NULL;
    files->more = db_next(files->rows, &failure);
    if (failure)
        g_propagate_error(error, g_steal_pointer(&failure));
    return files->more || !*error;
}

static bool files_open(Files *files, Db *db, const Side *side, GError **error)
{
    const Attempt *attempt = side->attempt;
    g_autoptr(GPtrArray) layers = layers_of(db, attempt->model_id, attempt->attempt, error);
    if (!layers)
        return false;
    files->side = side;
    files->layers = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    for (guint i = 0; i < layers->len; i++) {
        const LayerRow *row = layers->pdata[i];
        if (row->file)
            g_hash_table_insert(files->layers, g_strdup(row->file), g_strdup(row->digest));
    }
    files->rows = db_query(db, error,
                           "SELECT path, size, device, inode, mtime_ns, ctime_ns, digest FROM "
                           "files WHERE model_id = $1 AND attempt = $2 ORDER BY path",
                           "si", attempt->model_id, (int64_t)attempt->attempt);
    return files->rows && files_next(files, error);
}

static const char *files_path(const Files *files)
{
    return db_text(files->rows, 0);
}

/* Relative to the source, as events name files. */
static char *path_shown(const Files *files)
{
    const char *child = files->side->request->child;
    return package_path_in_source(child ? child : PACKAGE_DEFAULT_CHILD, files_path(files));
}

static int64_t files_size(const Files *files)
{
    return db_int(files->rows, 1);
}

static const char *files_digest(const Files *files, bool of_layer)
{
    return of_layer ? g_hash_table_lookup(files->layers, files_path(files))
                    : db_text(files->rows, 6);
}

/* Device, inode and times: nobody wrote to it in between. */
static bool is_untouched(const Files *old, const Files *new)
{
    for (int column = 1; column <= 5; column++)
        if (db_int(old->rows, column) != db_int(new->rows, column))
            return false;
    return true;
}

static void change_add(GPtrArray *changes, FileChangeKind kind, const Files *old, const Files *new)
{
    FileChange *change = g_new0(FileChange, 1);
    const Files *sides[] = {old, new};
    change->kind = kind;
    change->path = path_shown(new ? new : old);
    for (int i = 0; i < 2; i++) {
        if (!sides[i])
            continue;
        change->sizes[i] = files_size(sides[i]);
        change->digests[i] = g_strdup(files_digest(sides[i], false));
        change->layer_digests[i] = g_strdup(files_digest(sides[i], true));
    }
    g_ptr_array_add(changes, change);
}

/* The config.json that both configs were read from: its lines are compared, so what it is follows
 * from them, hashed or not. */
static bool is_config(const Files *old, const Files *new, bool *same)
{
    const char *texts[] = {old->side->config, new->side->config};
    if (strcmp(files_path(old), "config.json") != 0 || !texts[0] || !texts[1] ||
        old->side->request->config_text || new->side->request->config_text ||
        files_size(old) != (int64_t)strlen(texts[0]) ||
        files_size(new) != (int64_t)strlen(texts[1]))
        return false;
    *same = strcmp(texts[0], texts[1]) == 0;
    return true;
}

static void pair_compare(const Files *old, const Files *new, GPtrArray *changes, int64_t *same)
{
    bool equal;
    if (is_config(old, new, &equal)) {
        *same += equal;
        return;
    }
    if (files_size(old) != files_size(new)) {
        change_add(changes, FILE_CHANGED, old, new);
        return;
    }
    for (int of_layer = 0; of_layer < 2; of_layer++) {
        const char *was = files_digest(old, of_layer), *is = files_digest(new, of_layer);
        if (!was || !is)
            continue;
        if (strcmp(was, is) == 0)
            ++*same;
        else
            change_add(changes, FILE_CHANGED, old, new);
        return;
    }
    if (is_untouched(old, new))
        ++*same;
    else
        change_add(changes, FILE_UNSURE, old, new);
}

bool files_compare(Db *db, const Side *sides, GPtrArray *changes, int64_t *same, GError **error)
{
    g_auto(Files) old = {0}, new = {0};
    if (!files_open(&old, db, &sides[0], error) || !files_open(&new, db, &sides[1], error))
        return false;
    while (old.more || new.more) {
        int order = !old.more ? 1 : !new.more ? -1 : strcmp(files_path(&old), files_path(&new));
        if (order < 0)
            change_add(changes, FILE_REMOVED, &old, NULL);
        else if (order > 0)
            change_add(changes, FILE_ADDED, NULL, &new);
        else
            pair_compare(&old, &new, changes, same);
        if ((order <= 0 && !files_next(&old, error)) || (order >= 0 && !files_next(&new, error)))
            return false;
    }
    return true;
}
