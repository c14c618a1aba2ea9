#include "store/postgres_bell.h"

#include <glib.h>
#include <libpq-fe.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#define AGAIN_US 500000 /* a server that is away */

struct Bell {
    char *url;
    int users; /* under the lock of all bells */
    pthread_t thread;
    bool started;         /* with the first ring: who only reads needs none */
    pthread_mutex_t lock; /* of the two that follow */
    pthread_cond_t changed;
    bool rung, ended;
};

static pthread_mutex_t bells_lock = PTHREAD_MUTEX_INITIALIZER;
static GHashTable *bells; /* address -> Bell */

Bell *bell_get(const char *url)
{
    pthread_mutex_lock(&bells_lock);
    if (!bells)
        bells = g_hash_table_new(g_str_hash, g_str_equal);
    Bell *bell = g_hash_table_lookup(bells, url);
    if (!bell) {
        bell = g_new0(Bell, 1);
        bell->url = g_strdup(url);
        pthread_mutex_init(&bell->lock, NULL);
        pthread_cond_init(&bell->changed, NULL);
        g_hash_table_insert(bells, bell->url, bell);
    }
    bell->users++;
    pthread_mutex_unlock(&bells_lock);
    return bell;
}

/* -- the thread -- */

static PGconn *bell_connect(const Bell *bell)
{
    static const char *const NAMES[] = {"dbname", "application_name", "connect_timeout", NULL};
    const char *const values[] = {bell->url, "waybill bell", "5", NULL};
    PGconn *connection = PQconnectdbParams(NAMES, values, 1);
    /* Nothing is worth waiting for the disk. */
    PQclear(PQexec(connection, "SET synchronous_commit = off"));
    return connection;
}

static bool bell_notify(PGconn *connection)
{
    PGresult *result = PQexec(connection, "NOTIFY " BELL_CHANNEL);
    const bool done = PQresultStatus(result) == PGRES_COMMAND_OK;
    PQclear(result);
    return done;
}

/* False: it has ended, and there is nothing left to say. */
static bool bell_wait(Bell *bell)
{
    pthread_mutex_lock(&bell->lock);
    while (!bell->rung && !bell->ended)
        pthread_cond_wait(&bell->changed, &bell->lock);
    const bool rung = bell->rung;
    bell->rung = false;
    pthread_mutex_unlock(&bell->lock);
    return rung;
}

static void *bell_run(void *data)
{
    Bell *bell = data;
    PGconn *connection = bell_connect(bell);
    while (bell_wait(bell)) {
        if (bell_notify(connection))
            continue;
        PQfinish(connection);
        connection = bell_connect(bell);
        if (!bell_notify(connection))
            g_usleep(AGAIN_US);
    }
    PQfinish(connection);
    return NULL;
}

/* -- its users -- */

void bell_ring(Bell *bell)
{
    pthread_mutex_lock(&bell->lock);
    if (!bell->started)
        bell->started = pthread_create(&bell->thread, NULL, bell_run, bell) == 0;
    bell->rung = true;
    pthread_cond_signal(&bell->changed);
    pthread_mutex_unlock(&bell->lock);
}

static void bell_free(Bell *bell)
{
    pthread_mutex_lock(&bell->lock);
    bell->ended = true;
    pthread_cond_signal(&bell->changed);
    pthread_mutex_unlock(&bell->lock);
    if (bell->started)
        pthread_join(bell->thread, NULL);
    pthread_cond_destroy(&bell->changed);
    pthread_mutex_destroy(&bell->lock);
    g_free(bell->url);
    g_free(bell);
}

void bell_release(Bell *bell)
{
    if (!bell)
        return;
    pthread_mutex_lock(&bells_lock);
    const bool last = --bell->users == 0;
    if (last)
        g_hash_table_remove(bells, bell->url);
    if (last && g_hash_table_size(bells) == 0)
        g_clear_pointer(&bells, g_hash_table_unref);
    pthread_mutex_unlock(&bells_lock);
    if (last)
        bell_free(bell);
}
