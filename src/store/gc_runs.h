/* When gc last ran: one row, once a server looked or somebody ran it. */
#pragma once

#include "store/db.h"

#define GC_RUN_WAITS   "waits"   /* none ran yet; began_at: since when its turn is waited for */
#define GC_RUN_RUNNING "running" /* or its process died */
#define GC_RUN_DONE    "done"
#define GC_RUN_BUSY    "busy" /* somebody worked in the images: the rest was done */
#define GC_RUN_FAILED  "failed"

typedef struct {
    int64_t began_at, ended_at; /* ms since 1970 UTC; 0: not yet */
    char *outcome, *worker;
    char *result; /* what it removed, or what failed: for people */
} GcRun;
void gc_run_free(GcRun *run);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(GcRun, gc_run_free)

/* NULL with *error unset: there is none. */
GcRun *gc_run_load(Db *db, GError **error);
/* Within the caller's transaction: it is the newest. ended_at 0: it has not ended. */
bool gc_run_put(Db *db, const GcRun *run, GError **error);
