#include "base/pause.h"

#include <time.h>

void pause_init(Pause *pause)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&pause->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&pause->lock, NULL);
    pause->ended = false;
}

void pause_clear(Pause *pause)
{
    pthread_cond_destroy(&pause->changed);
    pthread_mutex_destroy(&pause->lock);
}

bool pause_wait(Pause *pause, int ms)
{
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += ms / 1000;
    end.tv_nsec += (long)(ms % 1000) * 1000000;
    if (end.tv_nsec >= 1000000000) {
        end.tv_sec++;
        end.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&pause->lock);
    while (!pause->ended && pthread_cond_timedwait(&pause->changed, &pause->lock, &end) == 0)
        ;
    bool ended = pause->ended;
    pthread_mutex_unlock(&pause->lock);
    return ended;
}

void pause_end(Pause *pause)
{
    pthread_mutex_lock(&pause->lock);
    pause->ended = true;
    pthread_cond_signal(&pause->changed);
    pthread_mutex_unlock(&pause->lock);
}
