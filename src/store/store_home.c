#include "store/store_home.h"

#include <fcntl.h>
#include <string.h>

#include "base/io.h"

static char *home_of(const char *directory)
{
    g_autoptr(GBytes) bytes = io_read_file(AT_FDCWD, "/etc/machine-id", 256, NULL);
    g_autofree char *machine =
        bytes ? g_strstrip(g_strndup(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes)))
              : g_strdup(g_get_host_name());
    return g_strconcat(machine, ":", directory, NULL);
}

/* "" : none yet. NULL: *error. */
static char *known_home(Db *db, GError **error)
{
    g_autoptr(GError) failure = NULL;
    g_autoptr(DbRows) rows = db_query(db, error, "SELECT home FROM store_home", "");
    if (!rows)
        return NULL;
    char *home = g_strdup(db_next(rows, &failure) ? db_text(rows, 0) : "");
    if (!failure)
        return home;
    g_free(home);
    g_propagate_error(error, g_steal_pointer(&failure));
    return NULL;
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

bool store_home_keep(Db *db, const char *directory, GError **error)
{
    g_autofree char *ours = home_of(directory);
    g_autofree char *known = known_home(db, error);
    if (known && !*known && note_home(db, ours, error)) {
        g_free(known);
        known = known_home(db, error);
    }
    if (!known || !*known)
        return false;
    if (strcmp(known, ours) == 0)
        return true;
    g_set_error(error, DB_ERROR, DB_ERROR_FAILED,
                "store %s belongs to the data directory %s (MACHINE:PATH), this is %s: one works "
                "on it; if that one is gone for good: DELETE FROM store_home",
                db_name(db), known, ours);
    return false;
}
