#include "import/attendant.h"

#include <string.h>

#include "base/clock.h"
#include "store/jobs.h"

#define LOOK_MS  50
#define BEAT_MS  1000
#define AGAIN_MS 500

void attendant_say(Service *service, Db *db, int64_t job, const char *model_id, int attempt,
                   ProgressRate *rate)
{
    char file[PROGRESS_FILE_BYTES] = "";
    Progress *progress = &service->progress;
    int64_t now = clock_monotonic_ms();
    if (!service->pulse)
        return;
    if (job)
        progress_read_file(progress, file);
    g_autofree char *name = g_utf8_make_valid(file, -1);
    int64_t total = job ? progress->bytes_total : 0;
    Heartbeat heartbeat = {.worker = service->worker,
                           .job = job,
                           .model_id = (char *)model_id,
                           .attempt = attempt,
                           .stage = job ? (char *)progress->stage : NULL,
                           .since = clock_now_ms() - (now - progress->stage_began),
                           .bytes_done = MIN(progress->bytes_done, total),
                           .bytes_total = total,
                           .rate = rate && total ? progress_rate(rate, progress, now) : -1,
                           .file = *name ? name : NULL};
    pulse_beat(service->pulse, db, &heartbeat);
}

typedef struct {
    Db *db;
    Job *job;
    ProgressRate rate;
    int64_t version;          /* of the store, when the cancel was looked for */
    int64_t said, said_stage; /* monotonic ms: the last beat, and the stage that it named */
    int64_t renewed;          /* monotonic ms: the lease was, or could not be */
    bool failing;             /* to renew it, which was told */
} Watch;

static void watch_cancel(Watch *watch, const Attendant *attendant)
{
    int64_t now = db_data_version(watch->db);
    if (now == watch->version)
        return;
    watch->version = now;
    g_autofree char *cancelled_by = job_cancelled_by(watch->db, attendant->import, NULL);
    if (cancelled_by)
        attendant->service->progress.stop = true;
}

/* Every second, and at once when a stage begins. */
static void watch_say(Watch *watch, Service *service)
{
    int64_t now = clock_monotonic_ms(), stage = service->progress.stage_began;
    if (now - watch->said < BEAT_MS && stage == watch->said_stage)
        return;
    watch->said = now;
    watch->said_stage = stage;
    attendant_say(service, watch->db, watch->job->id, watch->job->model_id, watch->job->attempt,
                  &watch->rate);
}

/* What he does is another's: he stops. */
static void tell_lost(gpointer data)
{
    Service *service = data;
    service->lost = true;
    service->progress.stop = true;
}

/* Several times before it runs out. */
static void watch_renew(Watch *watch, Service *service)
{
    g_autoptr(GError) error = NULL;
    const int64_t now = clock_monotonic_ms();
    if (db_engine(watch->db) != DB_POSTGRES || now - watch->renewed < service->data->lease_ms / 4)
        return;
    watch->renewed = now;
    lease_renew(service->data, watch->db, tell_lost, service, &error);
    if (error && !watch->failing)
        g_warning("a lease could not be renewed: %s", error->message);
    watch->failing = error != NULL;
}

/* A store that is away at first is asked again. NULL: the work is over. */
static Db *attendant_connect(Attendant *attendant)
{
    for (;;) {
        Db *db = data_open_store(attendant->service->data, NULL);
        if (db || pause_wait(&attendant->pause, AGAIN_MS))
            return db;
    }
}

static void *attendant_run(void *data)
{
    Attendant *attendant = data;
    Service *service = attendant->service;
    /* A short import needs no second connection, and nobody sees it run. */
    if (pause_wait(&attendant->pause, LOOK_MS))
        return NULL;
    g_autoptr(Db) db = attendant_connect(attendant);
    g_autoptr(Job) job = db ? job_load(db, attendant->import, NULL) : NULL;
    if (!job)
        return NULL;
    Pulse *own = service->pulse ? NULL : pulse_begin(db, service->data, false, NULL);
    if (own)
        service->pulse = own;
    Watch watch = {.db = db, .job = job, .version = -1};
    do {
        watch_cancel(&watch, attendant);
        watch_say(&watch, service);
        watch_renew(&watch, service);
    } while (!pause_wait(&attendant->pause, LOOK_MS));
    if (own)
        service->pulse = NULL;
    pulse_end(own, db);
    return NULL;
}

void attendant_start(Attendant *attendant)
{
    pause_init(&attendant->pause);
    attendant->running = pthread_create(&attendant->thread, NULL, attendant_run, attendant) == 0;
}

void attendant_stop(Attendant *attendant)
{
    pause_end(&attendant->pause);
    if (attendant->running)
        pthread_join(attendant->thread, NULL);
    pause_clear(&attendant->pause);
}
