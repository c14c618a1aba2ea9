#include <locale.h>
#include <string.h>

#include "build/deputy.h"
#include "build/sandbox_helper.h"
#include "build/userns_run.h"
#include "command/command.h"
#include "config.h"

static void print_commands(FILE *out)
{
    fputs("Waybill imports machine-learning models into container images, and explains\n"
          "every step.\n\n"
          "usage: waybill COMMAND [ARGUMENT…] [OPTION…]\n\n",
          out);
    for (const Command *command = COMMANDS; command->name; command++)
        fprintf(out, "  %-11s %s\n", command->name, command->summary);
    fputs("\nCommon options, before or after the command: --data DIR, --server URL,\n"
          "--project NAME, --config-file FILE, --set SECTION.KEY=VALUE, --lang en|zh,\n"
          "--color auto|always|never, --utc, --quiet, --help.\n"
          "More about a command: waybill COMMAND --help\n",
          out);
}

static const char *const COMMON_WITH_VALUE[] = {"--data", "--project", "--server", "--config-file",
                                                "--set",  "--lang",    "--color",  NULL};
static const char *const COMMON[] = {"--utc", "--quiet", "-q", NULL};

/* Where the command stands: behind the common options. 0: there is none. Those of them that take a
 * value are known by name, so that `--set version=1 import` finds import. */
static int command_position(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] != '-')
            return i;
        if (g_strv_contains(COMMON_WITH_VALUE, argv[i]))
            i++;
    }
    return 0;
}

static bool is_common_option(const char *argument)
{
    g_auto(GStrv) parts = g_strsplit(argument, "=", 2);
    return g_strv_contains(COMMON, argument) ||
           g_strv_contains(COMMON_WITH_VALUE, parts[0] ? parts[0] : "");
}

static int without_command(int argc, char **argv)
{
    const char *unknown = NULL;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--version") == 0) {
            puts("waybill " WAYBILL_VERSION);
            return EXIT_DONE;
        }
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            print_commands(stdout);
            return EXIT_DONE;
        }
        if (argv[i][0] == '-' && !is_common_option(argv[i]) && !unknown)
            unknown = argv[i];
    }
    if (unknown)
        complain("there is no option %s; waybill --help lists them", unknown);
    else if (argc > 1)
        complain("a command is missing");
    if (!unknown)
        print_commands(stderr);
    return EXIT_USAGE;
}

static int unknown_command(const char *name)
{
    complain("there is no command %s; waybill --help lists them", name);
    return EXIT_USAGE;
}

/* `waybill help import` is `waybill import --help`: argv[at] becomes the one, argv[at + 1] the
 * other. */
static void turn_help(char **argv, int at)
{
    static char option[] = "--help";
    argv[at] = argv[at + 1];
    argv[at + 1] = option;
}

/* What a program says beside its work stands as what it complains of does: one line. (GLib's own
 * writer tells the time by localtime, which is not for several threads.) What a registry says may
 * hold what a terminal obeys. */
static GLogWriterOutput log_line(GLogLevelFlags level, const GLogField *fields, gsize count,
                                 gpointer data G_GNUC_UNUSED)
{
    if (level & (G_LOG_LEVEL_INFO | G_LOG_LEVEL_DEBUG))
        return G_LOG_WRITER_HANDLED;
    for (gsize i = 0; i < count; i++)
        if (strcmp(fields[i].key, "MESSAGE") == 0) {
            g_autofree char *message = event_text(fields[i].value);
            fprintf(stderr, "waybill: %s\n", message);
        }
    return G_LOG_WRITER_HANDLED;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], SANDBOX_WORD) == 0)
        return sandbox_helper_main(argc - 2, argv + 2);
    if (argc > 1 && strcmp(argv[1], DEPUTY_WORD) == 0)
        return deputy_main(argc - 2, argv + 2);
    if (argc > 1 && strcmp(argv[1], USERNS_WORD) == 0)
        return userns_run_main(argv + 2);
    setlocale(LC_ALL, "");
    g_set_prgname("waybill");
    g_log_set_writer_func(log_line, NULL, NULL);
    int at = command_position(argc, argv);
    if (at == 0)
        return without_command(argc, argv);
    if (strcmp(argv[at], "help") == 0 && at + 1 == argc) {
        print_commands(stdout);
        return EXIT_DONE;
    }
    if (strcmp(argv[at], "help") == 0)
        turn_help(argv, at);
    const Command *command = command_find(argv[at]);
    if (!command)
        return unknown_command(argv[at]);

    /* The command's own parser sees everything but its name. */
    char **rest = g_new0(char *, (gsize)argc + 1);
    int count = 0;
    for (int i = 0; i < argc; i++)
        if (i != at)
            rest[count++] = argv[i];
    Session session = {0};
    char **arguments = rest;
    int status = command->run(&session, count, arguments);
    bool written = fflush(stdout) == 0 && !ferror(stdout);
    if (!written && status == EXIT_DONE) {
        complain("standard output could not be written");
        status = EXIT_UNREACHABLE;
    }
    remote_free(session.remote);
    service_free(session.service);
    settings_free(session.settings);
    g_free(session.data);
    g_free(session.config_file);
    g_free(session.language);
    g_free(session.color);
    g_free(session.project);
    g_free(session.server);
    g_strfreev(session.sets);
    g_free(rest);
    return status;
}
