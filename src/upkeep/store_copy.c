#include "upkeep/store_copy.h"

#include <gio/gio.h>
#include <string.h>

#include "base/error_domain.h"
#include "store/model_changes.h"
#include "store/schema.h"

#define COLUMNS_MAX 32

/* key: what its rows are sorted by. own: a column that refers to rows of the same table, which is
 * written once all of them are there. */
typedef struct {
    const char *name, *key, *own;
} Table;

static const Table TABLES[] = {
    {"projects", "id"},
    {"models", "id"},
    {"attempts", "model_id, attempt"},
    {"stages", "model_id, attempt, stage"},
    {"events", "model_id, seq"},
    {"jobs", "id", "waits_for"},
    {"layers", "model_id, attempt, origin, position"},
    {"files", "model_id, attempt, path"},
    {"file_digests", "machine, device, inode, packed_as"},
    {"runtimes", "name"},
    {"build_log", "model_id, attempt, line"},
    {"tokens", "id", "parent"},
    {"audit", "id"},
    {"access_keys", "id"},
    {"credentials", "project, kind, host"},
    {"maintenance", "id"},
    {"uploads", "project, id"},
    {"upload_files", "directory, path"},
    {"upload_uses", "directory, model_id, attempt"},
    {"model_changes", "epoch"},
    {"idempotency_keys", "project, route, key"},
    {"environments", "key"},
    {"registry_blobs", "project, repository, digest"},
    {"registry_manifests", "project, repository, digest"},
    {"registry_needs", "project, repository, manifest, digest"},
    {"registry_tags", "project, repository, tag"},
    {"registry_uploads", "id"},
    {"artifact_blobs", "model_id, attempt, digest"},
    {"images_place", "id"},
    {"layer_scans", "digest"},
    {"gc_runs", "id"},
    {"settings", "key"},
};

DEFINE_ERROR_DOMAIN(store_copy_error);

const char *const *store_copy_tables(void)
{
    static const char *names[G_N_ELEMENTS(TABLES) + 1];
    for (size_t i = 0; i < G_N_ELEMENTS(TABLES); i++)
        names[i] = TABLES[i].name;
    return names;
}

/* -- a table -- */

typedef struct {
    const Table *table;
    int count, own; /* of the columns; own: the place of table->own, or -1 */
    char *names[COLUMNS_MAX];
    char types[COLUMNS_MAX + 1]; /* 's' or 'i' each */
} Columns;

static void columns_clear(Columns *columns)
{
    for (int i = 0; i < columns->count; i++)
        g_free(columns->names[i]);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Columns, columns_clear)

/* As the source has them. False: *error. */
static bool columns_read(Db *from, const Table *table, Columns *columns, GError **error)
{
    g_autofree char *sql = g_strdup_printf("SELECT * FROM %s LIMIT 0", table->name);
    g_autoptr(DbRows) rows = db_query(from, error, sql, "");
    *columns = (Columns){.table = table, .own = -1};
    if (!rows)
        return false;
    g_assert(db_columns(rows) <= COLUMNS_MAX);
    for (int i = 0; i < db_columns(rows); i++) {
        columns->names[i] = g_strdup(db_column_name(rows, i));
        columns->types[i] = db_column_is_text(rows, i) ? 's' : 'i';
        columns->count = i + 1;
        if (g_strcmp0(columns->names[i], table->own) == 0)
            columns->own = i;
    }
    return true;
}

static char *list_of(const Columns *columns, bool places)
{
    GString *list = g_string_new(NULL);
    for (int i = 0; i < columns->count; i++) {
        g_string_append(list, i ? ", " : "");
        if (places)
            g_string_append_printf(list, "$%d", i + 1);
        else
            g_string_append(list, columns->names[i]);
    }
    return g_string_free(list, FALSE);
}

static DbRows *stream(Db *db, const Columns *columns, GError **error)
{
    g_autofree char *list = list_of(columns, false);
    g_autofree char *sql = g_strdup_printf("SELECT %s FROM %s ORDER BY %s", list,
                                           columns->table->name, columns->table->key);
    return db_stream(db, error, sql);
}

static bool is_stopped(Progress *progress, GError **error)
{
    if (progress_stopped(progress))
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED, "interrupted");
    return progress_stopped(progress);
}

