#include "command/interrupt.h"

static Progress *interrupted_progress;
static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal_number)
{
    interrupted = signal_number;
    interrupted_progress->stop = true;
}

Interrupt interrupt_catch(Progress *progress)
{
    Interrupt before;
    const struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND};
    interrupted_progress = progress;
    sigaction(SIGINT, &action, &before.on_int);
    sigaction(SIGTERM, &action, &before.on_term);
    return before;
}

void interrupt_clear(Interrupt *interrupt)
{
    sigaction(SIGINT, &interrupt->on_int, NULL);
    sigaction(SIGTERM, &interrupt->on_term, NULL);
}

bool interrupt_seen(void)
{
    return interrupted != 0;
}
