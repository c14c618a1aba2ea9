/* Timelines for the benchmarks: the events of real imports, with the catalogue's examples as their
 * evidence. */
#pragma once

#include "event/event.h"

#define SAMPLE_EVENTS 50

typedef struct {
    Event *event;
    const char *stage;
    int attempt;
    bool commits; /* the pipeline ends its transaction after it */
} SampleEvent;

/* SAMPLE_EVENTS of them: three attempts that failed, then four that made an image, then one that is
 * at work. They live as long as the program. */
const SampleEvent *sample_timeline(void);
/* From where ten events of one whole import stand in it. */
#define SAMPLE_IMPORT_FROM   9
#define SAMPLE_IMPORT_EVENTS 10

/* The event's JSON as the timeline renders it. The caller frees it with free(). */
char *sample_json(const SampleEvent *sample, int64_t seq, int64_t time);
/* Puts another event_id, of 36 characters, in the place of the one in the JSON. */
void sample_set_id(char *json, const char *id);
