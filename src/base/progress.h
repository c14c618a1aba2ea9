/* What a long work is doing, written by the worker and read by whoever shows it, without a lock
 * between them. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define PROGRESS_FILE_BYTES 256 /* with the NUL: of a longer name, its end */

typedef struct {
    _Atomic int64_t bytes_done;
    _Atomic int64_t bytes_total; /* 0: nothing is under way */
    atomic_bool stop;            /* set by a signal or a cancel: the worker ends at its next step */
    atomic_uint copies;          /* how many were begun */
    atomic_int step;            /* of a work that has no bytes to count; from 1, 0: there is none */
    _Atomic int64_t step_began; /* of the first one; monotonic ms */
    _Atomic(const char *) stage; /* of an import; static, or NULL */
    _Atomic int64_t stage_began; /* monotonic ms */
    atomic_uint file_turn;       /* odd while `file` is being written */
    _Atomic uint64_t file[PROGRESS_FILE_BYTES / sizeof(uint64_t)];
} Progress;

void progress_begin(Progress *progress, int64_t bytes_total);
void progress_add(Progress *progress, int64_t bytes);
void progress_end(Progress *progress);
bool progress_stopped(Progress *progress);

/* The next step; 0: the last one is over. */
void progress_step(Progress *progress, int step);
void progress_stage(Progress *progress, const char *stage);
/* What is being copied now. */
void progress_file(Progress *progress, const char *name);
/* "" when there is none. */
void progress_read_file(Progress *progress, char name[PROGRESS_FILE_BYTES]);

/* -- how fast -- */

#define PROGRESS_RATE_SAMPLES 11

/* Zeros to begin with; belongs to one thread. */
typedef struct {
    int64_t times[PROGRESS_RATE_SAMPLES], bytes[PROGRESS_RATE_SAMPLES]; /* the oldest first */
    int count;
    unsigned copies;
} ProgressRate;

/* Bytes a second over the last ten seconds, of the copy that is under way; asked for every second
 * or oftener. -1: not known yet. */
int64_t progress_rate(ProgressRate *rate, Progress *progress, int64_t now);
/* ms; -1: not known. */
int64_t progress_time_left(int64_t bytes_done, int64_t bytes_total, int64_t rate);
