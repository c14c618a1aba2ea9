/* The PostgreSQL driver of db.h, over libpq.
 *
 * A transaction that writes takes a lock of the whole store first, as SQLite's BEGIN IMMEDIATE
 * does: what was read inside stays true until the commit. One that writes nothing but a model's own
 * rows shares that lock with others of other models. One that only reads sees one state of it
 * (REPEATABLE READ). Statements are prepared once for a connection, by their text.
 *
 * A connection is the pool's, for one statement or one transaction. Where it broke, a statement
 * that stands in no transaction is done once more on another, and sees nothing of it. Inside of one
 * DB_ERROR_LOST ends it: what it had done is undone. */
#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

#include "store/db_driver.h"
#include "store/postgres_bell.h"
#include "store/postgres_pool.h"

#define TYPE_INT8   20 /* pg_type.h: the server would guess from where an argument stands */
#define TYPE_TEXT   25
/* Of pg_advisory_xact_lock: "waybill\0" as a number. */
#define WRITE_LOCK  "8602290226836827136"
#define MODEL_CLASS "1836016748" /* of the locks of models */
#define FETCH_ROWS  1000
#define FETCH       "FETCH FORWARD 1000 FROM waybill_rows"
#define NUMBER_SIZE 24 /* bytes that a number takes as text */

typedef struct {
    Db base;
    Pool *pool;
    PoolConnection *connection; /* of the open transaction, or kept; NULL: none is needed */
    Bell *bell;
    bool writing; /* the open transaction */
    bool keeps;   /* a session of its own, out of the pool */
    bool listens;
} Postgres;

/* All of a query's rows, or the next ones of a cursor. */
typedef struct {
    DbRows base;
    PGresult *result;
    int row, count; /* row: the present one; -1 before the first */
    bool is_cursor;
} PostgresRows;

static const DbDriver DRIVER;

/* -- what failed -- */

/* By the class of the SQLSTATE (PostgreSQL's documentation, appendix A). What has none does not
 * come from the server: the connection failed. */
static DbError code_of(const char *state)
{
    if (!state)
        return DB_ERROR_LOST;
    static const struct {
        const char *prefix;
        DbError code;
    } CODES[] = {{"08", DB_ERROR_LOST},       {"57P0", DB_ERROR_LOST},
                 {"23", DB_ERROR_CONSTRAINT}, {"40", DB_ERROR_BUSY},
                 {"55P03", DB_ERROR_BUSY},    {"57014", DB_ERROR_BUSY},
                 {"53100", DB_ERROR_FULL},    {"XX001", DB_ERROR_DAMAGED},
                 {"XX002", DB_ERROR_DAMAGED}};
    for (size_t i = 0; i < G_N_ELEMENTS(CODES); i++)
        if (g_str_has_prefix(state, CODES[i].prefix))
            return CODES[i].code;
    return DB_ERROR_FAILED;
}

/* libpq's messages are of several lines, with where in the SQL it is; the first says what. */
static bool postgres_fail(Postgres *db, PGresult *result, GError **error)
{
    const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    const char *primary = result ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : NULL;
    const DbError code = code_of(state);
    const char *message = code == DB_ERROR_FULL ? "the disk is full"
                          : primary             ? primary
                                                : PQerrorMessage(db->connection->server);
    db->connection->broken |= code == DB_ERROR_LOST;
    g_set_error(error, DB_ERROR, code, "store %s: %.*s", db->base.name, (int)strcspn(message, "\n"),
                message);
    PQclear(result);
    return false;
}

/* Takes the result over where it is not what was hoped for. */
static bool is_good(Postgres *db, PGresult *result, GError **error)
{
    const ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK || status == PGRES_EMPTY_QUERY)
        return true;
    return postgres_fail(db, result, error);
}

/* -- the connection -- */

static bool run(Postgres *db, const char *sql, GError **error)
{
    PGresult *result = PQexec(db->connection->server, sql);
    if (!is_good(db, result, error))
        return false;
    PQclear(result);
    return true;
}

/* Back to the pool, unless a session is kept. One that broke, or stands in a transaction still, is
 * closed. */
static void let_go(Postgres *db)
{
    PoolConnection *connection = db->connection;
    if (!connection)
        return;
    connection->broken |= PQtransactionStatus(connection->server) != PQTRANS_IDLE;
    if (db->keeps && !connection->broken)
        return;
    db->connection = NULL;
    if (db->keeps)
        pool_connection_free(connection);
    else
        pool_give(db->pool, connection);
}

