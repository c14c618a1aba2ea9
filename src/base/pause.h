/* The sleep of a thread that looks at something now and then, which whoever ends the thread cuts
 * short: a join waits for nothing. */
#pragma once

#include <pthread.h>
#include <stdbool.h>

typedef struct {
    pthread_mutex_t lock; /* of `ended` */
    pthread_cond_t changed;
    bool ended;
} Pause;

void pause_init(Pause *pause);
void pause_clear(Pause *pause);

/* Sleeps for so long, or until pause_end. True: it was ended. */
bool pause_wait(Pause *pause, int ms);
/* Ends the sleep, and every later one. */
void pause_end(Pause *pause);
