#include "server/aside.h"

#include <gio/gio.h>
#include <pthread.h>

#define THREADS      2
#define MOST_WAITING 256

typedef struct {
    struct MHD_Connection *connection;
    void (*run)(gpointer data);
    gpointer data;
    GDestroyNotify data_free;
    bool lent; /* nobody's state: it is freed here, and done whatever happens */
    bool done;
} Task;

struct Aside {
    pthread_mutex_t lock; /* of everything below */
    pthread_cond_t changed;
    GQueue waiting; /* of Task, the oldest first; borrowed: a request owns its own */
    bool stopping;
    int started;
    pthread_t threads[THREADS];
};

static void task_free(void *data)
{
    Task *task = data;
    task->data_free(task->data);
    g_free(task);
}

/* From here on the task belongs to the connection's thread. */
static void task_end(Task *task)
{
    struct MHD_Connection *connection = task->connection;
    if (task->lent)
        g_free(task);
    MHD_resume_connection(connection);
}

static void *aside_run(void *data)
{
    Aside *aside = data;
    pthread_mutex_lock(&aside->lock);
    while (!aside->stopping) {
        Task *task = g_queue_pop_head(&aside->waiting);
        if (!task) {
            pthread_cond_wait(&aside->changed, &aside->lock);
            continue;
        }
        pthread_mutex_unlock(&aside->lock);
        task->run(task->data);
        task->done = true;
        task_end(task);
        pthread_mutex_lock(&aside->lock);
    }
    pthread_mutex_unlock(&aside->lock);
    return NULL;
}

Aside *aside_new(GError **error)
{
    g_autoptr(Aside) aside = g_new0(Aside, 1);
    pthread_mutex_init(&aside->lock, NULL);
    pthread_cond_init(&aside->changed, NULL);
    g_queue_init(&aside->waiting);
    for (; aside->started < THREADS; aside->started++) {
        int failed = pthread_create(&aside->threads[aside->started], NULL, aside_run, aside);
        if (failed) {
            g_set_error(error, G_IO_ERROR, g_io_error_from_errno(failed), "a thread: %s",
                        g_strerror(failed));
            return NULL;
        }
    }
    return g_steal_pointer(&aside);
}

void aside_stop(Aside *aside)
{
    Task *task;
    if (!aside)
        return;
    pthread_mutex_lock(&aside->lock);
    aside->stopping = true;
    while ((task = g_queue_pop_head(&aside->waiting))) {
        if (task->lent)
            task->run(task->data);
        task_end(task);
    }
    pthread_cond_broadcast(&aside->changed);
    pthread_mutex_unlock(&aside->lock);
    for (; aside->started; aside->started--)
        pthread_join(aside->threads[aside->started - 1], NULL);
}

void aside_free(Aside *aside)
{
    if (!aside)
        return;
    aside_stop(aside);
    pthread_cond_destroy(&aside->changed);
    pthread_mutex_destroy(&aside->lock);
    g_free(aside);
}

void aside_lend(Aside *aside, struct MHD_Connection *connection, void (*run)(gpointer data),
                gpointer data)
{
    Task *task = g_new0(Task, 1);
    *task = (Task){.connection = connection, .run = run, .data = data, .lent = true};
    MHD_suspend_connection(connection);
    pthread_mutex_lock(&aside->lock);
    bool stopping = aside->stopping;
    if (!stopping) {
        g_queue_push_tail(&aside->waiting, task);
        pthread_cond_signal(&aside->changed);
    }
    pthread_mutex_unlock(&aside->lock);
    if (!stopping)
        return;
    run(data);
    task_end(task);
}

static HttpReply no_room(void)
{
    return http_again(
        http_error(MHD_HTTP_SERVICE_UNAVAILABLE, "ModelArts.0010",
                   "the server has too much to do, or stops: ask again in some seconds"),
        5);
}

HttpReply aside_begin(Aside *aside, HttpRequest *request, void (*run)(gpointer data), gpointer data,
                      GDestroyNotify data_free)
{
    Task *task = g_new0(Task, 1);
    *task = (Task){request->connection, run, data, data_free, false, false};
    request->state = task;
    request->state_free = task_free;
    pthread_mutex_lock(&aside->lock);
    bool taken = !aside->stopping && aside->waiting.length < MOST_WAITING;
    if (taken) {
        MHD_suspend_connection(request->connection);
        g_queue_push_tail(&aside->waiting, task);
        pthread_cond_signal(&aside->changed);
    }
    pthread_mutex_unlock(&aside->lock);
    return taken ? HTTP_WAITS : no_room();
}

bool aside_ended(const HttpRequest *request, gpointer *data, HttpReply *reply)
{
    const Task *task = request->state;
    *data = NULL;
    if (!task)
        return false;
    if (task->done)
        *data = task->data;
    else
        *reply = no_room();
    return true;
}
