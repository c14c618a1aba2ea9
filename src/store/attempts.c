#include "store/attempts.h"

#include <string.h>

#include "base/clock.h"
#include "store/model_changes.h"

void attempt_free(Attempt *attempt)
{
    if (!attempt)
        return;
    g_free(attempt->model_id);
    g_free(attempt->request);
    g_free(attempt->outcome);
    g_free(attempt->listing);
    g_free(attempt->config);
    g_free(attempt->runtime);
    g_free(attempt->image_digest);
    g_free(attempt->image_media_type);
    g_free(attempt->config_digest);
    g_free(attempt);
}

Attempt *attempt_load(Db *db, const char *model_id, int attempt, GError **error)
{
    g_autoptr(DbRows) rows =
        db_query(db, error,
                 "SELECT request, outcome, created_at, coalesce(started_at, 0), coalesce(ended_at, "
                 "0), coalesce(size, -1), listing, config, "
                 "runtime, image_digest, image_media_type, config_digest, "
                 "coalesce(image_manifest_size, 0), coalesce(image_size, 0) "
                 "FROM attempts WHERE model_id = $1 AND attempt = $2",
                 "si", model_id, (int64_t)attempt);
    if (!rows || !db_next(rows, error))
        return NULL;
    Attempt *row = g_new0(Attempt, 1);
    row->model_id = g_strdup(model_id);
    row->attempt = attempt;
    row->request = g_strdup(db_text(rows, 0));
    row->outcome = g_strdup(db_text(rows, 1));
    row->created_at = db_int(rows, 2);
    row->started_at = db_int(rows, 3);
    row->ended_at = db_int(rows, 4);
    row->size = db_int(rows, 5);
    row->listing = g_strdup(db_text(rows, 6));
    row->config = g_strdup(db_text(rows, 7));
    row->runtime = g_strdup(db_text(rows, 8));
    row->image_digest = g_strdup(db_text(rows, 9));
    row->image_media_type = g_strdup(db_text(rows, 10));
    row->config_digest = g_strdup(db_text(rows, 11));
    row->image_manifest_size = db_int(rows, 12);
    row->image_size = db_int(rows, 13);
    return row;
}

bool attempt_insert(Db *db, const char *model_id, int attempt, const char *request, GError **error)
{
    int64_t change;
    return db_exec(db, error,
                   "INSERT INTO attempts(model_id, attempt, request, outcome, created_at) VALUES "
                   "($1, $2, $3, 'running', $4)",
                   "sisi", model_id, (int64_t)attempt, request, clock_now_ms()) &&
           model_changes_next(db, &change, error) &&
           db_exec(db, error, "UPDATE models SET attempt = $2, changed = $3 WHERE id = $1", "sii",
                   model_id, (int64_t)attempt, change);
}

bool attempt_start(Db *db, const char *model_id, int attempt, GError **error)
{
    return db_exec(db, error,
                   "UPDATE attempts SET started_at = $3 WHERE model_id = $1 AND attempt = $2",
                   "sii", model_id, (int64_t)attempt, clock_now_ms());
}

bool attempt_end(Db *db, const char *model_id, int attempt, const char *outcome, GError **error)
{
    return db_exec(
        db, error,
        "UPDATE attempts SET outcome = $3, ended_at = $4 WHERE model_id = $1 AND attempt = $2",
        "sisi", model_id, (int64_t)attempt, outcome, clock_now_ms());
}

bool attempt_set_package(Db *db, const char *model_id, int attempt, int64_t size,
                         const char *listing, const char *config, const char *runtime,
                         GError **error)
{
    return db_exec(db, error,
                   "UPDATE attempts SET size = $3, listing = $4, config = $5, runtime = $6 WHERE "
                   "model_id = $1 AND attempt = $2",
                   "siisss", model_id, (int64_t)attempt, size, listing, config, runtime);
}

