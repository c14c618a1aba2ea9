/* The store's connection: one set of SQL for every engine, thin drivers beneath.
 *
 * Statements are written with $1, $2, …; arguments follow a string of types, one letter each: 's'
 * const char * in UTF-8 (NULL is NULL), 'i' int64_t. A Db belongs to one thread. Every write stands
 * between db_begin and db_commit. db_begin takes the write lock at once (BEGIN IMMEDIATE), so that
 * what was read inside stays true until the commit.
 *
 * db_begin_of takes the lock of one model only, for what changes nothing but the model's own rows:
 * a server then has others beside it, those of other models. Those of db_begin still are alone. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define DB_ERROR (db_error_quark())
GQuark db_error_quark(void);
typedef enum {
    DB_ERROR_FAILED,
    DB_ERROR_LOST,       /* the server cannot be reached, or the connection to it broke */
    DB_ERROR_BUSY,       /* another process holds the lock past the timeout */
    DB_ERROR_FULL,       /* the disk is full */
    DB_ERROR_FENCED,     /* what may be written is another's by now */
    DB_ERROR_CONSTRAINT, /* unique, foreign key, check */
    DB_ERROR_DAMAGED,    /* not a database, or a damaged one */
    DB_ERROR_NEWER       /* written by a newer program: refused */
} DbError;

/* Whether nothing is wrong with what was to be done: it is done again, later (BUSY, LOST), or by
 * another (FENCED). NULL: no. */
bool db_error_passes(const GError *error);

typedef struct Db Db;
typedef struct DbRows DbRows;

typedef enum { DB_SQLITE, DB_POSTGRES } DbEngine;

#define DB_CONNECTIONS 10 /* store.connections, where nothing is set */

/* Whether an address is a server's, and no file's. */
bool db_is_served(const char *url);
/* The PATH of sqlite:PATH, a pointer into it; NULL: it is another address. */
const char *db_path_of(const char *url);

/* Opens (and makes) the SQLite database at `path`: WAL, synchronous=FULL, foreign keys. The schema
 * is schema_migrate's. */
Db *db_open_sqlite(const char *path, int busy_timeout_ms, GError **error);
/* The database that an address names (postgresql://[USER[:PASSWORD]@]HOST[:PORT]/DATABASE, and what
 * else libpq takes there). What it does not say comes from the usual PG* variables and files. All
 * Dbs of a process share its connections, of which there are that many at most (postgres_pool.h).
 */
Db *db_open_postgres(const char *url, int busy_timeout_ms, int connections, GError **error);
/* Either, by an address: sqlite:PATH, or one of PostgreSQL's, with DB_CONNECTIONS. */
Db *db_open(const char *url, int busy_timeout_ms, GError **error);
void db_free(Db *db);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Db, db_free)

DbEngine db_engine(const Db *db);
/* For people: a path, or an address without its password. */
const char *db_name(const Db *db);

/* Called before each transaction begins. */
void db_before_writing(Db *db, void (*call)(gpointer data), gpointer data);
/* Asked first in each transaction that writes: false ends it (*error is the guard's). NULL: nobody
 * is asked. */
typedef bool (*DbGuard)(Db *db, gpointer data, GError **error);
void db_guard(Db *db, DbGuard guard, gpointer data);
bool db_begin(Db *db, GError **error);
bool db_begin_of(Db *db, const char *model_id, GError **error);
bool db_commit(Db *db, GError **error);
/* Does nothing outside of a transaction. */
void db_rollback(Db *db);
/* Whether a transaction is open. */
bool db_is_writing(const Db *db);

/* A transaction that rolls back when it leaves its scope before the commit. */
typedef Db DbTransaction;
DbTransaction *db_transaction(Db *db, GError **error);
DbTransaction *db_transaction_of(Db *db, const char *model_id, GError **error);
static inline void db_transaction_end(DbTransaction *transaction)
{
    db_rollback(transaction);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DbTransaction, db_transaction_end)

/* What is read until it leaves its scope is read of one state of the store, under one lock:
 * SQLite's lock for readers is one for all threads of a process. Not for writing, and never kept
 * while something is waited for. */
typedef Db DbSnapshot;
DbSnapshot *db_snapshot(Db *db, GError **error);
void db_snapshot_end(DbSnapshot *snapshot);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DbSnapshot, db_snapshot_end)

bool db_exec(Db *db, GError **error, const char *sql, const char *types, ...);
/* The same, with arguments whose number is not known beforehand. */
typedef struct {
    const char *text; /* of 's'; NULL is NULL */
    int64_t number;   /* of 'i' */
    bool is_null;     /* of 'i' */
} DbValue;
bool db_exec_values(Db *db, GError **error, const char *sql, const char *types,
                    const DbValue *values);
/* Several statements without arguments: migrations. */
bool db_script(Db *db, const char *sql, GError **error);

DbRows *db_query(Db *db, GError **error, const char *sql, const char *types, ...);
/* Rows that may be very many, inside of a snapshot: they are not all held in memory. One at a
 * time. */
DbRows *db_stream(Db *db, GError **error, const char *sql);
/* True: there is a (further) row. False: the end, or *error is set. */
bool db_next(DbRows *rows, GError **error);
int64_t db_int(DbRows *rows, int column);
bool db_is_null(DbRows *rows, int column);
int db_columns(DbRows *rows);
/* Of one that is a table's own: its name, and whether it holds texts. */
const char *db_column_name(DbRows *rows, int column);
bool db_column_is_text(DbRows *rows, int column);
/* NULL of NULL; valid until the next db_next. */
const char *db_text(DbRows *rows, int column);
void db_rows_free(DbRows *rows);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DbRows, db_rows_free)

/* The only column of the only row as a number; `otherwise` when there is no row or it is NULL.
 * False: *error. */
bool db_query_int(Db *db, int64_t *value, int64_t otherwise, GError **error, const char *sql,
                  const char *types, ...);

/* The same as a text, "" otherwise. The caller frees it; NULL: *error. */
char *db_query_text(Db *db, GError **error, const char *sql, const char *types, ...);

/* A number that changes whenever another connection commits: what followers look at before they
 * query. */
int64_t db_data_version(Db *db);
/* From here on all statements are of one session, until it is lost: what belongs to one (its locks)
 * lasts. */
bool db_keep_session(Db *db, GError **error);
/* From here on the server tells this connection of commits: its socket (db_socket) can be read
 * then, and db_heard takes what came. An engine without a server tells nothing: false, *error
 * unset. */
bool db_listen(Db *db, GError **error);
/* -1: there is none, or the connection is lost. It is another one after that. */
int db_socket(Db *db);
/* Whether there was a commit since it was last asked. */
bool db_heard(Db *db);
/* Those of this process to a server, and how many of them are in use. False: there is no server. */
bool db_count_connections(Db *db, int *open, int *taken);
/* A consistent copy in one file, of a store in use too. */
bool db_copy_to(Db *db, const char *path, GError **error);
/* Whether the store's own structures are whole. */
bool db_check(Db *db, GError **error);
