#include "store/models.h"

#include <string.h>

#include "base/clock.h"
#include "store/model_changes.h"
#include "store/model_rows.h"

void model_free(Model *model)
{
    if (!model)
        return;
    g_free(model->id);
    g_free(model->project);
    g_free(model->name);
    g_free(model->version);
    g_free(model->type);
    g_free(model->description);
    g_free(model->owner);
    g_free(model->deleted_by);
    g_free(model->outcome);
    g_free(model->image_digest);
    g_free(model);
}

const char *model_status(const Model *model)
{
    if (strcmp(model->outcome, "imported") == 0)
        return "published";
    if (strcmp(model->outcome, "failed") == 0)
        return model->was_imported ? "building_failed" : "failed";
    return model->was_imported ? "building" : "publishing";
}

Model *model_of_row(DbRows *rows)
{
    Model *model = g_new0(Model, 1);
    model->id = g_strdup(db_text(rows, 0));
    model->project = g_strdup(db_text(rows, 1));
    model->name = g_strdup(db_text(rows, 2));
    model->version = g_strdup(db_text(rows, 3));
    model->type = g_strdup(db_text(rows, 4));
    model->description = g_strdup(db_text(rows, 5));
    model->owner = g_strdup(db_text(rows, 6));
    model->created_at = db_int(rows, 7);
    model->deleted_at = db_int(rows, 8);
    model->attempt = (int)db_int(rows, 9);
    model->last_seq = db_int(rows, 10);
    model->outcome = g_strdup(db_text(rows, 11));
    model->was_imported = db_int(rows, 12) != 0;
    model->image_digest = g_strdup(db_text(rows, 13));
    model->size = db_int(rows, 14);
    model->deleted_by = g_strdup(db_text(rows, 15));
    return model;
}

static Model *model_first(DbRows *rows, GError **error)
{
    return rows && db_next(rows, error) ? model_of_row(rows) : NULL;
}

Model *model_load(Db *db, const char *id, GError **error)
{
    g_autoptr(DbRows) rows = db_query(db, error, MODEL_COLUMNS "WHERE m.id = $1", "s", id);
    return model_first(rows, error);
}

Model *model_of_version(Db *db, const char *project, const char *name, const char *version,
                        GError **error)
{
    g_autoptr(DbRows) rows =
        db_query(db, error,
                 MODEL_COLUMNS "WHERE m.project = $1 AND m.name = $2 AND m.version = $3 "
                               "AND m.deleted_at IS NULL",
                 "sss", project, name, version);
    return model_first(rows, error);
}

Model *model_find(Db *db, const char *project, const char *text, GError **error)
{
    GError *failure = NULL;
    const char *colon = strrchr(text, ':');
    Model *model = NULL;
    if (colon) {
        g_autofree char *name = g_strndup(text, (gsize)(colon - text));
        model = model_of_version(db, project, name, colon + 1, &failure);
    } else {
        g_autoptr(DbRows) rows =
            db_query(db, &failure,
                     MODEL_COLUMNS "WHERE m.project = $1 AND m.name = $2 AND m.deleted_at IS NULL "
                                   "ORDER BY m.version_number DESC LIMIT 1",
                     "ss", project, text);
        model = model_first(rows, &failure);
    }
    if (!model && !failure)
        model = model_load(db, text, &failure);
    if (model && strcmp(model->project, project) != 0)
        g_clear_pointer(&model,
                        model_free); /* an id of another project's: projects are kept apart */
    if (failure)
        g_propagate_error(error, failure);
    if (model && model->deleted_at)
        g_clear_pointer(&model, model_free);
    return model;
}

Model *model_find_deleted(Db *db, const char *project, const char *text, GError **error)
{
    const char *colon = strrchr(text, ':');
    g_autofree char *name = colon ? g_strndup(text, (gsize)(colon - text)) : g_strdup(text);
    g_autoptr(DbRows) rows =
        db_query(db, error,
                 MODEL_COLUMNS
                 "WHERE m.project = $1 AND m.deleted_at IS NOT NULL AND (m.id = $2 OR "
                 "(m.name = $3 AND ($4 = '' OR m.version = $4))) ORDER BY m.id = $2 DESC, "
                 "m.version_number DESC, m.deleted_at DESC LIMIT 1",
                 "ssss", project, text, name, colon ? colon + 1 : "");
    return model_first(rows, error);
}

GPtrArray *models_of_rows(DbRows *rows, GError **error)
{
    g_autoptr(GPtrArray) models = g_ptr_array_new_with_free_func((GDestroyNotify)model_free);
    GError *failure = NULL;
    while (rows && db_next(rows, &failure))
        g_ptr_array_add(models, model_of_row(rows));
    if (failure)
        g_propagate_error(error, failure);
    return rows && !failure ? g_steal_pointer(&models) : NULL;
}

