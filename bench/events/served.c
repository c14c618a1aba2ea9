/* bench-served append DIRECTORY URL CLIENTS EVENTS: so many threads append events to models of
 * their own in a store on a server, each event in a transaction as the pipeline's; says how many
 * seconds that took.
 *
 * bench-served tick DIRECTORY URL MODEL EVENTS: appends one event every 20 ms and says, after its
 * commit, its seq and the monotonic time in ms. Makes the model, says "ready", and begins with the
 * first line on its standard input. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "event/timeline.h"
#include "sample.h"
#include "store/attempts.h"
#include "store/data.h"
#include "store/models.h"

#define TICK_US 20000

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void die(const GError *error)
{
    fprintf(stderr, "bench-served: %s\n", error->message);
    exit(1);
}

static Db *open_store(const char *directory, const char *url)
{
    GError *error = NULL;
    DataDirectory *data = data_open(directory, true, 10000, &error);
    Db *db = data && data_use(data, url, &error) ? data_open_store(data, &error) : NULL;
    if (!db)
        die(error);
    return db;
}

static void make_model(Db *db, const char *id)
{
    GError *error = NULL;
    if (!db_begin(db, &error) ||
        !model_insert(db, id, PROJECT_DEFAULT, id, "0.0.1", 1, "Custom", "", "bench", &error) ||
        !attempt_insert(db, id, 1, "{}", &error) || !db_commit(db, &error))
        die(error);
}

static const SampleEvent *samples;

static int64_t append(Db *db, const char *id, int number)
{
    int64_t seq = 0;
    GError *error = NULL;
    const SampleEvent *sample = samples + number % SAMPLE_IMPORT_EVENTS;
    if (!db_begin_of(db, id, &error) ||
        !timeline_append(db, id, 1, sample->stage, sample->event, &seq, &error) ||
        !db_commit(db, &error))
        die(error);
    return seq;
}

typedef struct {
    Db *db;
    char *id;
    int events;
    pthread_t thread;
} Client;

static void *client_run(void *data)
{
    const Client *client = data;
    for (int i = 0; i < client->events; i++)
        append(client->db, client->id, i);
    return NULL;
}

static void append_all(const char *directory, const char *url, int count, int events)
{
    Client *clients = g_new0(Client, count);
    for (int i = 0; i < count; i++) {
        clients[i] =
            (Client){open_store(directory, url), g_uuid_string_random(), events / count, 0};
        make_model(clients[i].db, clients[i].id);
        append(clients[i].db, clients[i].id, 0); /* prepares the statements */
    }
    const double began = now();
    for (int i = 0; i < count; i++)
        pthread_create(&clients[i].thread, NULL, client_run, &clients[i]);
    for (int i = 0; i < count; i++)
        pthread_join(clients[i].thread, NULL);
    printf("%d %.6f\n", events / count * count, now() - began);
    for (int i = 0; i < count; i++)
        db_free(clients[i].db);
}

static void tick(const char *directory, const char *url, const char *model, int events)
{
    char line[16];
    Db *db = open_store(directory, url);
    make_model(db, model);
    printf("ready\n");
    fflush(stdout);
    if (!fgets(line, sizeof line, stdin))
        exit(1);
    for (int i = 0; i < events; i++) {
        g_usleep(TICK_US);
        const int64_t seq = append(db, model, i);
        printf("%" G_GINT64_FORMAT " %.3f\n", seq, now() * 1000);
        fflush(stdout);
    }
    db_free(db);
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fprintf(stderr, "usage: bench-served append DIRECTORY URL CLIENTS EVENTS\n"
                        "       bench-served tick DIRECTORY URL MODEL EVENTS\n");
        return 2;
    }
    samples = sample_timeline() + SAMPLE_IMPORT_FROM;
    if (strcmp(argv[1], "append") == 0)
        append_all(argv[2], argv[3], atoi(argv[4]), atoi(argv[5]));
    else
        tick(argv[2], argv[3], argv[4], atoi(argv[5]));
    return 0;
}
