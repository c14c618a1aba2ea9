/* The workers of a process: threads that take the import jobs of the queue, one each; and one that
 * ends the builds that none of them takes in time (import/unscheduled.h). */
#pragma once

#include "import/import.h"

typedef struct Workers Workers;
typedef struct {
    const char *directory;
    const Settings *settings; /* borrowed, as long as they work */
    /* 0 on a store that nodes share: one for what no other node can do, which is uploads as far as
     * they are read. */
    int count;
    /* Hears itself of what others commit; else workers_wake is called. */
    bool listens;
    /* Called after every commit that appended events, in the worker's thread; or NULL. */
    void (*committed)(gpointer data);
    gpointer committed_data;
} WorkersOptions;
Workers *workers_start(const WorkersOptions *options, GError **error);
/* HOST/PID. */
const char *workers_name(const Workers *workers);
/* There may be a new job. From any thread. */
void workers_wake(Workers *workers);
/* Running stages end at their next step and go back to the queue. */
void workers_stop(Workers *workers);
/* Stops them where that was not done. */
void workers_free(Workers *workers);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Workers, workers_free)

void workers_count(Workers *workers, int *alive, int *busy);
