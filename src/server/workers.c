#include "server/workers.h"

#include <gio/gio.h>
#include <pthread.h>

#include "base/clock.h"
#include "base/pause.h"
#include "event/timeline.h"
#include "import/attendant.h"
#include "import/tags.h"
#include "import/unscheduled.h"
#include "store/homes.h"
#include "store/shared_settings.h"

#define TAGS_MS 60000
#define LOOK_MS 1000 /* how often the queue is looked at when nobody wakes */

typedef struct {
    Workers *workers;
    Service *service;
    pthread_t thread;
    bool started;
    int64_t job; /* 0: none */
} Worker;

struct Workers {
    pthread_mutex_t lock; /* of everything below, and of each worker's job */
    pthread_cond_t woken;
    bool wake, stopping;
    int count;
    bool home_only; /* it is one that takes nothing from others */
    Worker *all;
    /* Who looks for builds that no worker takes; each of them may be busy. */
    Service *watcher;
    TimelineWatch *listener; /* of the watcher's connection; NULL: others hear for it */
    pthread_t watch;
    bool watching;
    Pause pause; /* between two looks */
};

static bool is_taken(const Workers *workers, int64_t job)
{
    for (int i = 0; i < workers->count; i++)
        if (workers->all[i].job == job)
            return true;
    return false;
}

/* The lock is held. False: another worker of this process has it, or it is gone. */
static bool worker_pick(Worker *worker, int64_t id)
{
    Service *service = worker->service;
    g_autoptr(Job) job = is_taken(worker->workers, id) ? NULL : job_load(service->db, id, NULL);
    if (!job)
        return false;
    worker->job = id;
    progress_stage(&service->progress, NULL);
    attendant_say(service, service->db, id, job->model_id, job->attempt, NULL);
    return true;
}

static void worker_sleep(Workers *workers)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += LOOK_MS / 1000;
    while (!workers->wake && !workers->stopping)
        if (pthread_cond_timedwait(&workers->woken, &workers->lock, &until) != 0)
            break;
    workers->wake = false;
}

/* Whether it could be had: on another machine somebody may have been faster. */
static bool worker_work(Worker *worker)
{
    bool had = false;
    g_autoptr(GError) error = NULL;
    if (!import_work(worker->service, worker->job, &had, &error))
        g_warning("job %" G_GINT64_FORMAT ": %s", worker->job, error->message);
    return had;
}

static void worker_is_idle(Worker *worker)
{
    progress_stage(&worker->service->progress, NULL);
    attendant_say(worker->service, worker->service->db, 0, NULL, 0, NULL);
}

/* The first one in the queue that can be had, to its end. The lock is held. False: none. */
static bool worker_serve(Worker *worker)
{
    bool had = false;
    Workers *workers = worker->workers;
    Service *service = worker->service;
    g_autoptr(GArray) jobs =
        jobs_to_serve(service->db, service->data, service->home_only,
                      settings_int(service->settings, "build.schedule_timeout_seconds") * 1000,
                      NULL);
    for (guint i = 0; jobs && i < jobs->len && !had && !workers->stopping; i++) {
        if (!worker_pick(worker, g_array_index(jobs, int64_t, i)))
            continue;
        /* A cancelled import leaves its word behind. */
        service->progress.stop = false;
        pthread_mutex_unlock(&workers->lock);
        had = worker_work(worker);
        pthread_mutex_lock(&workers->lock);
        worker->job = 0;
        worker_is_idle(worker);
    }
    return had;
}

static void *worker_run(void *data)
{
    Worker *worker = data;
    Workers *workers = worker->workers;
    pthread_mutex_lock(&workers->lock);
    worker_is_idle(worker);
    while (!workers->stopping) {
        if (worker_serve(worker))
            continue;
        attendant_say(worker->service, worker->service->db, 0, NULL, 0, NULL);
        worker_sleep(workers);
    }
    pthread_mutex_unlock(&workers->lock);
    return NULL;
}

/* Until the next look, and wakes a worker whenever somebody committed something. */
static bool watch_pause(Workers *workers, TimelineWatch *watch)
{
    const int64_t next = clock_monotonic_ms() + LOOK_MS;
    if (!watch)
        return pause_wait(&workers->pause, LOOK_MS);
    for (int64_t now; (now = clock_monotonic_ms()) < next;) {
        if (timeline_watch_wait(watch, (int)(next - now)))
            workers_wake(workers);
        if (pause_wait(&workers->pause, 0))
            return true;
    }
    return false;
}

static void *watch_run(void *data)
{
    Workers *workers = data;
    Service *watcher = workers->watcher;
    int64_t tags_due = 0, beat_due = 0;
    g_autoptr(Unscheduled) unscheduled = unscheduled_new();
    do {
        g_autoptr(GError) of_settings = NULL;
        g_autoptr(GError) of_home = NULL;
        g_autoptr(GError) error = NULL;
        g_autoptr(GError) of_tags = NULL;
        const int64_t now = clock_monotonic_ms();
        /* Of a store that is away the next one tells. */
        if (!shared_settings_read(watcher->db, watcher->settings, &of_settings) &&
            !db_error_passes(of_settings))
            g_warning("settings of the store: %s", of_settings->message);
        if (!unscheduled_look(unscheduled, watcher, &error))
            g_warning("builds that no worker takes: %s", error->message);
        if (now >= beat_due) {
            beat_due = now + HOME_BEAT_MS;
            if (!home_beat(watcher->db, watcher->data, watcher->worker, &of_home) &&
                !db_error_passes(of_home))
                g_warning("that this node is there: %s", of_home->message);
        }
        if (now >= tags_due && !tags_look(watcher, &of_tags))
            g_warning("tags of images: %s", of_tags->message);
        if (now >= tags_due)
            tags_due = now + TAGS_MS;
    } while (!watch_pause(workers, workers->listener));
    return NULL;
}

