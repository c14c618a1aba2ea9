#include "store/postgres_pool.h"

#include <pthread.h>
#include <string.h>

#include "base/clock.h"

/* A process that was stopped in the middle of a transaction keeps its locks no longer than that. */
#define PAUSED_MS  "10000"
#define IDLE_MS    60000 /* one that nobody needed for so long is closed */
#define FIRST_MS   50    /* between two tries to reach a server */
#define LONGEST_MS 1000

struct Pool {
    char *key, *url, *name;
    int busy_timeout_ms, connections;
    int users;            /* under the lock of all pools */
    pthread_mutex_t lock; /* of all that follows */
    pthread_cond_t given;
    GQueue idle;      /* PoolConnection; the head was given last */
    int open;         /* taken or idle */
    int wait_ms;      /* after the last try that failed; 0: it did not */
    int64_t retry_at; /* monotonic ms */
    char *failure;    /* what that try was told */
};

static pthread_mutex_t pools_lock = PTHREAD_MUTEX_INITIALIZER;
static GHashTable *pools; /* address and timeout -> Pool */

/* -- one connection -- */

/* What the server tells by the way ("table exists already, skipping") is nobody's. */
static void hear_nothing(void *user G_GNUC_UNUSED, const PGresult *result G_GNUC_UNUSED)
{
}

static bool settle(const Pool *pool, PGconn *server)
{
    g_autofree char *settings =
        g_strdup_printf("SET lock_timeout = %d; SET synchronous_commit = on; SET "
                        "standard_conforming_strings = on; SET timezone = 'UTC'; "
                        "SET idle_in_transaction_session_timeout = " PAUSED_MS,
                        pool->busy_timeout_ms);
    PQsetNoticeReceiver(server, hear_nothing, NULL);
    if (PQstatus(server) != CONNECTION_OK)
        return false;
    PGresult *result = PQexec(server, settings);
    const bool done = PQresultStatus(result) == PGRES_COMMAND_OK;
    PQclear(result);
    return done;
}

/* What stands before dbname is a default, which an address may overrule. A server that vanished
 * without a word is given up within half a minute. */
static PGconn *reach(const Pool *pool)
{
    static const char *const NAMES[] = {"application_name",
                                        "connect_timeout",
                                        "keepalives_idle",
                                        "keepalives_interval",
                                        "keepalives_count",
                                        "tcp_user_timeout",
                                        "dbname",
                                        "client_encoding",
                                        NULL};
    const char *const values[] = {"waybill", "10",      "10",   "5", "3",
                                  "25000",   pool->url, "UTF8", NULL};
    return PQconnectdbParams(NAMES, values, 1);
}

void pool_connection_free(PoolConnection *connection)
{
    g_hash_table_unref(connection->prepared);
    PQfinish(connection->server);
    g_free(connection);
}

/* -- the pool -- */

static Pool *pool_new(char *key, const char *url, const char *name, int busy_timeout_ms,
                      int connections)
{
    pthread_condattr_t monotonic;
    Pool *pool = g_new0(Pool, 1);
    pool->key = key;
    pool->url = g_strdup(url);
    pool->name = g_strdup(name);
    pool->busy_timeout_ms = busy_timeout_ms;
    pool->connections = connections;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&pool->given, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return pool;
}

static void pool_free(Pool *pool)
{
    g_queue_clear_full(&pool->idle, (GDestroyNotify)pool_connection_free);
    pthread_cond_destroy(&pool->given);
    pthread_mutex_destroy(&pool->lock);
    g_free(pool->failure);
    g_free(pool->name);
    g_free(pool->url);
    g_free(pool->key);
    g_free(pool);
}

Pool *pool_get(const char *url, const char *name, int busy_timeout_ms, int connections)
{
    char *key = g_strdup_printf("%d %d %s", busy_timeout_ms, connections, url);
    pthread_mutex_lock(&pools_lock);
    if (!pools)
        pools = g_hash_table_new(g_str_hash, g_str_equal);
    Pool *pool = g_hash_table_lookup(pools, key);
    if (pool) {
        g_free(key);
    } else {
        pool = pool_new(key, url, name, busy_timeout_ms, connections);
        g_hash_table_insert(pools, pool->key, pool);
    }
    pool->users++;
    pthread_mutex_unlock(&pools_lock);
    return pool;
}

void pool_release(Pool *pool)
{
    if (!pool)
        return;
    pthread_mutex_lock(&pools_lock);
    const bool last = --pool->users == 0;
    if (last)
        g_hash_table_remove(pools, pool->key);
    if (last && g_hash_table_size(pools) == 0)
        g_clear_pointer(&pools, g_hash_table_unref);
    pthread_mutex_unlock(&pools_lock);
    if (last)
        pool_free(pool);
}