GPtrArray *models_list(Db *db, const char *project, const char *name_part, GError **error)
{
    /* strpos-like functions differ between engines, replace() does not: the name contains the part
     * when removing it changes it. */
    g_autoptr(DbRows) rows =
        db_query(db, error,
                 MODEL_COLUMNS "WHERE m.project = $1 AND m.deleted_at IS NULL "
                               "AND ($2 = '' OR replace(m.name, $2, '') <> m.name) "
                               "ORDER BY m.name, m.version_number, m.id",
                 "ss", project, name_part ? name_part : "");
    return models_of_rows(rows, error);
}

GPtrArray *models_list_deleted(Db *db, const char *project, const char *name_part, GError **error)
{
    g_autoptr(DbRows) rows =
        db_query(db, error,
                 MODEL_COLUMNS "WHERE m.project = $1 AND m.deleted_at IS NOT NULL "
                               "AND ($2 = '' OR replace(m.name, $2, '') <> m.name) "
                               "ORDER BY m.deleted_at DESC, m.id",
                 "ss", project, name_part ? name_part : "");
    return models_of_rows(rows, error);
}

bool model_insert(Db *db, const char *id, const char *project, const char *name,
                  const char *version, int64_t version_number, const char *type,
                  const char *description, const char *owner, GError **error)
{
    return db_exec(db, error,
                   "INSERT INTO models(id, project, name, version, version_number, type, "
                   "description, owner, created_at, attempt, "
                   "last_seq, last_time) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, 0, 0)",
                   "ssssisssi", id, project, name, version, version_number, type, description,
                   owner, clock_now_ms());
}

bool model_set_type(Db *db, const char *id, const char *type, GError **error)
{
    return db_exec(db, error, "UPDATE models SET type = $2 WHERE id = $1", "ss", id, type);
}

bool model_set_description(Db *db, const char *id, const char *description, GError **error)
{
    return db_exec(db, error, "UPDATE models SET description = $2 WHERE id = $1", "ss", id,
                   description);
}

bool model_mark_deleted(Db *db, const char *id, const char *actor, GError **error)
{
    int64_t change;
    return model_changes_next(db, &change, error) &&
           db_exec(db, error,
                   "UPDATE models SET deleted_at = $2, deleted_by = $3, changed = $4 WHERE id = $1 "
                   "AND deleted_at IS NULL",
                   "sisi", id, clock_now_ms(), actor, change);
}

/* A build of one model may be what another one's import waits for. */
GPtrArray *models_deleted_before(Db *db, int64_t time, GError **error)
{
    g_autoptr(GPtrArray) ids = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(DbRows) rows =
        db_query(db, error,
                 "SELECT id FROM models m WHERE deleted_at < $1 AND NOT EXISTS (SELECT 1 FROM jobs "
                 "j WHERE j.model_id = m.id AND (j.state <> 'done' OR EXISTS (SELECT 1 FROM jobs w "
                 "WHERE w.waits_for = j.id AND w.state <> 'done'))) ORDER BY deleted_at, id",
                 "i", time);
    GError *failure = NULL;
    while (rows && db_next(rows, &failure))
        g_ptr_array_add(ids, g_strdup(db_text(rows, 0)));
    if (failure)
        g_propagate_error(error, failure);
    return rows && !failure ? g_steal_pointer(&ids) : NULL;
}

#define FORGET_WAITING                                                        \
    "UPDATE jobs SET waits_for = NULL WHERE state = 'done' AND waits_for IN " \
    "(SELECT id FROM jobs WHERE model_id = $1)"

bool model_remove(Db *db, const char *id, GError **error)
{
    static const char *const STATEMENTS[] = {
        FORGET_WAITING,
        "DELETE FROM jobs WHERE model_id = $1",
        "DELETE FROM build_log WHERE model_id = $1",
        "DELETE FROM files WHERE model_id = $1",
        "DELETE FROM layers WHERE model_id = $1",
        "DELETE FROM artifact_blobs WHERE model_id = $1",
        "DELETE FROM stages WHERE model_id = $1",
        "DELETE FROM events WHERE model_id = $1",
        "DELETE FROM attempts WHERE model_id = $1",
        "DELETE FROM models WHERE id = $1 AND deleted_at IS NOT NULL"};
    for (size_t i = 0; i < G_N_ELEMENTS(STATEMENTS); i++)
        if (!db_exec(db, error, STATEMENTS[i], "s", id))
            return false;
    return true;
}