static bool thread_start(pthread_t *thread, void *(*run)(void *data), void *data, GError **error)
{
    int failed = pthread_create(thread, NULL, run, data);
    if (failed)
        g_set_error(error, G_IO_ERROR, g_io_error_from_errno(failed), "a thread: %s",
                    g_strerror(failed));
    return !failed;
}

/* A connection to the store for one more thread. */
static Service *service_make(const WorkersOptions *options, GError **error)
{
    Service *service = service_open(options->directory, true, options->settings, error);
    if (!service)
        return NULL;
    service->leaves = true;
    service->serves = true; /* only settings count, not this user's own pip */
    service->committed = options->committed;
    service->committed_data = options->committed_data;
    return service;
}

static bool worker_start(Worker *worker, const WorkersOptions *options, GError **error)
{
    worker->service = service_make(options, error);
    if (!worker->service)
        return false;
    /* Who does not take what is in the queue is none of those that it waits for. */
    worker->service->home_only = worker->workers->home_only;
    if (!worker->service->home_only)
        worker->service->pulse =
            pulse_begin(worker->service->db, worker->service->data, true, error);
    worker->started = (worker->service->pulse || worker->service->home_only) &&
                      thread_start(&worker->thread, worker_run, worker, error);
    return worker->started;
}

static bool watch_start(Workers *workers, const WorkersOptions *options, GError **error)
{
    workers->watcher = service_make(options, error);
    /* Seen before it listens: what waits for this node is not given up any more. */
    if (!workers->watcher || !service_check_key(workers->watcher, error) ||
        !home_beat(workers->watcher->db, workers->watcher->data, workers->watcher->worker, error))
        return false;
    if (options->listens) {
        workers->listener = timeline_watch_new(workers->watcher->data, workers->watcher->db);
        if (!timeline_watch_listen(workers->listener, error))
            return false;
    }
    workers->watching = thread_start(&workers->watch, watch_run, workers, error);
    return workers->watching;
}

Workers *workers_start(const WorkersOptions *options, GError **error)
{
    g_autoptr(Workers) workers = g_new0(Workers, 1);
    pthread_mutex_init(&workers->lock, NULL);
    pthread_cond_init(&workers->woken, NULL);
    pause_init(&workers->pause);
    workers->home_only =
        options->count == 0 && db_is_served(settings_text(options->settings, "store.url"));
    workers->count = workers->home_only ? 1 : options->count;
    workers->all = g_new0(Worker, workers->count);
    for (int i = 0; i < workers->count; i++) {
        workers->all[i].workers = workers;
        if (!worker_start(&workers->all[i], options, error))
            return NULL;
    }
    return watch_start(workers, options, error) ? g_steal_pointer(&workers) : NULL;
}

const char *workers_name(const Workers *workers)
{
    return workers->watcher->worker;
}

void workers_wake(Workers *workers)
{
    pthread_mutex_lock(&workers->lock);
    workers->wake = true;
    pthread_cond_signal(&workers->woken);
    pthread_mutex_unlock(&workers->lock);
}

void workers_stop(Workers *workers)
{
    pthread_mutex_lock(&workers->lock);
    workers->stopping = true;
    for (int i = 0; i < workers->count; i++)
        if (workers->all[i].service)
            workers->all[i].service->progress.stop = true;
    pthread_cond_broadcast(&workers->woken);
    pthread_mutex_unlock(&workers->lock);
    pause_end(&workers->pause);
    if (workers->listener)
        timeline_watch_wake(workers->listener);
    if (workers->watcher)
        workers->watcher->progress.stop = true;
    if (workers->watching)
        pthread_join(workers->watch, NULL);
    workers->watching = false;
    for (int i = 0; i < workers->count; i++) {
        if (workers->all[i].started)
            pthread_join(workers->all[i].thread, NULL);
        workers->all[i].started = false;
    }
}

void workers_free(Workers *workers)
{
    if (!workers)
        return;
    workers_stop(workers);
    for (int i = 0; i < workers->count; i++)
        service_free(workers->all[i].service);
    timeline_watch_free(workers->listener);
    service_free(workers->watcher);
    g_free(workers->all);
    pause_clear(&workers->pause);
    pthread_cond_destroy(&workers->woken);
    pthread_mutex_destroy(&workers->lock);
    g_free(workers);
}

void workers_count(Workers *workers, int *alive, int *busy)
{
    *busy = 0;
    pthread_mutex_lock(&workers->lock);
    *alive = workers->home_only ? 0 : workers->count;
    for (int i = 0; i < *alive; i++)
        *busy += workers->all[i].job != 0;
    pthread_mutex_unlock(&workers->lock);
}
