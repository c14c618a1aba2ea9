/* Findings where CI systems show them: --format of `check` and `import`.
 *
 * One writer a format, each in a file of its own. A writer is given the findings with their places
 * as the checkout has them, and prints one whole document (github: commands among the rows). */
#pragma once

#include "command/command.h"

typedef struct {
    const json_t *event; /* borrowed */
    const char *reason;
    bool ends_it;      /* the import fails of it; else a hint */
    char *path;        /* as the checkout has it; NULL: the finding is about no file */
    int line, column;  /* from 1, columns in code points; 0: none */
    char *text;        /* what, found and expected, what to do: lines, in the user's language */
    char *fingerprint; /* SHA-256: the same in the next run, another of every finding of a report */
} FormatFinding;

typedef struct {
    FILE *out;
    Language language;
    const char *command; /* "check", "import" */
    const char *source;  /* as the request wrote it, without a leading ./ */
    GPtrArray *findings; /* of FormatFinding */
    guint errors;        /* how many of them end it */
} FormatReport;

typedef struct {
    const char *name;
    void (*write)(const FormatReport *report);
    bool among_rows; /* the rows stay on standard output; else they go to standard error */
} Format;

/* --format (name; NULL: not given), else what the CI system reads that runs this, unless standard
 * output is a terminal or --json was given. *format NULL: rows only. False: the reason was printed
 * (exit 2). */
bool format_choose(const Session *session, const char *name, bool json, const Format **format);
/* clang-format off */
#define FORMAT_OPTION(name) \
    {"format", 0, 0, G_OPTION_ARG_FILENAME, &(name), "github, gitlab, sarif, junit, markdown, or plain", "FORMAT"}
/* clang-format on */

/* Where the rows of a person go beside that format (NULL: none). */
const Terminal *format_rows(const Session *session, const Format *format);
/* Around those rows: nothing of them is a command to the CI system, whatever a package brings in.
 * Begin returns what end takes, and frees. */
char *format_rows_begin(const Session *session, const Format *format);
void format_rows_end(const Session *session, char *token);

/* Writes the findings among the events (an array of event objects). */
void format_write(const Session *session, const Format *format, const char *command,
                  const ImportRequest *request, const json_t *events);

void format_write_github(const FormatReport *report);
void format_write_gitlab(const FormatReport *report);
void format_write_sarif(const FormatReport *report);
void format_write_junit(const FormatReport *report);
void format_write_markdown(const FormatReport *report);
