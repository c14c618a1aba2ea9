#include "store/audit.h"

#include "base/clock.h"

static bool row_insert(Db *db, const AuditRow *row, GError **error)
{
    return db_exec(db, error,
                   "INSERT INTO audit(time, actor, credential, project, action, object, outcome, "
                   "request_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                   "isssssss", clock_now_ms(), row->actor, row->credential, row->project,
                   row->action, row->object, row->outcome, row->request_id);
}

bool audit_add(Db *db, const AuditRow *row, GError **error)
{
    if (db_is_writing(db))
        return row_insert(db, row, error);
    g_autoptr(DbTransaction) transaction = db_transaction(db, error);
    return transaction && row_insert(db, row, error) && db_commit(db, error);
}

bool audit_search(Db *db, const AuditSearch *search, AuditVisitor visit, gpointer data,
                  GError **error)
{
    g_autoptr(DbRows) rows = db_query(
        db, error,
        "SELECT a.id, a.time, a.actor, a.credential, a.project, a.action, a.object, a.outcome, "
        "a.request_id, m.name || ':' || m.version FROM audit a LEFT JOIN models m ON m.id = "
        "a.object WHERE ($1 IS NULL OR a.project = $1) AND ($2 IS NULL OR a.actor = $2) AND "
        "($3 IS NULL OR a.action = $3) AND ($4 = 0 OR a.id < $4) ORDER BY a.id DESC LIMIT $5",
        "sssii", search->project, search->actor, search->action, search->before, search->limit);
    GError *failure = NULL;
    while (rows && db_next(rows, &failure)) {
        const AuditRow row = {db_text(rows, 2), db_text(rows, 3), db_text(rows, 4),
                              db_text(rows, 5), db_text(rows, 6), db_text(rows, 7),
                              db_text(rows, 8)};
        visit(db_int(rows, 0), db_int(rows, 1), &row, db_text(rows, 9), data);
    }
    if (failure)
        g_propagate_error(error, failure);
    return rows && !failure;
}