/* -- what is taken -- */

/* Under the lock: an idle one, or NULL and a place for a new one. False: *error, there is neither.
 */
static bool take_place(Pool *pool, PoolConnection **connection, GError **error)
{
    const int64_t end = clock_monotonic_ms() + pool->busy_timeout_ms;
    const struct timespec until = {.tv_sec = end / 1000, .tv_nsec = end % 1000 * 1000000};
    while (g_queue_is_empty(&pool->idle) && pool->open >= pool->connections)
        if (pthread_cond_timedwait(&pool->given, &pool->lock, &until) != 0 &&
            g_queue_is_empty(&pool->idle) && pool->open >= pool->connections) {
            g_set_error(error, DB_ERROR, DB_ERROR_BUSY,
                        "store %s: all %d connections of this process (store.connections) were in "
                        "use for %d ms",
                        pool->name, pool->connections, pool->busy_timeout_ms);
            return false;
        }
    *connection = g_queue_pop_head(&pool->idle);
    if (!*connection && pool->wait_ms && clock_monotonic_ms() < pool->retry_at) {
        g_set_error(error, DB_ERROR, DB_ERROR_LOST, "store %s: %s", pool->name, pool->failure);
        return false;
    }
    pool->open += !*connection;
    return true;
}

/* Takes the server over. */
static PoolConnection *note_reached(Pool *pool, PGconn *server)
{
    PoolConnection *connection = g_new0(PoolConnection, 1);
    connection->server = server;
    connection->prepared = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    pthread_mutex_lock(&pool->lock);
    pool->wait_ms = 0;
    pthread_mutex_unlock(&pool->lock);
    return connection;
}

/* Half of the wait by chance: nodes that lost one server do not come back as one. */
static void note_failed(Pool *pool, const PGconn *server, GError **error)
{
    const char *message = PQerrorMessage(server);
    pthread_mutex_lock(&pool->lock);
    pool->open--;
    pool->wait_ms = pool->wait_ms ? MIN(2 * pool->wait_ms, LONGEST_MS) : FIRST_MS;
    pool->retry_at =
        clock_monotonic_ms() + pool->wait_ms / 2 + g_random_int_range(0, pool->wait_ms / 2 + 1);
    g_free(pool->failure);
    pool->failure = g_strndup(message, strcspn(message, "\n"));
    g_set_error(error, DB_ERROR, DB_ERROR_LOST, "store %s: %s", pool->name, pool->failure);
    pthread_cond_broadcast(&pool->given);
    pthread_mutex_unlock(&pool->lock);
}

PoolConnection *pool_take(Pool *pool, GError **error)
{
    PoolConnection *connection = NULL;
    pthread_mutex_lock(&pool->lock);
    const bool placed = take_place(pool, &connection, error);
    pthread_mutex_unlock(&pool->lock);
    if (!placed || connection)
        return connection;
    PGconn *server = reach(pool);
    if (settle(pool, server))
        return note_reached(pool, server);
    note_failed(pool, server, error);
    PQfinish(server);
    return NULL;
}

/* Under the lock: those that are to be closed, once it is given up. */
static void gather_closed(Pool *pool, PoolConnection *given, GQueue *closed)
{
    const int64_t now = clock_monotonic_ms();
    if (given->broken) {
        g_queue_push_tail(closed, given);
    } else {
        given->idle_since = now;
        g_queue_push_head(&pool->idle, given);
    }
    PoolConnection *oldest;
    while ((oldest = g_queue_peek_tail(&pool->idle)) &&
           (given->broken || now - oldest->idle_since > IDLE_MS))
        g_queue_push_tail(closed, g_queue_pop_tail(&pool->idle));
    pool->open -= (int)closed->length;
}

void pool_give(Pool *pool, PoolConnection *connection)
{
    GQueue closed = G_QUEUE_INIT;
    pthread_mutex_lock(&pool->lock);
    gather_closed(pool, connection, &closed);
    pthread_cond_broadcast(&pool->given);
    pthread_mutex_unlock(&pool->lock);
    g_queue_clear_full(&closed, (GDestroyNotify)pool_connection_free);
}

void pool_part(Pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->open--;
    pthread_cond_broadcast(&pool->given);
    pthread_mutex_unlock(&pool->lock);
}

void pool_count(Pool *pool, int *open, int *taken)
{
    pthread_mutex_lock(&pool->lock);
    *open = pool->open;
    *taken = pool->open - (int)pool->idle.length;
    pthread_mutex_unlock(&pool->lock);
}
