/* The command line: one row a verb, one file a verb.
 *
 * Common options may stand before or after the command; no command reuses their names. Exit
 * statuses are the specification's. */
#pragma once

#include "command/remote.h"
#include "command/terminal.h"
#include "import/import.h"

enum {
    EXIT_DONE = 0,
    EXIT_FAILED = 1, /* the import (check, doctor, verify) failed and says why; no such model */
    EXIT_USAGE = 2,  /* wrong usage, a fault in the request itself, a version that is taken */
    EXIT_UNREACHABLE = 3, /* the store or the data directory could not be reached or used */
    EXIT_INTERRUPTED = 130
};

/* What every command is given. */
typedef struct {
    /* as they were given; NULL: not */
    char *data, *config_file, *language, *color, *project, *server;
    char **sets;
    gboolean quiet, utc, help;

    Settings *settings;
    Terminal out, err;
    Service *service; /* after session_open; of a server: its mirror (command/mirror.h) */
    Remote *remote;   /* the server that is talked to; NULL: the data directory is worked on */
} Session;

typedef struct {
    const char *name;
    const char *arguments; /* "SOURCE", "MODEL", "[REASON]" */
    const char *summary;   /* one line */
    const char *details;   /* further lines of --help, or NULL */
    int (*run)(Session *session, int argc, char **argv);
    bool remote; /* works with a server too */
} Command;

extern const Command COMMANDS[]; /* ended by a row without a name */

/* Parses the command's own options and the common ones, loads the settings, prints --help. Returns
 * -1 to go on, else the exit status. What is left in argv[1..] are the arguments; most: how many of
 * them there may be, least: must be. */
int session_parse(Session *session, const Command *command, const GOptionEntry *entries, int *argc,
                  char ***argv, int least, int most);

/* Opens the data directory; `create`: makes it. False: the reason was printed (exit 3). */
bool session_open(Session *session, bool create);
/* The directory as --data, WAYBILL_DATA or the default say. The caller frees it. */
char *session_data_directory(const Session *session);
const char *session_project(const Session *session);
/* MODEL, or NULL: the reason was printed and *status set. */
Model *session_model(Session *session, const char *text, int *status);
/* The same among those that were deleted. */
Model *session_model_deleted(Session *session, const char *text, int *status);

/* "waybill: MESSAGE" on standard error. */
void complain(const char *format, ...) G_GNUC_PRINTF(1, 2);
/* The error printed, and the exit status that it means. */
int complain_of(const GError *error);
/* Who runs this: the user's name. */
const char *session_actor(void);
/* One JSON value as one line on standard output, flushed. Takes the value over. */
void print_json_line(json_t *value);

const Command *command_find(const char *name);

int command_import(Session *session, int argc, char **argv);
int command_init(Session *session, int argc, char **argv);
int command_check(Session *session, int argc, char **argv);
int command_retry(Session *session, int argc, char **argv);
int command_update(Session *session, int argc, char **argv);
int command_cancel(Session *session, int argc, char **argv);
int command_delete(Session *session, int argc, char **argv);
int command_events(Session *session, int argc, char **argv);
int command_wait(Session *session, int argc, char **argv);
int command_models(Session *session, int argc, char **argv);
int command_diff(Session *session, int argc, char **argv);
int command_report(Session *session, int argc, char **argv);
int command_show(Session *session, int argc, char **argv);
int command_try(Session *session, int argc, char **argv);
int command_key(Session *session, int argc, char **argv);
int command_copy(Session *session, int argc, char **argv);
int command_log(Session *session, int argc, char **argv);
int command_explain(Session *session, int argc, char **argv);
int command_runtime(Session *session, int argc, char **argv);
int command_templates(Session *session, int argc, char **argv);
int command_gc(Session *session, int argc, char **argv);
int command_setting(Session *session, int argc, char **argv);
int command_maintenance(Session *session, int argc, char **argv);
int command_du(Session *session, int argc, char **argv);
int command_workers(Session *session, int argc, char **argv);
int command_verify(Session *session, int argc, char **argv);
int command_backup(Session *session, int argc, char **argv);
int command_restore(Session *session, int argc, char **argv);
int command_store(Session *session, int argc, char **argv);
int command_token(Session *session, int argc, char **argv);
int command_audit(Session *session, int argc, char **argv);
int command_serve(Session *session, int argc, char **argv);
int command_worker(Session *session, int argc, char **argv);
int command_access_key(Session *session, int argc, char **argv);
int command_credential(Session *session, int argc, char **argv);
int command_doctor(Session *session, int argc, char **argv);
