/* The SQLite driver of db.h.
 *
 * Statements are kept prepared, by their text: a stage that records a hundred thousand files
 * compiles its INSERT once. A statement that is being read is taken out of the cache until its rows
 * are freed, so nested use is safe. */
#include "store/db.h"

#include <errno.h>
#include <pthread.h>
#include <sqlite3.h>
#include <string.h>

#include "base/error_domain.h"

#define MAX_ARGUMENTS 16

/* SQLite numbers "$2, $1" by first appearance: where each argument is bound is asked once. */
typedef struct {
    sqlite3_stmt *sqlite;
    int places[MAX_ARGUMENTS]; /* of $1, $2, …; 0: not asked yet */
} Statement;

struct Db {
    sqlite3 *sqlite;
    char *path;
    GHashTable *prepared; /* SQL text, its own -> Statement, those not in use */
    bool in_transaction;
    void (*before_writing)(gpointer data);
    gpointer before_writing_data;
};

struct DbRows {
    Db *db;
    Statement *statement;
    bool ended;
};

DEFINE_ERROR_DOMAIN(db_error);

static DbError db_error_code(sqlite3 *sqlite, int result)
{
    switch (result & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return DB_ERROR_BUSY;
    case SQLITE_FULL:
        return DB_ERROR_FULL;
    case SQLITE_IOERR: {
        if (result == SQLITE_IOERR_SHMSIZE) /* which leaves no errno: it could not grow the file */
            return DB_ERROR_FULL;
        int code = sqlite ? sqlite3_system_errno(sqlite) : 0;
        return code == ENOSPC || code == EDQUOT ? DB_ERROR_FULL : DB_ERROR_FAILED;
    }
    case SQLITE_CONSTRAINT:
        return DB_ERROR_CONSTRAINT;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return DB_ERROR_DAMAGED;
    default:
        return DB_ERROR_FAILED;
    }
}

static bool db_fail(Db *db, int result, GError **error)
{
    DbError code = db_error_code(db->sqlite, result);
    g_set_error(error, DB_ERROR, code, "store %s: %s", db->path,
                code == DB_ERROR_FULL ? "the disk is full" : sqlite3_errmsg(db->sqlite));
    return false;
}

static void statement_free(gpointer data)
{
    Statement *statement = data;
    sqlite3_finalize(statement->sqlite);
    g_free(statement);
}

/* Nobody asks how much memory SQLite uses, and counting it takes a lock of the whole process for
 * every allocation: the server's threads would wait for each other. */
static void configure(void)
{
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

Db *db_open_sqlite(const char *path, int busy_timeout_ms, GError **error)
{
    static pthread_once_t configured = PTHREAD_ONCE_INIT;
    g_autoptr(Db) db = g_new0(Db, 1);
    pthread_once(&configured, configure);
    db->path = g_strdup(path);
    db->prepared = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, statement_free);
    int result =
        sqlite3_open_v2(path, &db->sqlite,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    if (result != SQLITE_OK) {
        db_fail(db, result, error);
        return NULL;
    }
    sqlite3_extended_result_codes(db->sqlite, 1);
    sqlite3_busy_timeout(db->sqlite, busy_timeout_ms);
    if (!db_script(db,
                   "PRAGMA journal_mode = WAL;"
                   "PRAGMA synchronous = FULL;"
                   "PRAGMA foreign_keys = ON;"
                   "PRAGMA trusted_schema = OFF;",
                   error))
        return NULL;
    return g_steal_pointer(&db);
}

void db_free(Db *db)
{
    if (!db)
        return;
    db_rollback(db);
    g_hash_table_unref(db->prepared);
    sqlite3_close_v2(db->sqlite);
    g_free(db->path);
    g_free(db);
}

bool db_script(Db *db, const char *sql, GError **error)
{
    int result = sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL);
    return result == SQLITE_OK || db_fail(db, result, error);
}

void db_before_writing(Db *db, void (*call)(gpointer data), gpointer data)
{
    db->before_writing = call;
    db->before_writing_data = data;
}

bool db_begin(Db *db, GError **error)
{
    g_return_val_if_fail(!db->in_transaction, false);
    if (db->before_writing)
        db->before_writing(db->before_writing_data);
    db->in_transaction = db_exec(db, error, "BEGIN IMMEDIATE", "");
    return db->in_transaction;
}

