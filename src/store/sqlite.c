/* The SQLite driver of db.h.
 *
 * Statements are kept prepared, by their text: a stage that records a hundred thousand files
 * compiles its INSERT once. A statement that is being read is taken out of the cache until its rows
 * are freed, so nested use is safe. */
#include "store/db_driver.h"

#include <errno.h>
#include <pthread.h>
#include <sqlite3.h>
#include <string.h>

/* SQLite numbers "$2, $1" by first appearance: where each argument is bound is asked once. */
typedef struct {
    sqlite3_stmt *sqlite;
    int places[DB_MAX_ARGUMENTS]; /* of $1, $2, …; 0: not asked yet */
} Statement;

typedef struct {
    Db base;
    sqlite3 *sqlite;
    GHashTable *prepared; /* SQL text, its own -> Statement, those not in use */
} Sqlite;

typedef struct {
    DbRows base;
    Statement *statement;
} SqliteRows;

static const DbDriver DRIVER;

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

static bool sqlite_fail(Sqlite *db, int result, GError **error)
{
    DbError code = db_error_code(db->sqlite, result);
    g_set_error(error, DB_ERROR, code, "store %s: %s", db->base.name,
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

static void sqlite_free(Db *base)
{
    Sqlite *db = (Sqlite *)base;
    g_hash_table_unref(db->prepared);
    sqlite3_close_v2(db->sqlite);
    g_free(base->name);
    g_free(db);
}

static bool sqlite_script(Db *base, const char *sql, GError **error)
{
    Sqlite *db = (Sqlite *)base;
    int result = sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL);
    return result == SQLITE_OK || sqlite_fail(db, result, error);
}

Db *db_open_sqlite(const char *path, int busy_timeout_ms, GError **error)
{
    static pthread_once_t configured = PTHREAD_ONCE_INIT;
    Sqlite *db = g_new0(Sqlite, 1);
    g_autoptr(Db) base = &db->base;
    pthread_once(&configured, configure);
    base->driver = &DRIVER;
    base->name = g_strdup(path);
    db->prepared = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, statement_free);
    int result =
        sqlite3_open_v2(path, &db->sqlite,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    if (result != SQLITE_OK) {
        sqlite_fail(db, result, error);
        return NULL;
    }
    sqlite3_extended_result_codes(db->sqlite, 1);
    sqlite3_busy_timeout(db->sqlite, busy_timeout_ms);
    if (!db_script(base,
                   "PRAGMA journal_mode = WAL;"
                   "PRAGMA synchronous = FULL;"
                   "PRAGMA foreign_keys = ON;"
                   "PRAGMA trusted_schema = OFF;",
                   error))
        return NULL;
    return g_steal_pointer(&base);
}

static bool sqlite_begin(Db *db, DbAccess access, const char *model_id G_GNUC_UNUSED,
                         GError **error)
{
    return db_exec(db, error, access == DB_READS ? "BEGIN" : "BEGIN IMMEDIATE", "");
}

static bool sqlite_commit(Db *db, GError **error)
{
    return db_exec(db, error, "COMMIT", "");
}

/* A full disk may have rolled back already: then there is nothing left to undo. */
static void sqlite_rollback(Db *base)
{
    Sqlite *db = (Sqlite *)base;
    if (!sqlite3_get_autocommit(db->sqlite))
        sqlite3_exec(db->sqlite, "ROLLBACK", NULL, NULL, NULL);
}

static Statement *statement_take(Sqlite *db, const char *sql, GError **error)
{
    gpointer key, statement;
    if (g_hash_table_steal_extended(db->prepared, sql, &key, &statement))
        return statement;
    sqlite3_stmt *fresh = NULL;
    int result = sqlite3_prepare_v3(db->sqlite, sql, -1, SQLITE_PREPARE_PERSISTENT, &fresh, NULL);
    if (result != SQLITE_OK) {
        sqlite_fail(db, result, error);
        return NULL;
    }
    Statement *made = g_new0(Statement, 1);
    made->sqlite = fresh;
    return made;
}

static void statement_give_back(Sqlite *db, Statement *statement)
{
    sqlite3_reset(statement->sqlite);
    sqlite3_clear_bindings(statement->sqlite);
    g_hash_table_replace(db->prepared, (gpointer)sqlite3_sql(statement->sqlite), statement);
}

static int statement_place(Statement *statement, int argument)
{
    g_assert(argument < DB_MAX_ARGUMENTS);
    if (!statement->places[argument]) {
        char name[16];
        g_snprintf(name, sizeof name, "$%d", argument + 1);
        statement->places[argument] = sqlite3_bind_parameter_index(statement->sqlite, name);
        g_assert(statement->places[argument] > 0);
    }
    return statement->places[argument];
}

/* Texts are copied: the caller's may be gone before the last row. */
static void statement_bind(Statement *statement, const char *types, const DbValue *values)
{
    for (int i = 0; types[i]; i++) {
        int at = statement_place(statement, i);
        if (types[i] == 's')
            sqlite3_bind_text(statement->sqlite, at, values[i].text, -1, SQLITE_TRANSIENT);
        else if (values[i].is_null)
            sqlite3_bind_null(statement->sqlite, at);
        else
            sqlite3_bind_int64(statement->sqlite, at, values[i].number);
    }
}

static DbRows *sqlite_query(Db *db, const char *sql, const char *types, const DbValue *values,
                            GError **error)
{
    Statement *statement = statement_take((Sqlite *)db, sql, error);
    if (!statement)
        return NULL;
    statement_bind(statement, types, values);
    SqliteRows *rows = g_new0(SqliteRows, 1);
    rows->base.db = db;
    rows->statement = statement;
    return &rows->base;
}

/* Rows come one by one in any case. */
static DbRows *sqlite_stream(Db *db, const char *sql, GError **error)
{
    return sqlite_query(db, sql, "", NULL, error);
}

static sqlite3_stmt *statement_of(DbRows *rows)
{
    return ((SqliteRows *)rows)->statement->sqlite;
}

static bool sqlite_next(DbRows *rows, GError **error)
{
    int result = sqlite3_step(statement_of(rows));
    if (result != SQLITE_ROW && result != SQLITE_DONE)
        sqlite_fail((Sqlite *)rows->db, result, error);
    return result == SQLITE_ROW;
}

static int sqlite_columns(DbRows *rows)
{
    return sqlite3_column_count(statement_of(rows));
}

static const char *sqlite_column_name(DbRows *rows, int column)
{
    return sqlite3_column_name(statement_of(rows), column);
}

static bool sqlite_column_is_text(DbRows *rows, int column)
{
    return g_strcmp0(sqlite3_column_decltype(statement_of(rows), column), "TEXT") == 0;
}

static bool sqlite_is_null(DbRows *rows, int column)
{
    return sqlite3_column_type(statement_of(rows), column) == SQLITE_NULL;
}

static int64_t sqlite_number(DbRows *rows, int column)
{
    return sqlite3_column_int64(statement_of(rows), column);
}

static const char *sqlite_text(DbRows *rows, int column)
{
    return (const char *)sqlite3_column_text(statement_of(rows), column);
}

static void sqlite_rows_free(DbRows *rows)
{
    statement_give_back((Sqlite *)rows->db, ((SqliteRows *)rows)->statement);
    g_free(rows);
}

static int64_t sqlite_data_version(Db *db)
{
    int64_t version = 0;
    db_query_int(db, &version, 0, NULL, "PRAGMA data_version", "");
    return version;
}

static bool sqlite_copy_to(Db *db, const char *path, GError **error)
{
    return db_exec(db, error, "VACUUM INTO $1", "s", path);
}

static bool sqlite_check(Db *db, GError **error)
{
    g_autoptr(DbRows) rows = db_query(db, error, "PRAGMA quick_check(1)", "");
    if (!rows || !db_next(rows, error))
        return false;
    if (g_strcmp0(db_text(rows, 0), "ok") == 0)
        return true;
    g_set_error(error, DB_ERROR, DB_ERROR_DAMAGED, "store %s: %s", db->name, db_text(rows, 0));
    return false;
}

static const DbDriver DRIVER = {.engine = DB_SQLITE,
                                .free = sqlite_free,
                                .begin = sqlite_begin,
                                .commit = sqlite_commit,
                                .rollback = sqlite_rollback,
                                .script = sqlite_script,
                                .query = sqlite_query,
                                .stream = sqlite_stream,
                                .next = sqlite_next,
                                .columns = sqlite_columns,
                                .column_name = sqlite_column_name,
                                .column_is_text = sqlite_column_is_text,
                                .is_null = sqlite_is_null,
                                .number = sqlite_number,
                                .text = sqlite_text,
                                .rows_free = sqlite_rows_free,
                                .data_version = sqlite_data_version,
                                .copy_to = sqlite_copy_to,
                                .check = sqlite_check};
