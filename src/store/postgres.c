/* The PostgreSQL driver of db.h, over libpq.
 *
 * A transaction that writes takes a lock of the whole store first, as SQLite's BEGIN IMMEDIATE
 * does: what was read inside stays true until the commit. One that writes nothing but a model's own
 * rows shares that lock with others of other models. One that only reads sees one state of it
 * (REPEATABLE READ). Statements are prepared once for a connection, by their text.
 *
 * A connection that broke is made again by the next statement that stands in no transaction, which
 * then sees nothing of it. Inside of one DB_ERROR_LOST ends it: what it had done is undone. */
#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

#include "store/db_driver.h"
#include "store/postgres_bell.h"

#define TYPE_INT8   20 /* pg_type.h: the server would guess from where an argument stands */
#define TYPE_TEXT   25
/* Of pg_advisory_xact_lock: "waybill\0" as a number. */
#define WRITE_LOCK  "8602290226836827136"
#define MODEL_CLASS "1836016748" /* of the locks of models */
/* A process that was stopped in the middle of a transaction keeps its locks no longer than that. */
#define PAUSED_MS   "10000"
#define FETCH_ROWS  1000
#define FETCH       "FETCH FORWARD 1000 FROM waybill_rows"
#define NUMBER_SIZE 24 /* bytes that a number takes as text */

