/* What is shown of an import that somebody else works on: the bar of its copy on a terminal, and on
 * standard error, once each, why it waits. */
#pragma once

#include "command/command.h"

typedef struct FollowProgress FollowProgress;
FollowProgress *follow_progress_new(Session *session, const Model *model, bool shown);
void follow_progress_free(FollowProgress *follow);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(FollowProgress, follow_progress_free)

/* Looks again. */
void follow_progress_look(FollowProgress *follow);
/* Between these two the terminal's line is free for rows. */
void follow_progress_hide(FollowProgress *follow);
void follow_progress_show(FollowProgress *follow);