static bool hold(Postgres *db, GError **error)
{
    if (db->connection && db->connection->broken && !db->base.in_transaction)
        let_go(db);
    if (db->connection)
        return true;
    db->connection = pool_take(db->pool, error);
    if (!db->connection)
        return false;
    if (db->keeps)
        pool_part(db->pool);
    if (!db->listens || run(db, "LISTEN " BELL_CHANNEL, error))
        return true;
    db->connection->broken = true;
    let_go(db);
    return false;
}

/* After a statement that failed: whether there is another connection for it. *failure is that of
 * the statement, or of the connection. */
static bool hold_another(Postgres *db, GError **failure)
{
    if (db->base.in_transaction || !db->connection || !db->connection->broken)
        return false;
    let_go(db);
    g_clear_error(failure);
    return hold(db, failure);
}

/* What is taken for it is held on. */
static bool run_held(Postgres *db, const char *sql, GError **error)
{
    g_autoptr(GError) failure = NULL;
    bool done = hold(db, &failure) && run(db, sql, &failure);
    if (!done && hold_another(db, &failure))
        done = run(db, sql, &failure);
    if (failure)
        g_propagate_error(error, g_steal_pointer(&failure));
    return done;
}

static bool postgres_script(Db *base, const char *sql, GError **error)
{
    Postgres *db = (Postgres *)base;
    const bool done = run_held(db, sql, error);
    if (!base->in_transaction)
        let_go(db);
    return done;
}

static void postgres_free(Db *base)
{
    Postgres *db = (Postgres *)base;
    let_go(db);
    g_clear_pointer(&db->connection, pool_connection_free); /* a session that was kept */
    pool_release(db->pool);
    bell_release(db->bell);
    g_free(base->name);
    g_free(db);
}

/* NULL: *error, which does not tell the address, as libpq would with its password. */
static char *name_of(const char *url, GError **error)
{
    PQconninfoOption *options = PQconninfoParse(url, NULL);
    if (!options) {
        g_set_error(
            error, DB_ERROR, DB_ERROR_FAILED,
            "the store's address is none that PostgreSQL takes: expected "
            "postgresql://[USER[:PASSWORD]@]HOST[:PORT]/DATABASE, with %%40 for an @ in the "
            "password");
        return NULL;
    }
    GString *name = g_string_new("postgresql://");
    const char *host = "", *port = "", *database = "", *user = "";
    for (PQconninfoOption *option = options; option && option->keyword; option++) {
        const char *value = option->val ? option->val : "";
        if (strcmp(option->keyword, "host") == 0)
            host = value;
        else if (strcmp(option->keyword, "port") == 0)
            port = value;
        else if (strcmp(option->keyword, "dbname") == 0)
            database = value;
        else if (strcmp(option->keyword, "user") == 0)
            user = value;
    }
    g_string_append_printf(name, "%s%s%s%s%s/%s", user, *user ? "@" : "", host, *port ? ":" : "",
                           port, database);
    PQconninfoFree(options);
    return g_string_free(name, FALSE);
}

Db *db_open_postgres(const char *url, int busy_timeout_ms, int connections, GError **error)
{
    Postgres *db = g_new0(Postgres, 1);
    g_autoptr(Db) base = &db->base;
    base->driver = &DRIVER;
    base->name = name_of(url, error);
    if (!base->name)
        return NULL;
    db->bell = bell_get(url);
    db->pool = pool_get(url, base->name, busy_timeout_ms, connections);
    if (!hold(db, error))
        return NULL;
    let_go(db);
    return g_steal_pointer(&base);
}

/* -- transactions -- */

static void postgres_rollback(Db *base)
{
    Postgres *db = (Postgres *)base;
    if (db->connection && PQtransactionStatus(db->connection->server) != PQTRANS_IDLE)
        run(db, "ROLLBACK", NULL);
    let_go(db);
}

/* Two models may share a lock: they wait for each other, and nothing is wrong. */
static uint32_t lock_of(const char *model_id)
{
    return g_str_hash(model_id) & G_MAXINT32;
}

/* In one go: it is made again as a whole where the connection broke. The store's lock is taken
 * first by all, shared by those of one model. */
static bool postgres_begin(Db *base, DbAccess access, const char *model_id, GError **error)
{
    static const char READ[] = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
    static const char WRITE[] = "BEGIN ISOLATION LEVEL READ COMMITTED; "
                                "SELECT pg_advisory_xact_lock(" WRITE_LOCK ")";
    static const char WRITE_MODEL[] = "BEGIN ISOLATION LEVEL READ COMMITTED; "
                                      "SELECT pg_advisory_xact_lock_shared(" WRITE_LOCK "), "
                                      "pg_advisory_xact_lock(" MODEL_CLASS ", %u)";
    Postgres *db = (Postgres *)base;
    g_autofree char *of_model =
        access == DB_WRITES_MODEL ? g_strdup_printf(WRITE_MODEL, lock_of(model_id)) : NULL;
    db->writing = access != DB_READS;
    if (run_held(db, of_model ? of_model : access == DB_READS ? READ : WRITE, error))
        return true;
    postgres_rollback(base); /* the lock was not to be had */
    return false;
}