typedef struct {
    Db base;
    PGconn *connection;
    int busy_timeout_ms;
    bool broken;          /* the connection; PQstatus does not always know (a write that failed) */
    GHashTable *prepared; /* SQL text -> its name on the server */
    Bell *bell;
    bool writing; /* the open transaction */
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
                                                : PQerrorMessage(db->connection);
    db->broken = db->broken || code == DB_ERROR_LOST;
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

static void postgres_free(Db *base)
{
    Postgres *db = (Postgres *)base;
    g_hash_table_unref(db->prepared);
    PQfinish(db->connection);
    bell_release(db->bell);
    g_free(base->name);
    g_free(db);
}

static bool run(Postgres *db, const char *sql, GError **error)
{
    PGresult *result = PQexec(db->connection, sql);
    if (!is_good(db, result, error))
        return false;
    PQclear(result);
    return true;
}

/* What the server tells by the way ("table exists already, skipping") is nobody's. */
static void hear_nothing(void *user G_GNUC_UNUSED, const PGresult *result G_GNUC_UNUSED)
{
}

static bool settle(Postgres *db, GError **error)
{
    g_autofree char *settings =
        g_strdup_printf("SET lock_timeout = %d; SET synchronous_commit = on; SET "
                        "standard_conforming_strings = on; SET timezone = 'UTC'; "
                        "SET idle_in_transaction_session_timeout = " PAUSED_MS,
                        db->busy_timeout_ms);
    g_hash_table_remove_all(db->prepared);
    PQsetNoticeReceiver(db->connection, hear_nothing, NULL);
    db->broken = false;
    if (PQstatus(db->connection) == CONNECTION_OK)
        return run(db, settings, error) && (!db->listens || run(db, "LISTEN " BELL_CHANNEL, error));
    return postgres_fail(db, NULL, error);
}

/* False: it is there, or cannot be made again now. */
static bool make_again(Postgres *db)
{
    if (db->base.in_transaction || !db->broken)
        return false;
    PQreset(db->connection);
    return settle(db, NULL);
}

static bool postgres_script(Db *base, const char *sql, GError **error)
{
    Postgres *db = (Postgres *)base;
    g_autoptr(GError) failure = NULL;
    bool done = run(db, sql, &failure);
    if (!done && make_again(db)) {
        g_clear_error(&failure);
        done = run(db, sql, &failure);
    }
    if (done)
        return true;
    g_propagate_error(error, g_steal_pointer(&failure));
    return false;
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

Db *db_open_postgres(const char *url, int busy_timeout_ms, GError **error)
{
    static const char *const NAMES[] = {"dbname", "application_name", "connect_timeout",
                                        "client_encoding", NULL};
    const char *const values[] = {url, "waybill", "10", "UTF8", NULL};
    Postgres *db = g_new0(Postgres, 1);
    g_autoptr(Db) base = &db->base;
    base->driver = &DRIVER;
    db->prepared = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    db->busy_timeout_ms = busy_timeout_ms;
    base->name = name_of(url, error);
    if (!base->name)
        return NULL;
    db->bell = bell_get(url);
    db->connection = PQconnectdbParams(NAMES, values, 1);
    return settle(db, error) ? g_steal_pointer(&base) : NULL;
}

/* -- transactions -- */

static void postgres_rollback(Db *base)
{
    Postgres *db = (Postgres *)base;
    if (PQtransactionStatus(db->connection) != PQTRANS_IDLE)
        run(db, "ROLLBACK", NULL);
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
    if (postgres_script(base, of_model ? of_model : access == DB_READS ? READ : WRITE, error))
        return true;
    postgres_rollback(base); /* the lock was not to be had */
    return false;
}

/* COMMIT of a transaction in which a statement failed rolls back, and is no error of the server. */
static bool postgres_commit(Db *base, GError **error)
{
    const Postgres *db = (const Postgres *)base;
    if (PQtransactionStatus(db->connection) == PQTRANS_INERROR) {
        g_set_error(error, DB_ERROR, DB_ERROR_FAILED,
                    "store %s: a statement of the transaction failed", base->name);
        return false;
    }
    if (!postgres_script(base, "COMMIT", error))
        return false;
    if (db->writing)
        bell_ring(db->bell);
    return true;
}

/* -- statements -- */

static const char *prepare(Postgres *db, const char *sql, const char *types, GError **error)
{
    const char *name = g_hash_table_lookup(db->prepared, sql);
    if (name)
        return name;
    Oid oids[DB_MAX_ARGUMENTS];
    for (int i = 0; types[i]; i++)
        oids[i] = types[i] == 's' ? TYPE_TEXT : TYPE_INT8;
    char *fresh = g_strdup_printf("w%u", g_hash_table_size(db->prepared));
    PGresult *result = PQprepare(db->connection, fresh, sql, (int)strlen(types), oids);
    if (!is_good(db, result, error)) {
        g_free(fresh);
        return NULL;
    }
    PQclear(result);
    g_hash_table_insert(db->prepared, g_strdup(sql), fresh);
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
        PQexecPrepared(db->connection, name, (int)strlen(types), texts, NULL, NULL, 0);
    return is_good(db, result, error) ? result : NULL;
}

static DbRows *postgres_query(Db *base, const char *sql, const char *types, const DbValue *values,
                              GError **error)
{
    Postgres *db = (Postgres *)base;
    g_autoptr(GError) failure = NULL;
    PGresult *result = execute(db, sql, types, values, &failure);
    if (!result && make_again(db)) {
        g_clear_error(&failure);
        result = execute(db, sql, types, values, &failure);
    }
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
    PGresult *result = PQexec(db->connection, FETCH);
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
    PGresult *result = PQexec(db->connection, FETCH);
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
    if (rows->is_cursor)
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

static bool postgres_listen(Db *base, GError **error)
{
    Postgres *db = (Postgres *)base;
    db->listens = true;
    return postgres_script(base, "LISTEN " BELL_CHANNEL, error);
}

static int postgres_socket(Db *base)
{
    const Postgres *db = (const Postgres *)base;
    return db->broken ? -1 : PQsocket(db->connection);
}

static bool postgres_heard(Db *base)
{
    Postgres *db = (Postgres *)base;
    bool heard = false;
    if (!db->broken && !PQconsumeInput(db->connection))
        db->broken = true;
    for (PGnotify *notify; (notify = PQnotifies(db->connection)); heard = true)
        PQfreemem(notify);
    return heard;
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
                                .listen = postgres_listen,
                                .socket = postgres_socket,
                                .heard = postgres_heard,
                                .copy_to = postgres_copy_to,
                                .check = postgres_check};
