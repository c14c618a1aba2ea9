#include "upkeep/backup.h"

#include <gio/gio.h>

#include "command/command.h"
#include "command/interrupt.h"
#include "command/progress_bar.h"

static int backup_failed(const GError *error)
{
    if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
        complain("interrupted");
        return EXIT_INTERRUPTED;
    }
    int status = complain_of(error);
    if (error->domain != BACKUP_ERROR)
        return status;
    switch ((BackupError)error->code) {
    case BACKUP_ERROR_DESTINATION:
    case BACKUP_ERROR_NO_BACKUP:
        return EXIT_USAGE;
    case BACKUP_ERROR_DAMAGED:
    case BACKUP_ERROR_REFUSED:
        return EXIT_FAILED;
    }
    return status;
}

static void backup_print(const Session *session, const Backup *backup, const char *en,
                         const char *zh)
{
    bool chinese = session->out.language == LANGUAGE_ZH;
    g_autofree char *size = format_bytes(backup->bytes);
    g_autofree char *time = format_time(&session->out, backup->created_at);
    if (session->quiet)
        return;
    printf(chinese ? "%s %s:%d 个模型版本,%d 个运行时,%d 条事件,%d 个 blob(%s)\n"
                   : "%s %s: model versions %d, runtimes %d, events %d, blobs %d (%s)\n",
           chinese ? zh : en, time, (int)backup->models, (int)backup->runtimes, (int)backup->events,
           (int)backup->blobs, size);
}

int command_backup(Session *session, int argc, char **argv)
{
    gboolean json = FALSE;
    const GOptionEntry entries[] = {{"json", 0, 0, G_OPTION_ARG_NONE, &json,
                                     "Print backup.json on one line", NULL},
                                    {NULL}};
    int status = session_parse(session, command_find("backup"), entries, &argc, &argv, 1, 1);
    if (status >= 0)
        return status;
    if (!session_open(session, false))
        return EXIT_UNREACHABLE;
    g_autoptr(GError) error = NULL;
    Progress *progress = &session->service->progress;
    g_auto(Interrupt) interrupt G_GNUC_UNUSED = interrupt_catch(progress);
    ProgressBar *bar = progress_bar_new(&session->err, progress, !session->quiet && !json);
    g_autoptr(Backup) backup = backup_make(session->service, argv[1], &error);
    progress_bar_free(bar);
    if (!backup)
        return backup_failed(error);
    if (json)
        print_json_line(backup_json(backup));
    else
        backup_print(session, backup, "saved as of", "已备份");
    return EXIT_DONE;
}

int command_restore(Session *session, int argc, char **argv)
{
    gboolean json = FALSE;
    const GOptionEntry entries[] = {{"json", 0, 0, G_OPTION_ARG_NONE, &json,
                                     "Print the backup's backup.json on one line", NULL},
                                    {NULL}};
    int status = session_parse(session, command_find("restore"), entries, &argc, &argv, 1, 1);
    if (status >= 0)
        return status;
    g_autoptr(GError) error = NULL;
    g_autofree char *directory = session_data_directory(session);
    Progress progress = {0};
    g_auto(Interrupt) interrupt G_GNUC_UNUSED = interrupt_catch(&progress);
    ProgressBar *bar = progress_bar_new(&session->err, &progress, !session->quiet && !json);
    g_autoptr(Backup) backup =
        backup_restore(argv[1], directory, session->settings, &progress, &error);
    progress_bar_free(bar);
    if (!backup)
        return backup_failed(error);
    if (json)
        print_json_line(backup_json(backup));
    else
        backup_print(session, backup, "restored the state of", "已恢复到");
    return EXIT_DONE;
}