bool db_commit(Db *db, GError **error)
{
    g_return_val_if_fail(db->in_transaction, false);
    if (!db_exec(db, error, "COMMIT", "")) {
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
    /* A full disk may have rolled back already: then there is nothing left to undo. */
    if (!sqlite3_get_autocommit(db->sqlite))
        sqlite3_exec(db->sqlite, "ROLLBACK", NULL, NULL, NULL);
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

static Statement *statement_take(Db *db, const char *sql, GError **error)
{
    gpointer key, statement;
    if (g_hash_table_steal_extended(db->prepared, sql, &key, &statement))
        return statement;
    sqlite3_stmt *fresh = NULL;
    int result = sqlite3_prepare_v3(db->sqlite, sql, -1, SQLITE_PREPARE_PERSISTENT, &fresh, NULL);
    if (result != SQLITE_OK) {
        db_fail(db, result, error);
        return NULL;
    }
    Statement *made = g_new0(Statement, 1);
    made->sqlite = fresh;
    return made;
}

static void statement_give_back(Db *db, Statement *statement)
{
    sqlite3_reset(statement->sqlite);
    sqlite3_clear_bindings(statement->sqlite);
    g_hash_table_replace(db->prepared, (gpointer)sqlite3_sql(statement->sqlite), statement);
}

static int statement_place(Statement *statement, int argument)
{
    g_assert(argument < MAX_ARGUMENTS);
    if (!statement->places[argument]) {
        char name[16];
        g_snprintf(name, sizeof name, "$%d", argument + 1);
        statement->places[argument] = sqlite3_bind_parameter_index(statement->sqlite, name);
        g_assert(statement->places[argument] > 0);
    }
    return statement->places[argument];
}

/* Texts are copied: the caller's may be gone before the last row. */
static void statement_bind(Statement *statement, const char *types, va_list arguments)
{
    for (int i = 0; types[i]; i++) {
        int at = statement_place(statement, i);
        if (types[i] == 's')
            sqlite3_bind_text(statement->sqlite, at, va_arg(arguments, const char *), -1,
                              SQLITE_TRANSIENT);
        else if (types[i] == 'i')
            sqlite3_bind_int64(statement->sqlite, at, va_arg(arguments, int64_t));
        else
            g_assert_not_reached();
    }
}

static DbRows *query_start(Db *db, GError **error, const char *sql, const char *types,
                           va_list arguments)
{
    Statement *statement = statement_take(db, sql, error);
    if (!statement)
        return NULL;
    statement_bind(statement, types, arguments);
    DbRows *rows = g_new0(DbRows, 1);
    rows->db = db;
    rows->statement = statement;
    return rows;
}

DbRows *db_query(Db *db, GError **error, const char *sql, const char *types, ...)
{
    va_list arguments;
    va_start(arguments, types);
    DbRows *rows = query_start(db, error, sql, types, arguments);
    va_end(arguments);
    return rows;
}

bool db_next(DbRows *rows, GError **error)
{
    if (rows->ended)
        return false;
    int result = sqlite3_step(rows->statement->sqlite);
    if (result == SQLITE_ROW)
        return true;
    rows->ended = true;
    if (result != SQLITE_DONE)
        db_fail(rows->db, result, error);
    return false;
}

int64_t db_int(DbRows *rows, int column)
{
    return sqlite3_column_int64(rows->statement->sqlite, column);
}

const char *db_text(DbRows *rows, int column)
{
    return (const char *)sqlite3_column_text(rows->statement->sqlite, column);
}

void db_rows_free(DbRows *rows)
{
    if (!rows)
        return;
    statement_give_back(rows->db, rows->statement);
    g_free(rows);
}

bool db_exec(Db *db, GError **error, const char *sql, const char *types, ...)
{
    va_list arguments;
    va_start(arguments, types);
    g_autoptr(DbRows) rows = query_start(db, error, sql, types, arguments);
    va_end(arguments);
    if (!rows)
        return false;
    GError *failure = NULL;
    while (db_next(rows, &failure))
        ;
    if (failure)
        g_propagate_error(error, failure);
    return !failure;
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
    if (db_next(rows, &failure) && sqlite3_column_type(rows->statement->sqlite, 0) != SQLITE_NULL)
        *value = db_int(rows, 0);
    if (failure)
        g_propagate_error(error, failure);
    return !failure;
}

DbSnapshot *db_snapshot(Db *db, GError **error)
{
    g_return_val_if_fail(!db->in_transaction, NULL);
    db->in_transaction = db_exec(db, error, "BEGIN", "");
    return db->in_transaction ? db : NULL;
}

void db_snapshot_end(DbSnapshot *snapshot)
{
    if (!snapshot || !snapshot->in_transaction)
        return;
    if (db_exec(snapshot, NULL, "COMMIT", ""))
        snapshot->in_transaction = false;
    else
        db_rollback(snapshot);
}

int64_t db_data_version(Db *db)
{
    int64_t version = 0;
    db_query_int(db, &version, 0, NULL, "PRAGMA data_version", "");
    return version;
}

bool db_copy_to(Db *db, const char *path, GError **error)
{
    return db_exec(db, error, "VACUUM INTO $1", "s", path);
}

bool db_check(Db *db, GError **error)
{
    g_autoptr(DbRows) rows = db_query(db, error, "PRAGMA quick_check(1)", "");
    if (!rows || !db_next(rows, error))
        return false;
    if (g_strcmp0(db_text(rows, 0), "ok") == 0)
        return true;
    g_set_error(error, DB_ERROR, DB_ERROR_DAMAGED, "store %s: %s", db->path, db_text(rows, 0));
    return false;
}
