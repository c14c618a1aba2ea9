/* gc by itself: what a node does as gc.schedule says.
 *
 * Its turn is a row of the store (store/gc_runs.h), taken in a transaction. Where several nodes
 * share a store there are two turns, of the two parts of gc: that of the store, which one server
 * takes, and that of each data directory, a file in it, which one of its processes takes. A data
 * directory with a store of its own has one turn, of both.
 *
 * Where none ran yet the first turn is one interval after somebody first looked. One that failed,
 * or met somebody in the images, is done again after an hour; one that has not ended counts as dead
 * after six. */
#pragma once

#include "store/gc_runs.h"
#include "upkeep/gc.h"

/* When the next turn is, after the run that began at `last`, by a value of gc.schedule: off (0:
 * never), hourly, daily, weekly, or HH:MM of each day in the machine's zone. ms since 1970 UTC. */
int64_t gc_schedule_next(const char *schedule, int64_t last);
/* The same after this run, whatever became of it. */
int64_t gc_schedule_next_run(const char *schedule, const GcRun *run);

/* Whether that part has a turn of its own: both, or the store's alone, which then is of both. */
bool gc_schedule_has(const Db *db, GcPart part);
/* Runs gc where that turn has come, and notes what became of it; of the store's, for the audit
 * list, too. *run: the run, or NULL, it was not its turn. False: *error, the store or the directory
 * could not be used. service->progress.stop ends a wait for who works in the images. */
bool gc_schedule_look(Service *service, GcPart part, GcRun **run, GError **error);
/* When the part's turn was last; NULL with *error unset: never. */
GcRun *gc_schedule_last(Db *db, const DataDirectory *data, GcPart part, GError **error);
/* Notes one of both parts that somebody asked for, and that ended just now. */
bool gc_schedule_note(Service *service, int64_t began_at, const GcResult *result, GError **error);