bool attempt_set_image(Db *db, const char *model_id, int attempt, const char *digest,
                       const char *media_type, int64_t manifest_size, const char *config_digest,
                       int64_t image_size, GError **error)
{
    return db_exec(db, error,
                   "UPDATE attempts SET image_digest = $3, image_media_type = $4, "
                   "image_manifest_size = $5, config_digest = $6, "
                   "image_size = $7 WHERE model_id = $1 AND attempt = $2",
                   "sissisi", model_id, (int64_t)attempt, digest, media_type, manifest_size,
                   config_digest, image_size);
}

char *stage_result(Db *db, const char *model_id, int attempt, const char *stage, GError **error)
{
    g_autoptr(DbRows) rows =
        db_query(db, error,
                 "SELECT result FROM stages WHERE model_id = $1 AND attempt = $2 AND stage = $3",
                 "sis", model_id, (int64_t)attempt, stage);
    return rows && db_next(rows, error) ? g_strdup(db_text(rows, 0)) : NULL;
}

bool stage_close(Db *db, const char *model_id, int attempt, const char *stage, const char *result,
                 GError **error)
{
    return db_exec(db, error,
                   "INSERT INTO stages(model_id, attempt, stage, result, closed_at) VALUES ($1, "
                   "$2, $3, $4, $5)",
                   "sissi", model_id, (int64_t)attempt, stage, result, clock_now_ms());
}

void layer_row_free(LayerRow *row)
{
    if (!row)
        return;
    g_free(row->origin);
    g_free(row->digest);
    g_free(row->media_type);
    g_free(row->diff_id);
    g_free(row->file);
    g_free(row->recipe);
    g_free(row);
}

bool layer_insert(Db *db, const char *model_id, int attempt, const LayerRow *row, GError **error)
{
    return db_exec(db, error,
                   "INSERT INTO layers(model_id, attempt, origin, position, digest, size, "
                   "media_type, diff_id, files, file, recipe) "
                   "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) "
                   "ON CONFLICT (model_id, attempt, origin, position) DO NOTHING",
                   "sisisississ", model_id, (int64_t)attempt, row->origin, (int64_t)row->position,
                   row->digest, row->size, row->media_type, row->diff_id, row->files, row->file,
                   row->recipe);
}

#define LAYER_COLUMNS \
    "SELECT origin, position, digest, size, media_type, diff_id, files, file, recipe FROM layers "

static LayerRow *layer_of_row(DbRows *rows)
{
    LayerRow *row = g_new0(LayerRow, 1);
    row->origin = g_strdup(db_text(rows, 0));
    row->position = (int)db_int(rows, 1);
    row->digest = g_strdup(db_text(rows, 2));
    row->size = db_int(rows, 3);
    row->media_type = g_strdup(db_text(rows, 4));
    row->diff_id = g_strdup(db_text(rows, 5));
    row->files = db_int(rows, 6);
    row->file = g_strdup(db_text(rows, 7));
    row->recipe = g_strdup(db_text(rows, 8));
    return row;
}

static GPtrArray *rows_of(Db *db, const char *sql, const char *model_id, int attempt,
                          GError **error)
{
    g_autoptr(GPtrArray) layers = g_ptr_array_new_with_free_func((GDestroyNotify)layer_row_free);
    g_autoptr(DbRows) rows = db_query(db, error, sql, "si", model_id, (int64_t)attempt);
    GError *failure = NULL;
    while (rows && db_next(rows, &failure))
        g_ptr_array_add(layers, layer_of_row(rows));
    if (failure)
        g_propagate_error(error, failure);
    return rows && !failure ? g_steal_pointer(&layers) : NULL;
}

GPtrArray *layers_of(Db *db, const char *model_id, int attempt, GError **error)
{
    return rows_of(db,
                   LAYER_COLUMNS
                   "WHERE model_id = $1 AND attempt = $2 AND origin <> '" LAYER_ORIGIN_BLOB "' "
                   "ORDER BY CASE origin WHEN 'base' THEN 0 WHEN 'environment' THEN 1 WHEN 'model' "
                   "THEN 2 ELSE 3 END, position",
                   model_id, attempt, error);
}

