/* Ctrl-C and SIGTERM while a long work runs. */
#pragma once

#include "base/progress.h"

#include <glib.h>
#include <signal.h>
#include <stdbool.h>

/* What the signals did before. */
typedef struct {
    struct sigaction on_int;
    struct sigaction on_term;
} Interrupt;

/* The first Ctrl-C (or SIGTERM) sets progress->stop, the second one kills. Cleared before the
 * progress is freed: from then on the first one kills again. One at a time in a process. */
Interrupt interrupt_catch(Progress *progress);
void interrupt_clear(Interrupt *interrupt);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Interrupt, interrupt_clear)

bool interrupt_seen(void);