/* COMMIT of a transaction in which a statement failed rolls back, and is no error of the server. */
static bool postgres_commit(Db *base, GError **error)
{
    Postgres *db = (Postgres *)base;
    if (PQtransactionStatus(db->connection->server) == PQTRANS_INERROR) {
        g_set_error(error, DB_ERROR, DB_ERROR_FAILED,
                    "store %s: a statement of the transaction failed", base->name);
        return false;
    }
    if (!run(db, "COMMIT", error))
        return false;
    let_go(db);
    if (db->writing)
        bell_ring(db->bell);
    return true;
}

/* -- statements -- */

static const char *prepare(Postgres *db, const char *sql, const char *types, GError **error)
{
    PoolConnection *connection = db->connection;
    const char *name = g_hash_table_lookup(connection->prepared, sql);
    if (name)
        return name;
    Oid oids[DB_MAX_ARGUMENTS];
    for (int i = 0; types[i]; i++)
        oids[i] = types[i] == 's' ? TYPE_TEXT : TYPE_INT8;
    char *fresh = g_strdup_printf("w%u", g_hash_table_size(connection->prepared));
    PGresult *result = PQprepare(connection->server, fresh, sql, (int)strlen(types), oids);
    if (!is_good(db, result, error)) {
        g_free(fresh);
        return NULL;
    }
    PQclear(result);
    g_hash_table_insert(connection->prepared, g_strdup(sql), fresh);
    return fresh;
}

static DbRows *rows_of(Db *db, PGresult *result, bool is_cursor)
{
    PostgresRows *rows = g_new0(PostgresRows, 1);
    rows->base.db = db;
    rows->result = result;
    rows->row = -1;
    rows->count = PQntuples(result);
    rows->is_cursor = is_cursor;
    return &rows->base;
}

static PGresult *execute(Postgres *db, const char *sql, const char *types, const DbValue *values,
                         GError **error)
{
    char numbers[DB_MAX_ARGUMENTS][NUMBER_SIZE];
    const char *texts[DB_MAX_ARGUMENTS];
    const char *name = prepare(db, sql, types, error);
    if (!name)
        return NULL;
    for (int i = 0; types[i]; i++) {
        if (types[i] == 'i')
            g_snprintf(numbers[i], NUMBER_SIZE, "%" G_GINT64_FORMAT, values[i].number);
        texts[i] = types[i] == 's' ? values[i].text : values[i].is_null ? NULL : numbers[i];
    }
    PGresult *result =
        PQexecPrepared(db->connection->server, name, (int)strlen(types), texts, NULL, NULL, 0);
    return is_good(db, result, error) ? result : NULL;
}

static DbRows *postgres_query(Db *base, const char *sql, const char *types, const DbValue *values,
                              GError **error)
{
    Postgres *db = (Postgres *)base;
    g_autoptr(GError) failure = NULL;
    PGresult *result = hold(db, &failure) ? execute(db, sql, types, values, &failure) : NULL;
    if (!result && hold_another(db, &failure))
        result = execute(db, sql, types, values, &failure);
    if (!base->in_transaction)
        let_go(db);
    if (result)
        return rows_of(base, result, false);
    g_propagate_error(error, g_steal_pointer(&failure));
    return NULL;
}

static DbRows *postgres_stream(Db *base, const char *sql, GError **error)
{
    Postgres *db = (Postgres *)base;
    g_autofree char *declare = g_strconcat("DECLARE waybill_rows NO SCROLL CURSOR FOR ", sql, NULL);
    if (!postgres_script(base, declare, error))
        return NULL;
    PGresult *result = PQexec(db->connection->server, FETCH);
    return is_good(db, result, error) ? rows_of(base, result, true) : NULL;
}

static bool postgres_next(DbRows *base, GError **error)
{
    PostgresRows *rows = (PostgresRows *)base;
    Postgres *db = (Postgres *)base->db;
    if (++rows->row < rows->count)
        return true;
    if (!rows->is_cursor || rows->count < FETCH_ROWS)
        return false;
    PQclear(g_steal_pointer(&rows->result));
    PGresult *result = PQexec(db->connection->server, FETCH);
    rows->row = rows->count = 0;
    if (!is_good(db, result, error))
        return false;
    rows->result = result;
    rows->count = PQntuples(result);
    return rows->count > 0;
}

