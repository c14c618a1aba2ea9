#include "store/access_keys.h"

#include "base/clock.h"

#define USED_STEP_MS 600000

void access_key_free(AccessKey *access_key)
{
    if (!access_key)
        return;
    g_free(access_key->id);
    g_free(access_key->project);
    g_free(access_key->user);
    g_free(access_key->sealed);
    g_free(access_key);
}

/* What the secret is sealed for: it opens in its own row only. */
static char *belongs_to(const AccessKey *access_key)
{
    return g_strdup_printf("access key %s", access_key->id);
}

bool access_key_create(Db *db, const SealKey *key, AccessKey *access_key, char **secret,
                       GError **error)
{
    access_key->id = seal_random_text(ACCESS_KEY_ID_LENGTH, true, error);
    access_key->created_at = clock_now_ms();
    char *made = access_key->id ? seal_random_text(ACCESS_KEY_SECRET_LENGTH, false, error) : NULL;
    g_autofree char *owner = made ? belongs_to(access_key) : NULL;
    access_key->sealed = made ? seal_text(key, owner, made, error) : NULL;
    g_autoptr(DbTransaction) transaction = access_key->sealed ? db_transaction(db, error) : NULL;
    if (transaction &&
        db_exec(db, error,
                "INSERT INTO access_keys(id, secret, project, user_name, role, created_at, "
                "expires_at) VALUES ($1, $2, $3, $4, $5, $6, nullif($7, 0))",
                "sssssii", access_key->id, access_key->sealed, access_key->project,
                access_key->user, role_name(access_key->role), access_key->created_at,
                access_key->expires_at) &&
        db_commit(db, error)) {
        *secret = made;
        return true;
    }
    seal_forget(made);
    return false;
}

#define COLUMNS                                                                                 \
    "SELECT id, secret, project, user_name, role, created_at, expires_at, revoked_at, used_at " \
    "FROM access_keys "

/* A role that this program does not know may do least. */
static AccessKey *access_key_of_row(DbRows *rows)
{
    AccessKey *access_key = g_new0(AccessKey, 1);
    access_key->id = g_strdup(db_text(rows, 0));
    access_key->sealed = g_strdup(db_text(rows, 1));
    access_key->project = g_strdup(db_text(rows, 2));
    access_key->user = g_strdup(db_text(rows, 3));
    if (!role_of_name(db_text(rows, 4), &access_key->role))
        access_key->role = ROLE_READER;
    access_key->created_at = db_int(rows, 5);
    access_key->expires_at = db_int(rows, 6);
    access_key->revoked_at = db_int(rows, 7);
    access_key->used_at = db_int(rows, 8);
    return access_key;
}

GPtrArray *access_keys_list(Db *db, const char *project, GError **error)
{
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func((GDestroyNotify)access_key_free);
    GError *failure = NULL;
    g_autoptr(DbRows) rows =
        db_query(db, error, COLUMNS "WHERE $1 IS NULL OR project = $1 ORDER BY created_at, id", "s",
                 project);
    while (rows && db_next(rows, &failure))
        g_ptr_array_add(list, access_key_of_row(rows));
    if (failure)
        g_propagate_error(error, failure);
    return rows && !failure ? g_steal_pointer(&list) : NULL;
}

AccessKey *access_key_find(Db *db, const char *id, GError **error)
{
    g_autoptr(DbRows) rows = db_query(db, error, COLUMNS "WHERE id = $1", "s", id);
    return rows && db_next(rows, error) ? access_key_of_row(rows) : NULL;
}

char *access_key_secret(const AccessKey *access_key, const SealKey *key, GError **error)
{
    g_autofree char *owner = belongs_to(access_key);
    return seal_open(key, owner, access_key->sealed, error);
}

bool access_key_is_valid(const AccessKey *access_key, int64_t now)
{
    return !access_key->revoked_at && (!access_key->expires_at || now < access_key->expires_at);
}

bool access_key_revoke(Db *db, const char *id, bool *found, GError **error)
{
    int64_t count;
    g_autoptr(DbTransaction) transaction = db_transaction(db, error);
    if (!transaction ||
        !db_query_int(db, &count, 0, error,
                      "SELECT count(*) FROM access_keys WHERE id = $1 AND revoked_at IS NULL", "s",
                      id))
        return false;
    *found = count > 0;
    return db_exec(db, error,
                   "UPDATE access_keys SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL",
                   "si", id, clock_now_ms()) &&
           db_commit(db, error);
}

bool access_key_used(Db *db, const AccessKey *access_key, int64_t now, GError **error)
{
    if (now - access_key->used_at < USED_STEP_MS)
        return true;
    g_autoptr(DbTransaction) transaction = db_transaction(db, error);
    return transaction &&
           db_exec(db, error, "UPDATE access_keys SET used_at = $2 WHERE id = $1", "si",
                   access_key->id, now) &&
           db_commit(db, error);
}
