#include "command/serving.h"
#include "server/keeper.h"
#include "server/workers.h"

static const char NO_SERVER[] =
    "store.url is not set: a worker shares a store in PostgreSQL with others; on a data directory "
    "of its own `waybill serve` has workers";

int command_worker(Session *session, int argc, char **argv)
{
    int count = -1;
    const GOptionEntry entries[] = {{"workers", 0, 0, G_OPTION_ARG_INT, &count,
                                     "Work on so many imports at once (server.workers)", "N"},
                                    {NULL}};
    int status = session_parse(session, command_find("worker"), entries, &argc, &argv, 0, 0);
    if (status >= 0)
        return status;
    if (count != -1 && !serving_workers_fit(count, 1))
        return EXIT_USAGE;
    if (!db_is_served(settings_text(session->settings, "store.url"))) {
        complain("%s", NO_SERVER);
        return EXIT_USAGE;
    }
    serving_begin();
    g_autoptr(GError) error = NULL;
    g_autofree char *directory = session_data_directory(session);
    const WorkersOptions options = {.directory = directory,
                                    .settings = session->settings,
                                    .count = serving_workers(session, count),
                                    .listens = true};
    g_autoptr(Keeper) keeper = NULL; /* ends behind the workers: they hand back what they do */
    g_autoptr(Workers) workers = workers_start(&options, &error);
    const KeeperOptions here = {directory, session->settings, .of_store = false};
    keeper = workers ? keeper_start(&here, &error) : NULL;
    if (!keeper)
        return complain_of(error);
    if (!session->quiet)
        printf(session->out.language == LANGUAGE_ZH ? "工作进程 %s 已启动:%d 个\n"
                                                    : "worker %s: %d at once\n",
               workers_name(workers), options.count);
    fflush(stdout);
    serving_wait();
    return EXIT_DONE;
}