static int postgres_columns(DbRows *base)
{
    return PQnfields(((PostgresRows *)base)->result);
}

static const char *postgres_column_name(DbRows *base, int column)
{
    return PQfname(((PostgresRows *)base)->result, column);
}

static bool postgres_column_is_text(DbRows *base, int column)
{
    return PQftype(((PostgresRows *)base)->result, column) == TYPE_TEXT;
}

static bool postgres_is_null(DbRows *base, int column)
{
    const PostgresRows *rows = (const PostgresRows *)base;
    return PQgetisnull(rows->result, rows->row, column);
}

static const char *postgres_text(DbRows *base, int column)
{
    const PostgresRows *rows = (const PostgresRows *)base;
    return postgres_is_null(base, column) ? NULL : PQgetvalue(rows->result, rows->row, column);
}

/* A comparison is "t" or "f" here, and a number in SQLite. */
static int64_t postgres_number(DbRows *rows, int column)
{
    const char *text = postgres_text(rows, column);
    if (!text)
        return 0;
    return *text == 't' ? 1 : strtoll(text, NULL, 10);
}

static void postgres_rows_free(DbRows *base)
{
    PostgresRows *rows = (PostgresRows *)base;
    PQclear(rows->result);
    if (rows->is_cursor && base->db->in_transaction)
        postgres_script(base->db, "CLOSE waybill_rows", NULL);
    g_free(rows);
}

/* -- the store as a whole -- */

/* Changes with every commit of anybody. */
static int64_t postgres_data_version(Db *db)
{
    int64_t version = 0;
    db_query_int(db, &version, 0, NULL, "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn", "");
    return version;
}

static bool postgres_keep_session(Db *base, GError **error)
{
    Postgres *db = (Postgres *)base;
    if (db->keeps)
        return hold(db, error);
    if (!hold(db, error))
        return false;
    pool_part(db->pool);
    db->keeps = true;
    return true;
}

static bool postgres_listen(Db *base, GError **error)
{
    Postgres *db = (Postgres *)base;
    if (!postgres_keep_session(base, error))
        return false;
    db->listens = true;
    return postgres_script(base, "LISTEN " BELL_CHANNEL, error);
}

static int postgres_socket(Db *base)
{
    const Postgres *db = (const Postgres *)base;
    const bool there = db->listens && db->connection && !db->connection->broken;
    return there ? PQsocket(db->connection->server) : -1;
}

static bool postgres_heard(Db *base)
{
    Postgres *db = (Postgres *)base;
    bool heard = false;
    if (postgres_socket(base) < 0)
        return false;
    if (!PQconsumeInput(db->connection->server))
        db->connection->broken = true;
    for (PGnotify *notify; (notify = PQnotifies(db->connection->server)); heard = true)
        PQfreemem(notify);
    return heard;
}

static void postgres_count_connections(Db *db, int *open, int *taken)
{
    pool_count(((Postgres *)db)->pool, open, taken);
}

static bool postgres_copy_to(Db *db, const char *path G_GNUC_UNUSED, GError **error)
{
    g_set_error(error, DB_ERROR, DB_ERROR_FAILED,
                "store %s is PostgreSQL's: pg_dump copies it, `waybill store copy` brings it into "
                "a file",
                db->name);
    return false;
}

/* Its own structures are the server's affair: that it answers is what can be told. */
static bool postgres_check(Db *db, GError **error)
{
    return postgres_script(db, "SELECT 1", error);
}

static const DbDriver DRIVER = {.engine = DB_POSTGRES,
                                .free = postgres_free,
                                .begin = postgres_begin,
                                .commit = postgres_commit,
                                .rollback = postgres_rollback,
                                .script = postgres_script,
                                .query = postgres_query,
                                .stream = postgres_stream,
                                .next = postgres_next,
                                .columns = postgres_columns,
                                .column_name = postgres_column_name,
                                .column_is_text = postgres_column_is_text,
                                .is_null = postgres_is_null,
                                .number = postgres_number,
                                .text = postgres_text,
                                .rows_free = postgres_rows_free,
                                .data_version = postgres_data_version,
                                .keep_session = postgres_keep_session,
                                .listen = postgres_listen,
                                .socket = postgres_socket,
                                .heard = postgres_heard,
                                .count_connections = postgres_count_connections,
                                .copy_to = postgres_copy_to,
                                .check = postgres_check};
