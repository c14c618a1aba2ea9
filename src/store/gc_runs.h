/* When gc last ran. Of a store that is one row, once a server looked or somebody ran it. Where
 * several nodes share a store (PostgreSQL), each data directory says the same of itself in a file,
 * DATA/gc.json: it goes where the directory goes, whatever the machine is called then, and with
 * it. */
#pragma once

#include "store/data.h"

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

/* The same of a data directory; what is no record of a run counts as none. Who writes what follows
 * from what was read holds data_lock_gc meanwhile. */
GcRun *gc_run_load_here(const DataDirectory *data, GError **error);
bool gc_run_put_here(DataDirectory *data, const GcRun *run, GError **error);
