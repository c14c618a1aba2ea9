#include "store/model_changes.h"

#include "store/model_rows.h"

#define OFFSET "(SELECT number FROM model_changes)"

/* Not by RETURNING: SQLite then keeps a journal for the one statement. */
bool model_changes_next(Db *db, int64_t *number, GError **error)
{
    if (db_engine(db) == DB_POSTGRES)
        return db_query_int(db, number, 0, error, "SELECT " MODEL_CHANGE_THERE, "");
    return db_exec(db, error, "UPDATE model_changes SET number = number + 1", "") &&
           db_query_int(db, number, 0, error, "SELECT " OFFSET, "");
}

bool model_changes_last(Db *db, int64_t *number, GError **error)
{
    return db_query_int(db, number, 0, error,
                        db_engine(db) == DB_POSTGRES
                            ? "SELECT " OFFSET
                              " + pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1"
                            : "SELECT " OFFSET,
                        "");
}

/* Each project's newest, by the index. */
#define NEWEST                                                                            \
    "(SELECT coalesce(max(newest), 0) FROM (SELECT (SELECT max(m.changed) FROM models m " \
    "WHERE m.project = p.id) AS newest FROM projects p) n)"

bool model_changes_go_on(Db *db, GError **error)
{
    int64_t newest, next;
    if (!db_query_int(db, &newest, 0, error, "SELECT " NEWEST, "") ||
        !db_query_int(db, &next, 0, error,
                      db_engine(db) == DB_POSTGRES
                          ? "SELECT " OFFSET
                            " + pg_snapshot_xmax(pg_current_snapshot())::text::bigint"
                          : "SELECT " OFFSET " + 1",
                      ""))
        return false;
    if (newest < next)
        return true;
    return db_exec(db, error, "UPDATE model_changes SET number = $1, epoch = ''", "i", newest);
}

/* -- epochs -- */

static char *epoch_read(Db *db, GError **error)
{
    g_autoptr(DbRows) rows = db_query(db, error, "SELECT epoch FROM model_changes", "");
    return rows && db_next(rows, error) ? g_strdup(db_text(rows, 0)) : NULL;
}

static bool epoch_make(Db *db, GError **error)
{
    g_autofree char *epoch = g_strdup_printf("%08x", g_random_int());
    g_autoptr(DbTransaction) transaction = db_transaction(db, error);
    return transaction &&
           db_exec(db, error, "UPDATE model_changes SET epoch = $1 WHERE epoch = ''", "s", epoch) &&
           db_commit(db, error);
}

char *model_changes_epoch(Db *db, GError **error)
{
    g_autofree char *epoch = epoch_read(db, error);
    if (!epoch || *epoch)
        return g_steal_pointer(&epoch);
    return epoch_make(db, error) ? epoch_read(db, error) : NULL;
}

bool model_changes_end_epoch(Db *db, GError **error)
{
    g_autoptr(DbTransaction) transaction = db_transaction(db, error);
    return transaction && db_exec(db, error, "UPDATE model_changes SET epoch = ''", "") &&
           db_commit(db, error);
}

/* -- changes -- */

void model_change_free(ModelChange *change)
{
    if (!change)
        return;
    g_free(change->model_id);
    g_free(change->name);
    g_free(change->version);
    g_free(change->type);
    g_free(change->description);
    g_free(change->event);
    g_free(change);
}

static ModelChange *change_of_row(DbRows *rows)
{
    ModelChange *change = g_new0(ModelChange, 1);
    Model model = {.outcome = (char *)db_text(rows, 8), .was_imported = db_int(rows, 9) != 0};
    change->number = db_int(rows, 0);
    change->model_id = g_strdup(db_text(rows, 1));
    change->name = g_strdup(db_text(rows, 2));
    change->version = g_strdup(db_text(rows, 3));
    change->type = g_strdup(db_text(rows, 4));
    change->description = g_strdup(db_text(rows, 5));
    change->created_at = db_int(rows, 6);
    change->attempt = (int)db_int(rows, 7);
    change->status = db_text(rows, 10) ? NULL : model_status(&model);
    change->last_seq = db_int(rows, 11);
    change->event = g_strdup(db_text(rows, 12));
    return change;
}

#define CHANGES                                                                                    \
    "SELECT m.changed, m.id, m.name, m.version, CASE WHEN " BY_TEMPLATE                            \
    " THEN 'Template' ELSE m.type END, m.description, m.created_at, m.attempt, a.outcome, "        \
    "EXISTS (SELECT 1 FROM attempts e WHERE e.model_id = m.id AND e.attempt < m.attempt AND "      \
    "e.outcome = 'imported'), m.deleted_at, m.last_seq, v.event FROM models m JOIN attempts a ON " \
    "a.model_id = m.id AND a.attempt = m.attempt LEFT JOIN events v ON v.model_id = m.id AND "     \
    "v.seq = m.last_seq WHERE m.project = $1 AND m.changed > $2 AND m.changed <= $5 AND "          \
    "(m.changed > $3 OR m.deleted_at IS NULL) ORDER BY m.changed "

GPtrArray *model_changes_after(Db *db, const char *project, int64_t after, int64_t known, int most,
                               GError **error)
{
    int64_t last;
    if (!model_changes_last(db, &last, error))
        return NULL;
    g_autoptr(GPtrArray) changes =
        g_ptr_array_new_with_free_func((GDestroyNotify)model_change_free);
    /* One transaction may have changed several models; in SQLite each has a number of its own. */
    g_autoptr(DbRows) rows =
        db_query(db, error,
                 db_engine(db) == DB_POSTGRES ? CHANGES "FETCH FIRST $4 ROWS WITH TIES"
                                              : CHANGES "LIMIT $4",
                 "siiii", project, after, known, (int64_t)most, last);
    GError *failure = NULL;
    while (rows && db_next(rows, &failure))
        g_ptr_array_add(changes, change_of_row(rows));
    if (failure)
        g_propagate_error(error, failure);
    return rows && !failure ? g_steal_pointer(&changes) : NULL;
}
