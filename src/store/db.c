/* What is the same for every engine of db.h. */
#include <string.h>

#include "base/error_domain.h"
#include "store/db_driver.h"

#define SQLITE_SCHEME "sqlite:"

DEFINE_ERROR_DOMAIN(db_error);

bool db_error_passes(const GError *error)
{
    return g_error_matches(error, DB_ERROR, DB_ERROR_BUSY) ||
           g_error_matches(error, DB_ERROR, DB_ERROR_LOST) ||
           g_error_matches(error, DB_ERROR, DB_ERROR_FENCED);
}

bool db_is_served(const char *url)
{
    return g_str_has_prefix(url, "postgresql://") || g_str_has_prefix(url, "postgres://");
}

const char *db_path_of(const char *url)
{
    return g_str_has_prefix(url, SQLITE_SCHEME) ? url + strlen(SQLITE_SCHEME) : NULL;
}

Db *db_open(const char *url, int busy_timeout_ms, GError **error)
{
    const char *path = db_path_of(url);
    if (path)
        return db_open_sqlite(path, busy_timeout_ms, error);
    if (db_is_served(url))
        return db_open_postgres(url, busy_timeout_ms, DB_CONNECTIONS, error);
    g_set_error(error, DB_ERROR, DB_ERROR_FAILED,
                "a store's address is sqlite:PATH or "
                "postgresql://[USER[:PASSWORD]@]HOST[:PORT]/DATABASE");
    return NULL;
}

void db_free(Db *db)
{
    if (!db)
        return;
    db_rollback(db);
    db->driver->free(db);
}

DbEngine db_engine(const Db *db)
{
    return db->driver->engine;
}

const char *db_name(const Db *db)
{
    return db->name;
}

/* -- transactions -- */

void db_before_writing(Db *db, void (*call)(gpointer data), gpointer data)
{
    db->before_writing = call;
    db->before_writing_data = data;
}

void db_guard(Db *db, DbGuard guard, gpointer data)
{
    db->guard = guard;
    db->guard_data = data;
}

static bool begin_writing(Db *db, DbAccess access, const char *model_id, GError **error)
{
    g_return_val_if_fail(!db->in_transaction, false);
    if (db->before_writing)
        db->before_writing(db->before_writing_data);
    db->in_transaction = db->driver->begin(db, access, model_id, error);
    if (!db->in_transaction || !db->guard || db->guard(db, db->guard_data, error))
        return db->in_transaction;
    db_rollback(db);
    return false;
}

bool db_begin(Db *db, GError **error)
{
    return begin_writing(db, DB_WRITES, NULL, error);
}

bool db_begin_of(Db *db, const char *model_id, GError **error)
{
    return begin_writing(db, DB_WRITES_MODEL, model_id, error);
}

bool db_commit(Db *db, GError **error)
{
    g_return_val_if_fail(db->in_transaction, false);
    if (!db->driver->commit(db, error)) {
        db_rollback(db);
        return false;
    }
    db->in_transaction = false;
    return true;
}

void db_rollback(Db *db)
{
    if (!db || !db->in_transaction)
        return;
    db->driver->rollback(db);
    db->in_transaction = false;
}

bool db_is_writing(const Db *db)
{
    return db->in_transaction;
}

DbTransaction *db_transaction(Db *db, GError **error)
{
    return db_begin(db, error) ? db : NULL;
}

DbTransaction *db_transaction_of(Db *db, const char *model_id, GError **error)
{
    return db_begin_of(db, model_id, error) ? db : NULL;
}

DbSnapshot *db_snapshot(Db *db, GError **error)
{
    g_return_val_if_fail(!db->in_transaction, NULL);
    db->in_transaction = db->driver->begin(db, DB_READS, NULL, error);
    return db->in_transaction ? db : NULL;
}

void db_snapshot_end(DbSnapshot *snapshot)
{
    if (!snapshot || !snapshot->in_transaction)
        return;
    if (snapshot->driver->commit(snapshot, NULL))
        snapshot->in_transaction = false;
    else
        db_rollback(snapshot);
}

/* -- statements -- */

static DbRows *query_start(Db *db, GError **error, const char *sql, const char *types,
                           va_list arguments)
{
    DbValue values[DB_MAX_ARGUMENTS];
    g_assert(strlen(types) <= DB_MAX_ARGUMENTS);
    for (int i = 0; types[i]; i++) {
        g_assert(types[i] == 's' || types[i] == 'i');
        values[i].is_null = false;
        if (types[i] == 's')
            values[i].text = va_arg(arguments, const char *);
        else
            values[i].number = va_arg(arguments, int64_t);
    }
    return db->driver->query(db, sql, types, values, error);
}

