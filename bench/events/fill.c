/* bench-fill DATA MODELS WHOLE PATHS: a new store of so many models.
 *
 * WHOLE of them, spread evenly, have a timeline of SAMPLE_EVENTS events; PATHS becomes a file with
 * the path of each one's event list. The others have the three events of an import that failed. A
 * model's attempts lie apart, with those of AT_ONCE others between: nobody retries at once what has
 * failed. Nothing of this is made durable on the way: only what is there in the end is measured. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "sample.h"
#include "store/attempts.h"
#include "store/data.h"
#include "store/model_changes.h"
#include "store/models.h"

#define AT_ONCE    200
#define FEW_EVENTS 3

typedef struct {
    Db *db;
    const SampleEvent *samples;
    char *texts[SAMPLE_EVENTS];
    int64_t now;
    FILE *paths;
    int models, whole;
    GError *error;
} Fill;

typedef struct {
    char *id;
    int events;
} Filled;

static bool insert_model(Fill *fill, Filled *model, int number)
{
    g_autofree char *name = g_strdup_printf("model-%06d", number);
    /* Evenly spread: so many of the first N for every N. */
    bool whole = (int64_t)(number + 1) * fill->whole / fill->models >
                 (int64_t)number * fill->whole / fill->models;
    model->id = g_uuid_string_random();
    model->events = whole ? SAMPLE_EVENTS : FEW_EVENTS;
    int attempts = fill->samples[model->events - 1].attempt;
    if (whole)
        fprintf(fill->paths, "/v1/%s/models/%s/events\n", PROJECT_DEFAULT, model->id);
    if (!model_insert(fill->db, model->id, PROJECT_DEFAULT, name, "0.0.1", 1, "Custom", "", "bench",
                      &fill->error))
        return false;
    int64_t change;
    for (int attempt = 1; attempt <= attempts; attempt++)
        if (!attempt_insert(fill->db, model->id, attempt,
                            "{\"name\":\"bench\",\"source\":\"/models/bench\"}", &fill->error))
            return false;
    return db_exec(fill->db, &fill->error,
                   "UPDATE attempts SET outcome = 'failed' "
                   "WHERE model_id = $1",
                   "s", model->id) &&
           model_changes_next(fill->db, &change, &fill->error) &&
           db_exec(fill->db, &fill->error,
                   "UPDATE models SET last_seq = $2, last_time = $3, changed = $4 WHERE id = $1",
                   "siii", model->id, (int64_t)model->events, fill->now, change);
}

static bool insert_event(Fill *fill, const Filled *model, int index)
{
    const SampleEvent *sample = &fill->samples[index];
    const CatalogRow *row = event_row(sample->event);
    g_autofree char *id = g_uuid_string_random();
    sample_set_id(fill->texts[index], id);
    return db_exec(fill->db, &fill->error,
                   "INSERT INTO events(model_id, seq, attempt, occur_time, event_type, reason, "
                   "stage, event, kind, project) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
                   "siiissssss", model->id, (int64_t)(index + 1), (int64_t)sample->attempt,
                   fill->now, event_type_name(row->type), row->reason, sample->stage,
                   fill->texts[index], sample->event->kind, PROJECT_DEFAULT);
}

/* The events of one attempt. */
static bool insert_attempt(Fill *fill, const Filled *model, int attempt)
{
    bool done = true;
    for (int index = 0; done && index < model->events; index++)
        if (fill->samples[index].attempt == attempt)
            done = insert_event(fill, model, index);
    return done;
}

static bool insert_some(Fill *fill, int first, int count)
{
    Filled models[AT_ONCE] = {{0}};
    bool done = db_begin(fill->db, &fill->error);
    int attempts = fill->samples[SAMPLE_EVENTS - 1].attempt;
    for (int i = 0; done && i < count; i++)
        done = insert_model(fill, &models[i], first + i);
    for (int attempt = 1; done && attempt <= attempts; attempt++)
        for (int i = 0; done && i < count; i++)
            done = insert_attempt(fill, &models[i], attempt);
    for (int i = 0; i < count; i++)
        g_free(models[i].id);
    return done && db_commit(fill->db, &fill->error);
}

static bool fill_store(Fill *fill)
{
    fill->samples = sample_timeline();
    fill->now = clock_now_ms();
    for (int i = 0; i < SAMPLE_EVENTS; i++)
        fill->texts[i] = sample_json(&fill->samples[i], i + 1, fill->now);
    if (!db_script(fill->db, "PRAGMA synchronous = OFF; PRAGMA cache_size = -200000", &fill->error))
        return false;
    for (int number = 0; number < fill->models; number += AT_ONCE)
        if (!insert_some(fill, number, MIN(AT_ONCE, fill->models - number)))
            return false;
    for (int i = 0; i < SAMPLE_EVENTS; i++)
        free(fill->texts[i]);
    return db_script(fill->db, "PRAGMA wal_checkpoint(TRUNCATE)", &fill->error);
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: bench-fill DATA MODELS WHOLE PATHS\n");
        return 2;
    }
    Fill fill = {.models = atoi(argv[2]), .whole = atoi(argv[3]), .paths = fopen(argv[4], "w")};
    DataDirectory *data = data_open(argv[1], true, 1000, &fill.error);
    fill.db = data ? data_open_store(data, &fill.error) : NULL;
    bool done = fill.db && fill.paths && fill_store(&fill) && fclose(fill.paths) == 0;
    if (!done)
        fprintf(stderr, "bench-fill: %s\n", fill.error ? fill.error->message : argv[4]);
    g_clear_error(&fill.error);
    db_free(fill.db);
    data_free(data);
    return done ? 0 : 1;
}
