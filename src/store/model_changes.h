/* The number of a model's newest change: who has read every change up to one number and asks for
 * what lies behind it misses none, whoever made it and whatever was restarted in between.
 *
 * A number is given in the transaction of the change. SQLite has one writer at a time, so they
 * become visible in their order. A server has many: there it is the number of the transaction
 * (pg_current_xact_id), and only what is below every transaction that is still open is shown
 * (model_changes_last). Numbers belong to an epoch: a store that a backup brought back begins
 * another one. */
#pragma once

#include "store/db.h"

/* Within the caller's transaction: what models.changed is set to. */
bool model_changes_next(Db *db, int64_t *number, GError **error);
/* The same in SQL, of a store on a server. */
#define MODEL_CHANGE_THERE "(SELECT number FROM model_changes) + pg_current_xact_id()::text::bigint"

/* Of the newest change of any model that no older one can still precede. */
bool model_changes_last(Db *db, int64_t *number, GError **error);
/* Makes one when there is none yet, in a transaction of its own. The caller frees it. */
char *model_changes_epoch(Db *db, GError **error);
/* Of a store that was copied, or restored into another server: numbers go on behind those that its
 * models have. */
bool model_changes_go_on(Db *db, GError **error);
/* The next one who asks gets another. */
bool model_changes_end_epoch(Db *db, GError **error);

typedef struct {
    int64_t number;
    char *model_id, *name, *version, *type, *description;
    const char *status; /* model_status(); NULL: it was deleted */
    int attempt;
    int64_t created_at, last_seq;
    char *event; /* the newest event's JSON, or NULL */
} ModelChange;
void model_change_free(ModelChange *change);

/* The models of a project that changed after that number, each with its newest change only, the
 * oldest first, at most so many (but never some of one number only). What was deleted by a change
 * up to `known` is left out. Array of ModelChange. */
GPtrArray *model_changes_after(Db *db, const char *project, int64_t after, int64_t known, int most,
                               GError **error);
