/* What each worker on the data directory is doing: a file of its own in DATA/run, written anew at
 * least every second or so, which it holds a lock on (as leases.h) as long as it lives.
 *
 * Nothing waits for the disk: a file says what is so now and is worth nothing once its worker is
 * gone. A record begins with its digest, so that one that is read while it is written is told from
 * a whole one. */
#pragma once

#include "store/data.h"

typedef struct {
    char *worker; /* HOST/PID */
    bool serves;
    int64_t job;                     /* the import that it works on; 0: none */
    char *model_id;                  /* of it, or NULL */
    int attempt;                     /* of it */
    char *stage;                     /* or NULL */
    int64_t since;                   /* ms since 1970: when the stage began, or the idleness */
    int64_t bytes_done, bytes_total; /* total 0: nothing is being copied */
    int64_t rate;                    /* bytes a second; -1: not known */
    char *file;                      /* what is being copied, or NULL */
    int64_t beaten;                  /* clock_monotonic_ms() of the machine */
} Heartbeat;
void heartbeat_free(Heartbeat *heartbeat);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Heartbeat, heartbeat_free)

/* A worker's own file. */
typedef struct Pulse Pulse;
/* serves: it is one of a server's, which take the jobs of the queue. */
Pulse *pulse_begin(DataDirectory *data, bool serves, GError **error);
void pulse_end(Pulse *pulse);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Pulse, pulse_end)
/* Sets `beaten` and `serves`. What cannot be written is left out: the worker looks older than it
 * is. */
void pulse_beat(Pulse *pulse, Heartbeat *heartbeat);

/* Of every worker that is alive. Array of Heartbeat. */
GPtrArray *heartbeats_read(DataDirectory *data);
