#include "server/keeper.h"

#include <gio/gio.h>
#include <pthread.h>
#include <string.h>

#include "base/pause.h"
#include "upkeep/gc_schedule.h"

#define LOOK_MS 60000

struct Keeper {
    Service *service;
    bool of_store;
    pthread_t thread;
    bool started;
    Pause pause; /* between two looks */
};

static void expire_uploads(Service *service)
{
    GcResult result = {0};
    g_autoptr(GError) error = NULL;
    if (!gc_uploads(service, false, &result, &error))
        g_warning("uploads that expired: %s", error->message);
}

/* A line says what became of it; one that went wrong is a warning. */
static void collect_garbage(Service *service, GcPart part)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GcRun) run = NULL;
    const char *what = part == GC_OF_STORE ? "gc by its schedule" : "gc of this data directory";
    if (!gc_schedule_look(service, part, &run, &error))
        g_warning("%s: %s", what, error->message);
    else if (run && strcmp(run->outcome, GC_RUN_FAILED) == 0)
        g_warning("%s: %s", what, run->result);
    else if (run)
        g_printerr("waybill: %s: %s\n", what, run->result);
}

static void *keep(void *data)
{
    Keeper *keeper = data;
    do {
        if (keeper->of_store) {
            expire_uploads(keeper->service);
            collect_garbage(keeper->service, GC_OF_STORE);
        }
        collect_garbage(keeper->service, GC_OF_DIRECTORY);
    } while (!pause_wait(&keeper->pause, LOOK_MS));
    return NULL;
}

Keeper *keeper_start(const KeeperOptions *options, GError **error)
{
    g_autoptr(Keeper) keeper = g_new0(Keeper, 1);
    pause_init(&keeper->pause);
    keeper->of_store = options->of_store;
    keeper->service = service_open(options->directory, false, options->settings, error);
    if (!keeper->service)
        return NULL;
    int failed = pthread_create(&keeper->thread, NULL, keep, keeper);
    keeper->started = !failed;
    if (keeper->started)
        return g_steal_pointer(&keeper);
    g_set_error(error, G_IO_ERROR, g_io_error_from_errno(failed), "a thread: %s",
                g_strerror(failed));
    return NULL;
}

void keeper_stop(Keeper *keeper)
{
    if (!keeper)
        return;
    pause_end(&keeper->pause);
    if (keeper->service)
        keeper->service->progress.stop = true;
    if (keeper->started)
        pthread_join(keeper->thread, NULL);
    service_free(keeper->service);
    pause_clear(&keeper->pause);
    g_free(keeper);
}
