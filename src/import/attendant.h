/* A thread beside a worker while it works on an import: it looks whether somebody asked for the
 * import's cancel, which sets progress.stop, and says what the worker does (store/heartbeats.h). */
#pragma once

#include <pthread.h>

#include "base/pause.h"
#include "import/service.h"

typedef struct {
    Service *service; /* the worker's: of it only progress, data, worker, pulse are touched */
    int64_t import;   /* the job */
    pthread_t thread;
    bool running;
    Pause pause;
} Attendant;

/* Service and import are set. Without the thread a cancel is still seen, at the next stage. */
void attendant_start(Attendant *attendant);
void attendant_stop(Attendant *attendant);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Attendant, attendant_stop)

/* Says once what the worker does, over the calling thread's connection; job 0: nothing. rate may be
 * NULL. */
void attendant_say(Service *service, Db *db, int64_t job, const char *model_id, int attempt,
                   ProgressRate *rate);
