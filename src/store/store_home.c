#include "store/store_home.h"

#include <string.h>

static char *known_home(Db *db, GError **error)
{
    return db_query_text(db, error, "SELECT home FROM store_home", "");
}

static bool note_home(Db *db, const char *home, GError **error)
{
    g_autoptr(DbTransaction) transaction = db_transaction(db, error);
    return transaction &&
           db_exec(db, error,
                   "INSERT INTO store_home(id, home) VALUES (1, $1) ON CONFLICT (id) DO NOTHING",
                   "s", home) &&
           db_commit(db, error);
}

bool store_home_keep(Db *db, const char *home, GError **error)
{
    g_autofree char *known = known_home(db, error);
    if (known && !*known && note_home(db, home, error)) {
        g_free(known);
        known = known_home(db, error);
    }
    if (!known || !*known)
        return false;
    if (strcmp(known, home) == 0)
        return true;
    g_set_error(error, DB_ERROR, DB_ERROR_FAILED,
                "the images of store %s lie in the data directory %s (MACHINE:PATH), this is %s: "
                "with several, set images.url to a registry; if that one is gone for good: DELETE "
                "FROM store_home",
                db_name(db), known, home);
    return false;
}
