/* What each worker is doing, said anew at least every second or so. Of a store on a server a row
 * there, which counts for HEARTBEAT_ALIVE_MS; else a file of its own in DATA/run, which it holds a
 * lock on (as leases.h) as long as it lives.
 *
 * Nothing waits for the disk: a file says what is so now and is worth nothing once its worker is
 * gone. A record begins with its digest, so that one that is read while it is written is told from
 * a whole one. */
#pragma once

#include "store/data.h"

#define HEARTBEAT_ALIVE_MS 15000

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
/* serves: it is one of those that take the jobs of the queue. */
Pulse *pulse_begin(Db *db, DataDirectory *data, bool serves, GError **error);
/* db: any connection; NULL: it is not said that it is over, and so seen a little later. */
void pulse_end(Pulse *pulse, Db *db);
/* Sets `beaten` and `serves`. What cannot be written is left out: the worker looks older than it
 * is. */
void pulse_beat(Pulse *pulse, Db *db, Heartbeat *heartbeat);

/* Of every worker that is alive. Array of Heartbeat. */
GPtrArray *heartbeats_read(Db *db, DataDirectory *data);
