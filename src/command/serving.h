/* What commands have in common that run until they are told to end: `serve`, `worker`. */
#pragma once

#include "command/command.h"

/* First of all: what ends them is waited for by serving_wait alone, not by a thread of theirs. */
void serving_begin(void);
/* It runs: tells systemd, and waits for SIGINT or SIGTERM. */
void serving_wait(void);

/* How many workers: as the option says, -1: or the setting; else one for each processor. */
int serving_workers(const Session *session, int option);
/* False: it was told why not. */
bool serving_workers_fit(int workers, int least);
