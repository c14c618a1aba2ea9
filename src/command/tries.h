/* How long and how often a command works on an import: --timeout and --retries.
 *
 * The time counts from the submission, over all attempts and the waits between them. When it is
 * over, the import is handed back as with Ctrl-C, to be resumed. */
#pragma once

#include "command/follow.h"

typedef struct {
    int retries;   /* further attempts, of what may simply be tried again */
    char *timeout; /* as it was given; NULL: none */
    int64_t timeout_ms;
} Tries;
void tries_clear(Tries *tries);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Tries, tries_clear)

/* clang-format off */
#define TRIES_OPTIONS(tries)                                                                                           \
    {"retries", 0, 0, G_OPTION_ARG_INT, &(tries).retries, "Try again so often, what may simply be tried again (0)", "N"}, \
    {"timeout", 0, 0, G_OPTION_ARG_FILENAME, &(tries).timeout, "Stop after so long, such as 90s, 5m, 1h (no limit)", "DURATION"}
/* clang-format on */

/* --timeout TEXT in ms; least: the shortest that is taken. False: it is none, which was printed
 * (exit 2). */
bool timeout_read(const char *text, int64_t least_ms, int64_t *ms);
/* False: an option has no sense, which was printed (exit 2). */
bool tries_read(Tries *tries);

/* Works on the submission as follow_work does, as often and as long as that. The submission is then
 * the newest attempt's. Returns the exit status. */
int tries_follow(Session *session, Submission *submission, const Tries *tries, const Terminal *rows,
                 bool json);
/* The same in a process of its own, in the background. doing: "importing", what is printed of it.
 */
int tries_detach(Session *session, Submission *submission, const Tries *tries, const char *doing,
                 bool json);
