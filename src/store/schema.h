/* The store's schema: numbered migrations, each run once, in a transaction, at start.
 *
 * Before a migration changes a store that holds data, a copy of it is kept beside it. A store that
 * a newer program wrote is refused by name, unless that says that its migrations only added what
 * this program does not know: nodes of a store are replaced one after the other. */
#pragma once

#include "store/db.h"

typedef struct {
    int number; /* ascending from 1; a number that was given up stays a gap */
    const char *name;
    const char *sql;
    int works_with; /* programs up from that schema may go on beside it; 0: none before it */
} Migration;

/* Those of this program; *count of them. */
const Migration *schema_migrations(int *count);
/* The number of the last of them. */
int schema_newest(void);

/* Brings the store to the last of the migrations. `keep` names the copy's path without its number;
 * NULL keeps none. */
bool schema_migrate(Db *db, const Migration *migrations, int count, const char *keep,
                    GError **error);

/* The number of the newest migration that was run; 0: none. */
bool schema_version(Db *db, int *version, GError **error);
