/* What an engine has to do for db.h. db.c does the rest, the same for all of them. */
#pragma once

#include <stdarg.h>

#include "store/db.h"

typedef enum { DB_READS, DB_WRITES, DB_WRITES_MODEL } DbAccess;

typedef struct {
    DbEngine engine;
    void (*free)(Db *db);
    /* Of a transaction; one that writes takes its lock at once: the store's, or a model's. */
    bool (*begin)(Db *db, DbAccess access, const char *model_id, GError **error);
    bool (*commit)(Db *db, GError **error);
    void (*rollback)(Db *db);
    bool (*script)(Db *db, const char *sql, GError **error);
    /* NULL: *error. */
    DbRows *(*query)(Db *db, const char *sql, const char *types, const DbValue *values,
                     GError **error);
    /* The same of rows that may be very many, inside of a snapshot. */
    DbRows *(*stream)(Db *db, const char *sql, GError **error);
    bool (*next)(DbRows *rows, GError **error);
    int (*columns)(DbRows *rows);
    const char *(*column_name)(DbRows *rows, int column);
    bool (*column_is_text)(DbRows *rows, int column);
    bool (*is_null)(DbRows *rows, int column);
    int64_t (*number)(DbRows *rows, int column);
    const char *(*text)(DbRows *rows, int column);
    void (*rows_free)(DbRows *rows);
    int64_t (*data_version)(Db *db);
    bool (*keep_session)(Db *db, GError **error); /* NULL: it has one from the beginning */
    bool (*listen)(Db *db, GError **error);       /* NULL: it tells nothing */
    int (*socket)(Db *db);
    bool (*heard)(Db *db);
    void (*count_connections)(Db *db, int *open, int *taken); /* NULL: one each */
    bool (*copy_to)(Db *db, const char *path, GError **error);
    bool (*check)(Db *db, GError **error);
} DbDriver;

/* The first member of each engine's own. */
struct Db {
    const DbDriver *driver;
    char *name; /* for people: a path, an address without its password */
    bool in_transaction;
    void (*before_writing)(gpointer data);
    gpointer before_writing_data;
    DbGuard guard;
    gpointer guard_data;
};

struct DbRows {
    Db *db;
    bool ended;
};

#define DB_MAX_ARGUMENTS 32
