/* The connections of this process to a database of PostgreSQL's. A thread takes one for a statement
 * or a transaction and gives it back, so that a process has as many of them as work at once, and
 * not as many as it has threads: no more than store.connections. Who finds none waits.
 *
 * A server that cannot be reached is tried again after 50 ms, then after twice as long, up to a
 * second; who asks meanwhile is told at once what the last try was told. */
#pragma once

#include <libpq-fe.h>

#include "store/db.h"

typedef struct Pool Pool;

/* Settled, and of one thread while it is taken. */
typedef struct {
    PGconn *server;
    GHashTable *prepared; /* SQL text -> its name on the server */
    bool broken;          /* PQstatus does not always know (a write that failed) */
    int64_t idle_since;   /* monotonic ms */
} PoolConnection;

/* The process's pool for that address; every pool_get has its pool_release. `name` stands in
 * errors. busy_timeout_ms: how long a lock is waited for, and a connection. */
Pool *pool_get(const char *url, const char *name, int busy_timeout_ms, int connections);
/* The last one closes what is idle. */
void pool_release(Pool *pool);

/* NULL: *error, DB_ERROR_LOST or DB_ERROR_BUSY. */
PoolConnection *pool_take(Pool *pool, GError **error);
/* One that is broken is closed, and those that were idle beside it: they are the same server's. */
void pool_give(Pool *pool, PoolConnection *connection);
/* One that was taken is not the pool's from here on, which may have another instead. */
void pool_part(Pool *pool);
/* How many there are, and how many of them are taken. */
void pool_count(Pool *pool, int *open, int *taken);
void pool_connection_free(PoolConnection *connection);
