/* The number of a model's newest change: who has read every change up to one number and asks for
 * what lies behind it misses none, whoever made it and whatever was restarted in between.
 *
 * A number is given in the transaction of the change, under the lock of one row, so that numbers
 * become visible in their order. Numbers belong to an epoch: a store that a backup brought back
 * begins another one. */
#pragma once

#include "store/db.h"

/* Within the caller's transaction: what is set to MODEL_CHANGED in an UPDATE of models gets this
 * number. */
bool model_changes_next(Db *db, GError **error);
#define MODEL_CHANGED "changed = (SELECT number FROM model_changes)"
/* Both, where nothing else of the row changes. */
bool model_changed(Db *db, const char *model_id, GError **error);

/* Of the newest change of any model. */
bool model_changes_last(Db *db, int64_t *number, GError **error);
/* Makes one when there is none yet, in a transaction of its own. The caller frees it. */
char *model_changes_epoch(Db *db, GError **error);
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
 * oldest first, at most so many. What was deleted by a change up to `known` is left out. Array of
 * ModelChange. */
GPtrArray *model_changes_after(Db *db, const char *project, int64_t after, int64_t known, int most,
                               GError **error);