/* -- writing -- */

static void values_of(DbRows *rows, const Columns *columns, DbValue values[COLUMNS_MAX])
{
    for (int i = 0; i < columns->count; i++) {
        values[i].is_null = i == columns->own || db_is_null(rows, i);
        values[i].text = NULL;
        if (columns->types[i] == 'i')
            values[i].number = db_int(rows, i);
        else if (!values[i].is_null)
            values[i].text = db_text(rows, i);
    }
}

static bool write_rows(Db *from, Db *to, const Columns *columns, Progress *progress, int64_t *count,
                       GError **error)
{
    g_autofree char *list = list_of(columns, false);
    g_autofree char *places = list_of(columns, true);
    g_autofree char *sql =
        g_strdup_printf("INSERT INTO %s(%s) VALUES (%s)", columns->table->name, list, places);
    g_autoptr(GError) failure = NULL;
    g_autoptr(DbRows) rows = stream(from, columns, error);
    if (!rows)
        return false;
    bool written = true;
    while (written && db_next(rows, &failure)) {
        DbValue values[COLUMNS_MAX];
        values_of(rows, columns, values);
        written =
            !is_stopped(progress, error) && db_exec_values(to, error, sql, columns->types, values);
        *count += written;
    }
    if (!failure)
        return written;
    g_propagate_error(error, g_steal_pointer(&failure));
    return false;
}

/* What refers to rows of the same table. */
static bool write_own(Db *from, Db *to, const Columns *columns, GError **error)
{
    const Table *table = columns->table;
    if (!table->own)
        return true;
    g_autofree char *select = g_strdup_printf("SELECT %s, %s FROM %s WHERE %s IS NOT NULL",
                                              table->own, table->key, table->name, table->own);
    g_autofree char *update =
        g_strdup_printf("UPDATE %s SET %s = $1 WHERE %s = $2", table->name, table->own, table->key);
    const char of = columns->types[columns->own];
    const char types[] = {of, of, '\0'};
    GError *failure = NULL;
    g_autoptr(DbRows) rows = db_stream(from, error, select);
    while (rows && db_next(rows, &failure)) {
        const DbValue values[] = {{.text = of == 's' ? db_text(rows, 0) : NULL,
                                   .number = db_int(rows, 0)},
                                  {.text = of == 's' ? db_text(rows, 1) : NULL,
                                   .number = db_int(rows, 1)}};
        if (!db_exec_values(to, error, update, types, values))
            return false;
    }
    if (failure)
        g_propagate_error(error, failure);
    return rows && !failure;
}

/* PostgreSQL counts the numbers that it gives by itself. */
static bool go_on_counting(Db *to, const Columns *columns, GError **error)
{
    if (db_engine(to) != DB_POSTGRES || strcmp(columns->table->key, "id") != 0)
        return true;
    const char *name = columns->table->name;
    g_autofree char *sql = g_strdup_printf(
        "SELECT setval(pg_get_serial_sequence('%s', 'id'), (SELECT max(id) FROM %s)) "
        "WHERE pg_get_serial_sequence('%s', 'id') IS NOT NULL AND EXISTS (SELECT 1 FROM %s)",
        name, name, name, name);
    return columns->types[0] == 's' || db_script(to, sql, error);
}

/* -- comparing -- */

static bool fail_differs(const Columns *columns, DbRows *row, const char *what, GError **error)
{
    GString *key = g_string_new(NULL);
    for (int i = 0; row && i < MIN(columns->count, 3); i++)
        g_string_append_printf(key, "%s%s %s", i ? ", " : "", columns->names[i],
                               db_is_null(row, i) ? "NULL" : db_text(row, i));
    g_set_error(error, STORE_COPY_ERROR, STORE_COPY_ERROR_DIFFERS, "%s: %s%s%s",
                columns->table->name, what, row ? ": " : "", key->str);
    g_string_free(key, TRUE);
    return false;
}

static bool rows_are_equal(DbRows *a, DbRows *b, const Columns *columns)
{
    for (int i = 0; i < columns->count; i++) {
        if (db_is_null(a, i) != db_is_null(b, i))
            return false;
        const bool equal = columns->types[i] == 's' ? g_strcmp0(db_text(a, i), db_text(b, i)) == 0
                                                    : db_int(a, i) == db_int(b, i);
        if (!db_is_null(a, i) && !equal)
            return false;
    }
    return true;
}

