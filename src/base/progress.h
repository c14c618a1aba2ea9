/* What a long copy is doing, written by the worker and read by whoever draws it, without a lock
 * between them. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct {
    _Atomic int64_t bytes_done;
    _Atomic int64_t bytes_total; /* 0: nothing is under way */
    atomic_bool stop;            /* set by a signal or a cancel: the worker ends at its next step */
} Progress;

void progress_begin(Progress *progress, int64_t bytes_total);
void progress_add(Progress *progress, int64_t bytes);
void progress_end(Progress *progress);
bool progress_stopped(Progress *progress);
