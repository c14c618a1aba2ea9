#include "store/schema.h"

#include <gio/gio.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "config.h"
#include "store/schema-resource.h"

static const char *schema_text(const char *path)
{
    g_autoptr(GBytes) bytes = g_resource_lookup_data(schema_get_resource(), path, 0, NULL);
    g_assert(bytes);
    return g_bytes_get_data(bytes, NULL); /* static, and GResource puts a NUL behind it */
}

const Migration *schema_migrations(int *count)
{
    static Migration migrations[] = {{1, "spine", NULL},         {2, "file-digests", NULL},
                                     {3, "server", NULL},        {4, "access", NULL},
                                     {5, "keys", NULL},          {6, "maintenance", NULL},
                                     {7, "uploads", NULL},       {8, "progress", NULL},
                                     {9, "idempotency", NULL},   {10, "environments", NULL},
                                     {11, "registry", NULL},     {12, "artifacts", NULL},
                                     {13, "images-place", NULL}, {14, "dynamic", NULL},
                                     {15, "layer-scans", NULL}};
    for (size_t i = 0; i < G_N_ELEMENTS(migrations); i++) {
        g_autofree char *path = g_strdup_printf("/waybill/store/schema/%04d-%s.sql",
                                                migrations[i].number, migrations[i].name);
        migrations[i].sql = schema_text(path);
    }
    *count = G_N_ELEMENTS(migrations);
    return migrations;
}

int schema_newest(void)
{
    int count;
    const Migration *migrations = schema_migrations(&count);
    return migrations[count - 1].number;
}

bool schema_version(Db *db, int *version, GError **error)
{
    int64_t found = 0;
    *version = 0;
    if (!db_query_int(
            db, &found, 0, error,
            "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'migrations'", ""))
        return false;
    if (found && !db_query_int(db, &found, 0, error, "SELECT max(number) FROM migrations", ""))
        return false;
    *version = (int)found;
    return true;
}

static bool schema_refuse_newer(Db *db, int found, int known, GError **error)
{
    g_autoptr(DbRows) rows =
        db_query(db, error, "SELECT name, program FROM migrations WHERE number = $1", "i",
                 (int64_t)found);
    if (!rows || !db_next(rows, error))
        return false;
    g_set_error(
        error, DB_ERROR, DB_ERROR_NEWER,
        "the store has schema %d (%s), written by waybill %s; this is waybill %s, which knows "
        "schemas up to %d: use the newer program, or restore a backup",
        found, db_text(rows, 0), db_text(rows, 1), WAYBILL_VERSION, known);
    return false;
}

static bool migration_run(Db *db, const Migration *migration, GError **error)
{
    g_autoptr(DbTransaction) transaction = db_transaction(db, error);
    return transaction && db_script(db, migration->sql, error) &&
           db_exec(
               db, error,
               "INSERT INTO migrations(number, name, program, applied_at) VALUES ($1, $2, $3, $4)",
               "issi", (int64_t)migration->number, migration->name, WAYBILL_VERSION,
               clock_now_ms()) &&
           db_commit(db, error);
}

/* keep: where a copy of the store is put first; NULL: nowhere. */
static bool migration_apply(Db *db, const Migration *migration, const char *keep, GError **error)
{
    g_autofree char *copy = keep ? g_strdup_printf("%s.before-%d", keep, migration->number) : NULL;
    if (copy) {
        unlink(copy); /* of a migration that was interrupted */
        if (!db_copy_to(db, copy, error))
            return false;
    }
    if (migration_run(db, migration, error))
        return true;
    g_prefix_error(error, "migration %d (%s): ", migration->number, migration->name);
    return false;
}

/* Their numbers rise, with gaps perhaps. */
bool schema_migrate(Db *db, const Migration *migrations, int count, const char *keep,
                    GError **error)
{
    int version;
    const int newest = migrations[count - 1].number;
    if (!schema_version(db, &version, error))
        return false;
    if (version > newest)
        return schema_refuse_newer(db, version, newest, error);
    if (version == 0 &&
        !db_script(
            db,
            "CREATE TABLE IF NOT EXISTS migrations (number BIGINT PRIMARY KEY, name TEXT NOT NULL, "
            "program TEXT NOT NULL, applied_at BIGINT NOT NULL)",
            error))
        return false;
    const bool is_new = version == 0; /* there is nothing to lose yet */
    for (int i = 0; i < count; i++)
        if (migrations[i].number > version &&
            !migration_apply(db, &migrations[i], is_new ? NULL : keep, error))
            return false;
    return true;
}
