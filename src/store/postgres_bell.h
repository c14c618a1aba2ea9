/* Tells everybody who listens (db_listen) that something was committed: NOTIFY, after the commit
 * and over a connection of its own. Inside of the transaction it would take a lock of the whole
 * database to its end, and cost more than half of the throughput. However many commits come while
 * it rings are one ring. What is lost is no harm: who listens looks by himself now and then. */
#pragma once

#define BELL_CHANNEL "waybill"

typedef struct Bell Bell;

/* The process's bell for that address; every bell_get has its bell_release. */
Bell *bell_get(const char *url);
/* From any thread; never waits. */
void bell_ring(Bell *bell);
/* The last one waits until it has rung. */
void bell_release(Bell *bell);
