#include "store/maintenance.h"

#include "base/clock.h"

void maintenance_free(Maintenance *maintenance)
{
    if (!maintenance)
        return;
    g_free(maintenance->actor);
    g_free(maintenance->message);
    g_free(maintenance);
}

Maintenance *maintenance_load(Db *db, GError **error)
{
    GError *failure = NULL;
    g_autoptr(Maintenance) maintenance = g_new0(Maintenance, 1);
    g_autoptr(DbRows) rows =
        db_query(db, error,
                 "SELECT number, actor, message, since, until, ended_at FROM maintenance", "");
    if (!rows)
        return NULL;
    if (db_next(rows, &failure)) {
        maintenance->number = db_int(rows, 0);
        maintenance->actor = g_strdup(db_text(rows, 1));
        maintenance->message = g_strdup(db_text(rows, 2));
        maintenance->since = db_int(rows, 3);
        maintenance->until = db_int(rows, 4);
        maintenance->ended_at = db_int(rows, 5);
        maintenance->on =
            !maintenance->ended_at && (!maintenance->until || clock_now_ms() < maintenance->until);
    }
    if (failure) {
        g_propagate_error(error, failure);
        return NULL;
    }
    return g_steal_pointer(&maintenance);
}

/* Its end as a column: 0 is NULL. */
#define UNTIL "CASE WHEN $3 = 0 THEN NULL ELSE $3 END"

bool maintenance_begin(Db *db, const char *actor, const char *message, int64_t until,
                       GError **error)
{
    g_autoptr(Maintenance) now = maintenance_load(db, error);
    if (!now)
        return false;
    if (now->on)
        return db_exec(db, error, "UPDATE maintenance SET actor = $1, message = $2, until = " UNTIL,
                       "ssi", actor, message, until);
    return db_exec(db, error,
                   "INSERT INTO maintenance(id, number, actor, message, until, since) "
                   "VALUES (1, 1, $1, $2, " UNTIL ", $4) ON CONFLICT(id) DO UPDATE SET "
                   "number = maintenance.number + 1, actor = excluded.actor, "
                   "message = excluded.message, until = excluded.until, since = excluded.since, "
                   "ended_at = NULL",
                   "ssii", actor, message, until, clock_now_ms());
}

bool maintenance_end(Db *db, GError **error)
{
    return db_exec(db, error,
                   "UPDATE maintenance SET ended_at = $1 WHERE ended_at IS NULL AND "
                   "(until IS NULL OR until > $1)",
                   "i", clock_now_ms());
}

bool maintenance_count_held(Db *db, const Maintenance *maintenance, int64_t *held, GError **error)
{
    *held = 0;
    return !maintenance->on ||
           db_query_int(db, held, 0, error,
                        "SELECT count(*) FROM jobs WHERE state <> 'done' AND held_in = $1 AND "
                        "cancelled_by IS NULL",
                        "i", maintenance->number);
}
