#include "store/idempotency.h"

bool idempotency_find(Db *db, const IdempotencyKey *key, int64_t now, char **body_digest,
                      char **answer, GError **error)
{
    g_autoptr(GError) failure = NULL;
    *body_digest = *answer = NULL;
    g_autoptr(DbRows) rows = db_query(db, &failure,
                                      "SELECT body_digest, answer FROM idempotency_keys "
                                      "WHERE project = $1 AND route = $2 AND key = $3 "
                                      "AND expires_at > $4",
                                      "sssi", key->project, key->route, key->key, now);
    if (rows && db_next(rows, &failure)) {
        *body_digest = g_strdup(db_text(rows, 0));
        *answer = g_strdup(db_text(rows, 1));
    }
    if (!failure)
        return true;
    g_propagate_error(error, g_steal_pointer(&failure));
    return false;
}

bool idempotency_keep(Db *db, const IdempotencyKey *key, const char *body_digest,
                      const char *answer, int64_t now, GError **error)
{
    return db_exec(db, error, "DELETE FROM idempotency_keys WHERE expires_at <= $1", "i", now) &&
           db_exec(db, error,
                   "INSERT INTO idempotency_keys(project, route, key, body_digest, answer, "
                   "expires_at) VALUES ($1, $2, $3, $4, $5, $6)",
                   "sssssi", key->project, key->route, key->key, body_digest, answer,
                   now + IDEMPOTENCY_KEPT_MS);
}