GPtrArray *blobs_of(Db *db, const char *model_id, int attempt, GError **error)
{
    return rows_of(db,
                   LAYER_COLUMNS "WHERE model_id = $1 AND attempt = $2 AND origin = "
                                 "'" LAYER_ORIGIN_BLOB "' ORDER BY position",
                   model_id, attempt, error);
}

LayerRow *layer_of_recipe(Db *db, const char *recipe, GError **error)
{
    g_autoptr(DbRows) rows =
        db_query(db, error, LAYER_COLUMNS "WHERE recipe = $1 LIMIT 1", "s", recipe);
    return rows && db_next(rows, error) ? layer_of_row(rows) : NULL;
}

bool attempt_inherit_layers(Db *db, const char *model_id, int from, int to, GError **error)
{
    return db_exec(db, error,
                   "INSERT INTO layers SELECT model_id, $3, origin, position, digest, size, "
                   "media_type, diff_id, files, file, recipe "
                   "FROM layers WHERE model_id = $1 AND attempt = $2 AND origin IN ('model', "
                   "'config', '" LAYER_ORIGIN_BLOB "')",
                   "sii", model_id, (int64_t)from, (int64_t)to) &&
           db_exec(db, error,
                   "UPDATE files SET digest = (SELECT digest FROM files f WHERE f.model_id = $1 "
                   "AND f.attempt = $2 AND f.path = files.path) "
                   "WHERE model_id = $1 AND attempt = $3",
                   "sii", model_id, (int64_t)from, (int64_t)to);
}

bool attempt_inherit_package(Db *db, const char *model_id, int from, int to, GError **error)
{
    return db_exec(db, error,
                   "UPDATE attempts SET (size, listing, config, runtime) = (SELECT f.size, "
                   "f.listing, f.config, f.runtime FROM attempts f WHERE f.model_id = $1 AND "
                   "f.attempt = $2) WHERE model_id = $1 AND attempt = $3",
                   "sii", model_id, (int64_t)from, (int64_t)to) &&
           db_exec(db, error,
                   "INSERT INTO files(model_id, attempt, path, size, device, inode, mtime_ns, "
                   "ctime_ns, digest) SELECT model_id, $3, path, size, device, inode, mtime_ns, "
                   "ctime_ns, digest FROM files WHERE model_id = $1 AND attempt = $2",
                   "sii", model_id, (int64_t)from, (int64_t)to);
}

bool attempt_inherit(Db *db, const char *model_id, int from, int to, const char *stage,
                     GError **error)
{
    int64_t old = from, new = to;
    if (strcmp(stage, "copy") == 0 && !attempt_inherit_layers(db, model_id, from, to, error))
        return false;
    if (strcmp(stage, "environment") == 0 &&
        !db_exec(db, error,
                 "INSERT INTO layers SELECT model_id, $3, origin, position, digest, size, "
                 "media_type, diff_id, files, file, recipe FROM layers WHERE model_id = $1 AND "
                 "attempt = $2 AND origin = 'environment'",
                 "sii", model_id, old, new))
        return false;
    return db_exec(db, error,
                   "INSERT INTO stages SELECT model_id, $3, stage, result, closed_at FROM stages "
                   "WHERE model_id = $1 AND attempt = $2 AND stage = $4",
                   "siis", model_id, old, new, stage);
}

bool build_log_append(Db *db, const char *model_id, int attempt, const char *stream,
                      const char *text, GError **error)
{
    return db_exec(db, error,
                   "INSERT INTO build_log(model_id, attempt, line, time, stream, text) "
                   "SELECT $1, $2, coalesce(max(line), 0) + 1, $3, $4, $5 FROM build_log WHERE "
                   "model_id = $1 AND attempt = $2",
                   "siiss", model_id, (int64_t)attempt, clock_now_ms(), stream, text);
}
