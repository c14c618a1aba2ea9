#include "upkeep/report.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/io.h"
#include "command/command.h"

/* The file is there whole or not at all; one that was there is replaced. */
static int report_write(const Session *session, const char *path, const char *text)
{
    g_autoptr(GError) error = NULL;
    struct stat about;
    if (stat(path, &about) == 0 && !S_ISREG(about.st_mode)) {
        complain("--output %s: not a file", path);
        return EXIT_USAGE;
    }
    g_autofree char *directory = g_path_get_dirname(path);
    g_autofree char *name = g_path_get_basename(path);
    autofd fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        complain("--output %s: %s", path, g_strerror(errno));
        return EXIT_USAGE;
    }
    if (!io_replace_file(fd, name, text, strlen(text), 0644, &error)) {
        complain("--output %s: %s", path, error->message);
        return EXIT_UNREACHABLE;
    }
    if (!session->quiet)
        fprintf(stderr, session->err.language == LANGUAGE_ZH ? "报告已写入 %s\n" : "report: %s\n",
                path);
    return EXIT_DONE;
}

int command_report(Session *session, int argc, char **argv)
{
    g_autofree char *path = NULL;
    const GOptionEntry entries[] = {{"output", 'o', 0, G_OPTION_ARG_FILENAME, &path,
                                     "Write it to this file (standard output)", "FILE"},
                                    {NULL}};
    int status = session_parse(session, command_find("report"), entries, &argc, &argv, 1, 1);
    g_autoptr(Model) model = status < 0 ? session_model(session, argv[1], &status) : NULL;
    if (!model)
        return status;
    g_autoptr(GError) error = NULL;
    g_autofree char *text = report_make(session->service, model, session->out.language, &error);
    if (!text)
        return complain_of(error);
    if (path)
        return report_write(session, path, text);
    fputs(text, stdout);
    return fflush(stdout) == 0 ? EXIT_DONE : EXIT_UNREACHABLE;
}
