/* Brings a store into another database: SQLite to PostgreSQL, and back.
 *
 * Everything is read of one state of the source and written in one transaction, which is committed
 * once every row was read again and found equal. The images are not in the store: they stay where
 * they are, as does secret.key, which seals what the store keeps of secrets. */
#pragma once

#include "base/progress.h"
#include "store/db.h"

#define STORE_COPY_ERROR (store_copy_error_quark())
GQuark store_copy_error_quark(void);
typedef enum {
    STORE_COPY_ERROR_SOURCE, /* it is no store, or of another schema than this program's */
    STORE_COPY_ERROR_TAKEN,  /* there is something in the target */
    STORE_COPY_ERROR_DIFFERS /* what was written is not what was read */
} StoreCopyError;

typedef struct {
    const char *table; /* static */
    int64_t rows;
} StoreCopied;

/* The target is migrated first. Array of StoreCopied; NULL: *error, and the target is as it was,
 * but for its schema. G_IO_ERROR_CANCELLED: stopped. */
GArray *store_copy(Db *from, Db *to, Progress *progress, GError **error);

/* The tables that are copied, each behind those that it refers to; NULL at the end. */
const char *const *store_copy_tables(void);