static bool compare_rows(Db *from, Db *to, const Columns *columns, Progress *progress,
                         GError **error)
{
    g_autoptr(GError) failure = NULL;
    g_autoptr(DbRows) there = stream(from, columns, error);
    g_autoptr(DbRows) here = there ? stream(to, columns, error) : NULL;
    if (!here)
        return false;
    for (;;) {
        const bool more = db_next(there, &failure);
        const bool also = !failure && db_next(here, &failure);
        if (failure) {
            g_propagate_error(error, g_steal_pointer(&failure));
            return false;
        }
        if (is_stopped(progress, error))
            return false;
        if (more != also)
            return fail_differs(columns, more ? there : NULL, "a row is missing, or one too many",
                                error);
        if (!more)
            return true;
        if (!rows_are_equal(there, here, columns))
            return fail_differs(columns, there, "a row is another one than was read", error);
    }
}

/* -- all of them -- */

/* A store that was just made has its first project, and a number of no change. */
static bool target_is_empty(Db *to, GError **error)
{
    for (size_t i = 0; i < G_N_ELEMENTS(TABLES); i++) {
        const char *name = TABLES[i].name;
        const bool seeded = strcmp(name, "projects") == 0 || strcmp(name, "model_changes") == 0;
        g_autofree char *sql = g_strdup_printf("SELECT count(*) FROM %s", name);
        int64_t count;
        if (!db_query_int(to, &count, 0, error, sql, ""))
            return false;
        if (count > (seeded ? 1 : 0)) {
            g_set_error(error, STORE_COPY_ERROR, STORE_COPY_ERROR_TAKEN,
                        "%s is in use: its table %s has %" G_GINT64_FORMAT
                        " rows; expected a store that nothing was written to",
                        db_name(to), name, count);
            return false;
        }
    }
    return true;
}

static bool empty_seeded(Db *to, GError **error)
{
    return db_exec(to, error, "DELETE FROM projects", "") &&
           db_exec(to, error, "DELETE FROM model_changes", "");
}

static bool copy_table(Db *from, Db *to, const Table *table, Progress *progress, GArray *copied,
                       GError **error)
{
    g_auto(Columns) columns = {0};
    StoreCopied done = {table->name, 0};
    progress_file(progress, table->name);
    if (!columns_read(from, table, &columns, error) ||
        !write_rows(from, to, &columns, progress, &done.rows, error) ||
        !write_own(from, to, &columns, error) || !go_on_counting(to, &columns, error) ||
        !compare_rows(from, to, &columns, progress, error))
        return false;
    g_array_append_val(copied, done);
    return true;
}

static bool check_source(Db *from, GError **error)
{
    int version;
    if (!schema_version(from, &version, error))
        return false;
    if (version == schema_newest())
        return true;
    g_set_error(error, STORE_COPY_ERROR, STORE_COPY_ERROR_SOURCE,
                "%s has schema %d, this waybill copies schema %d%s", db_name(from), version,
                schema_newest(),
                version == 0                ? ": it is no store of Waybill's"
                : version < schema_newest() ? ": `waybill models` on it brings it there"
                                            : "");
    return false;
}

GArray *store_copy(Db *from, Db *to, Progress *progress, GError **error)
{
    int count;
    const Migration *migrations = schema_migrations(&count);
    g_autoptr(GArray) copied = g_array_new(FALSE, FALSE, sizeof(StoreCopied));
    if (!check_source(from, error) || !schema_migrate(to, migrations, count, NULL, error))
        return NULL;
    g_autoptr(DbSnapshot) snapshot = db_snapshot(from, error);
    g_autoptr(DbTransaction) transaction = snapshot ? db_transaction(to, error) : NULL;
    if (!transaction || !target_is_empty(to, error) || !empty_seeded(to, error))
        return NULL;
    for (size_t i = 0; i < G_N_ELEMENTS(TABLES); i++)
        if (!copy_table(from, to, &TABLES[i], progress, copied, error))
            return NULL;
    return model_changes_go_on(to, error) && db_commit(to, error) ? g_steal_pointer(&copied) : NULL;
}
