#include "store/homes.h"

#include "store/leases.h"

#define MISSED_MS    "15000"      /* who was silent for so long was away */
#define FORGOTTEN_MS "2592000000" /* 30 days */

bool home_beat(Db *db, const DataDirectory *data, const char *worker, GError **error)
{
    return db_engine(db) == DB_SQLITE ||
           (db_exec(db, error,
                    "INSERT INTO homes(home, worker, since, seen) VALUES ($1, $2, " LEASES_NOW
                    ", " LEASES_NOW ") ON CONFLICT (home) DO UPDATE SET worker = excluded.worker, "
                    "since = CASE WHEN homes.seen < excluded.seen - " MISSED_MS " THEN "
                    "excluded.since ELSE homes.since END, seen = excluded.seen",
                    "ss", data_home(data), worker) &&
            db_exec(db, error, "DELETE FROM homes WHERE seen < " LEASES_NOW " - " FORGOTTEN_MS,
                    ""));
}

char *home_worker(Db *db, const char *home, int64_t *unseen_ms, GError **error)
{
    g_autoptr(DbRows) rows =
        db_query(db, error, "SELECT worker, " LEASES_NOW " - seen FROM homes WHERE home = $1", "s",
                 home);
    if (!rows || !db_next(rows, error))
        return NULL;
    *unseen_ms = db_int(rows, 1);
    return g_strdup(db_text(rows, 0));
}
