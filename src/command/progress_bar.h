/* What a long work shows on a terminal.
 *
 * The bar is drawn by a thread of its own while the progress counts bytes, and is gone while it
 * does not. */
#pragma once

#include "base/progress.h"
#include "command/terminal.h"

typedef struct ProgressBar ProgressBar;
/* shown false: nothing is ever drawn, as on a terminal that is none. */
ProgressBar *progress_bar_new(const Terminal *terminal, Progress *progress, bool shown);
void progress_bar_free(ProgressBar *bar);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProgressBar, progress_bar_free)

/* What the steps of progress->step are called, and how many there are: a bar that counts those,
 * where there are no bytes to count. `name` returns static text. */
void progress_bar_steps(ProgressBar *bar, int count, const char *(*name)(int step, bool zh));

/* Between these two the terminal's line is free for rows. */
void progress_bar_hide(ProgressBar *bar);
void progress_bar_show(ProgressBar *bar);
