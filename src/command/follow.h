/* Following an import in this process: its events as they are committed, and between them a
 * progress bar on a terminal.
 *
 * The worker runs in the calling thread and reports commits; a second thread draws the bar. Ctrl-C
 * hands the job back; a second one kills. */
#pragma once

#include "command/command.h"

#define FOLLOW_STOPPED (-1) /* progress.stop was set, by no signal: the job is handed back */

/* Works on the submission to its end and prints its events to `rows`: the session's standard
 * output, or its standard error. Returns the exit status,
 * or FOLLOW_STOPPED. */
int follow_work(Session *session, const Submission *submission, const Terminal *rows, bool json);
