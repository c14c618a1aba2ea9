/* Maintenance: the service finishes what it is doing, and imports that would start wait.
 *
 * It goes on in windows: each begins when maintenance is switched on, and ends when it is switched
 * off or when its time is over. One that was told to wait is told so once in each window. */
#pragma once

#include "store/db.h"

typedef struct {
    bool on;                        /* at the moment when it was read */
    int64_t number;                 /* of the newest window; 0: there was none yet */
    char *actor;                    /* who switched it on */
    char *message;                  /* or NULL */
    int64_t since, until, ended_at; /* 0: open */
} Maintenance;

void maintenance_free(Maintenance *maintenance);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Maintenance, maintenance_free)

/* The newest window; NULL: *error. */
Maintenance *maintenance_load(Db *db, GError **error);

/* Within the caller's transaction. While a window is open, its message and its end are changed, and
 * it stays the same window. until 0: it ends when it is switched off. */
bool maintenance_begin(Db *db, const char *actor, const char *message, int64_t until,
                       GError **error);
/* Within the caller's transaction; nothing where none is open. */
bool maintenance_end(Db *db, GError **error);

/* Jobs of the queue that wait for the end of this window. */
bool maintenance_count_held(Db *db, const Maintenance *maintenance, int64_t *held, GError **error);
