/* gc by itself: what the server does as gc.schedule says.
 *
 * Its turn is a row of the store (store/gc_runs.h), taken in a transaction: of several servers on
 * one store one does it. On a store where none ran yet the first turn is one interval after a
 * server first looked. One that failed, or met somebody in the images, is done again after an hour;
 * one that has not ended counts as dead after six. */
#pragma once

#include "store/gc_runs.h"
#include "upkeep/gc.h"

/* When the next turn is, after the run that began at `last`, by a value of gc.schedule: off (0:
 * never), hourly, daily, weekly, or HH:MM of each day in the machine's zone. ms since 1970 UTC. */
int64_t gc_schedule_next(const char *schedule, int64_t last);
/* The same after this run, whatever became of it. */
int64_t gc_schedule_next_run(const char *schedule, const GcRun *run);

/* Runs gc where its turn has come, notes what became of it, for the audit list, too. *run: the run,
 * or NULL, it was not its turn. False: *error, the store could not be used. service->progress.stop
 * ends a wait for who works in the images. */
bool gc_schedule_look(Service *service, GcRun **run, GError **error);
/* Notes one that somebody asked for, and that ended just now. */
bool gc_schedule_note(Service *service, int64_t began_at, const GcResult *result, GError **error);