DbRows *db_query(Db *db, GError **error, const char *sql, const char *types, ...)
{
    va_list arguments;
    va_start(arguments, types);
    DbRows *rows = query_start(db, error, sql, types, arguments);
    va_end(arguments);
    return rows;
}

DbRows *db_stream(Db *db, GError **error, const char *sql)
{
    return db->driver->stream(db, sql, error);
}

bool db_next(DbRows *rows, GError **error)
{
    if (rows->ended)
        return false;
    GError *failure = NULL;
    rows->ended = !rows->db->driver->next(rows, &failure);
    if (failure)
        g_propagate_error(error, failure);
    return !rows->ended;
}

int db_columns(DbRows *rows)
{
    return rows->db->driver->columns(rows);
}

const char *db_column_name(DbRows *rows, int column)
{
    return rows->db->driver->column_name(rows, column);
}

bool db_column_is_text(DbRows *rows, int column)
{
    return rows->db->driver->column_is_text(rows, column);
}

bool db_is_null(DbRows *rows, int column)
{
    return rows->db->driver->is_null(rows, column);
}

int64_t db_int(DbRows *rows, int column)
{
    return rows->db->driver->number(rows, column);
}

const char *db_text(DbRows *rows, int column)
{
    return rows->db->driver->text(rows, column);
}

void db_rows_free(DbRows *rows)
{
    if (rows)
        rows->db->driver->rows_free(rows);
}

/* Takes the rows over. */
static bool run_to_the_end(DbRows *rows, GError **error)
{
    GError *failure = NULL;
    while (rows && db_next(rows, &failure))
        ;
    const bool done = rows && !failure;
    if (failure)
        g_propagate_error(error, failure);
    db_rows_free(rows);
    return done;
}

bool db_exec(Db *db, GError **error, const char *sql, const char *types, ...)
{
    va_list arguments;
    va_start(arguments, types);
    DbRows *rows = query_start(db, error, sql, types, arguments);
    va_end(arguments);
    return run_to_the_end(rows, error);
}

bool db_exec_values(Db *db, GError **error, const char *sql, const char *types,
                    const DbValue *values)
{
    return run_to_the_end(db->driver->query(db, sql, types, values, error), error);
}

bool db_query_int(Db *db, int64_t *value, int64_t otherwise, GError **error, const char *sql,
                  const char *types, ...)
{
    va_list arguments;
    va_start(arguments, types);
    g_autoptr(DbRows) rows = query_start(db, error, sql, types, arguments);
    va_end(arguments);
    if (!rows)
        return false;
    GError *failure = NULL;
    *value = otherwise;
    if (db_next(rows, &failure) && !db_is_null(rows, 0))
        *value = db_int(rows, 0);
    if (failure)
        g_propagate_error(error, failure);
    return !failure;
}

char *db_query_text(Db *db, GError **error, const char *sql, const char *types, ...)
{
    va_list arguments;
    va_start(arguments, types);
    g_autoptr(DbRows) rows = query_start(db, error, sql, types, arguments);
    va_end(arguments);
    if (!rows)
        return NULL;
    GError *failure = NULL;
    const char *text = db_next(rows, &failure) ? db_text(rows, 0) : NULL;
    if (!failure)
        return g_strdup(text ? text : "");
    g_propagate_error(error, failure);
    return NULL;
}

bool db_script(Db *db, const char *sql, GError **error)
{
    return db->driver->script(db, sql, error);
}

/* -- the store as a whole -- */

int64_t db_data_version(Db *db)
{
    return db->driver->data_version(db);
}

bool db_keep_session(Db *db, GError **error)
{
    return !db->driver->keep_session || db->driver->keep_session(db, error);
}

bool db_listen(Db *db, GError **error)
{
    return db->driver->listen && db->driver->listen(db, error);
}

int db_socket(Db *db)
{
    return db->driver->socket ? db->driver->socket(db) : -1;
}

bool db_heard(Db *db)
{
    return db->driver->heard && db->driver->heard(db);
}

bool db_count_connections(Db *db, int *open, int *taken)
{
    if (!db->driver->count_connections)
        return false;
    db->driver->count_connections(db, open, taken);
    return true;
}

bool db_copy_to(Db *db, const char *path, GError **error)
{
    return db->driver->copy_to(db, path, error);
}

bool db_check(Db *db, GError **error)
{
    return db->driver->check(db, error);
}
