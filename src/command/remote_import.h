/* `import SOURCE --server URL`: the folder is uploaded and imported there. */
#pragma once

#include "command/command.h"

/* Sends the folder and asks for its import. -1: *submission is the server's, to be followed
 * (tries_follow), else the exit status. shown: with a progress bar. */
int remote_submit(Session *session, ImportRequest *request, bool shown, Submission *submission);
/* The next attempt of a model that failed, with what `changes` has of source (a folder, which is
 * sent, checked here), config_text, dependencies and from. Returns as remote_submit does. */
int remote_retry(Session *session, const Model *model, ImportRequest *changes, bool shown,
                 Submission *submission);
