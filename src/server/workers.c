#include "server/workers.h"

#include <gio/gio.h>
#include <pthread.h>

#include "base/pause.h"
#include "import/attendant.h"
#include "import/unscheduled.h"

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
    Worker *all;
    /* Who looks for builds that no worker takes; each of them may be busy. */
    Service *watcher;
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

/* The oldest job that no worker of this process has. The lock is held. */
static bool worker_pick(Worker *worker)
{
    Service *service = worker->service;
    g_autoptr(GArray) jobs = jobs_to_serve(service->db, service->data, NULL);
    for (guint i = 0; jobs && i < jobs->len; i++) {
        int64_t id = g_array_index(jobs, int64_t, i);
        g_autoptr(Job) job = is_taken(worker->workers, id) ? NULL : job_load(service->db, id, NULL);
        if (!job)
            continue;
        worker->job = id;
        progress_stage(&service->progress, NULL);
        attendant_say(service, id, job->model_id, job->attempt, NULL);
        return true;
    }
    return false;
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

static void worker_work(Worker *worker)
{
    g_autoptr(GError) error = NULL;
    if (!import_work(worker->service, worker->job, &error))
        g_warning("job %" G_GINT64_FORMAT ": %s", worker->job, error->message);
}

static void worker_is_idle(Worker *worker)
{
    progress_stage(&worker->service->progress, NULL);
    attendant_say(worker->service, 0, NULL, 0, NULL);
}

static void *worker_run(void *data)
{
    Worker *worker = data;
    Workers *workers = worker->workers;
    pthread_mutex_lock(&workers->lock);
    worker_is_idle(worker);
    while (!workers->stopping) {
        if (!worker_pick(worker)) {
            attendant_say(worker->service, 0, NULL, 0, NULL);
            worker_sleep(workers);
            continue;
        }
        /* A cancelled import leaves its word behind. */
        worker->service->progress.stop = false;
        pthread_mutex_unlock(&workers->lock);
        worker_work(worker);
        pthread_mutex_lock(&workers->lock);
        worker->job = 0;
        worker_is_idle(worker);
    }
    pthread_mutex_unlock(&workers->lock);
    return NULL;
}

static void *watch_run(void *data)
{
    Workers *workers = data;
    g_autoptr(Unscheduled) unscheduled = unscheduled_new();
    do {
        g_autoptr(GError) error = NULL;
        if (!unscheduled_look(unscheduled, workers->watcher, &error))
            g_warning("builds that no worker takes: %s", error->message);
    } while (!pause_wait(&workers->pause, LOOK_MS));
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
static Service *service_make(const char *directory, const Settings *settings,
                             void (*committed)(gpointer data), gpointer data, GError **error)
{
    Service *service = service_open(directory, true, settings, error);
    if (!service)
        return NULL;
    service->leaves_held = true;
    service->serves = true; /* only settings count, not this user's own pip */
    service->committed = committed;
    service->committed_data = data;
    return service;
}

Workers *workers_start(const char *directory, const Settings *settings, int count,
                       void (*committed)(gpointer data), gpointer data, GError **error)
{
    g_autoptr(Workers) workers = g_new0(Workers, 1);
    pthread_mutex_init(&workers->lock, NULL);
    pthread_cond_init(&workers->woken, NULL);
    pause_init(&workers->pause);
    workers->all = g_new0(Worker, count);
    workers->count = count;
    for (int i = 0; i < count; i++) {
        Worker *worker = &workers->all[i];
        worker->workers = workers;
        worker->service = service_make(directory, settings, committed, data, error);
        if (!worker->service)
            return NULL;
        worker->service->pulse = pulse_begin(worker->service->data, true, error);
        worker->started =
            worker->service->pulse && thread_start(&worker->thread, worker_run, worker, error);
        if (!worker->started)
            return NULL;
    }
    workers->watcher = service_make(directory, settings, committed, data, error);
    workers->watching =
        workers->watcher && thread_start(&workers->watch, watch_run, workers, error);
    if (!workers->watching)
        return NULL;
    return g_steal_pointer(&workers);
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
    for (int i = 0; i < workers->count; i++)
        *busy += workers->all[i].job != 0;
    *alive = workers->count;
    pthread_mutex_unlock(&workers->lock);
}
