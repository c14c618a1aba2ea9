#include "sample.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    EventReason reason;
    bool commits;
} Step;

static const Step FAILED[] = {{EVENT_ImportStarted, true},
                              {EVENT_ConfigValueInvalid, false},
                              {EVENT_ImportFailed, true}};

/* As stage_check.c, stage_copy.c, stage_build.c and image_build.c group them. */
static const Step IMPORTED[] = {
    {EVENT_ImportStarted, true},      {EVENT_ModelSizeCalculated, true},
    {EVENT_ModelFilesImported, true}, {EVENT_ImageBuildRequested, false},
    {EVENT_ImageBuildStatus, true},   {EVENT_ImageBuildStarted, false},
    {EVENT_ImageBuildStatus, true},   {EVENT_ImageBuilt, false},
    {EVENT_ImageBuildStatus, true},   {EVENT_ModelImported, true},
};
G_STATIC_ASSERT(G_N_ELEMENTS(IMPORTED) == SAMPLE_IMPORT_EVENTS);

static int add_attempt(SampleEvent *samples, int count, int attempt, const Step *steps, int length)
{
    for (int i = 0; i < length && count < SAMPLE_EVENTS; i++, count++) {
        const CatalogRow *row = catalog_row(steps[i].reason);
        samples[count] = (SampleEvent){event_example(row), row->stage, attempt, steps[i].commits};
    }
    return count;
}

const SampleEvent *sample_timeline(void)
{
    static SampleEvent samples[SAMPLE_EVENTS];
    int count = 0;
    for (int attempt = 1; count < SAMPLE_EVENTS; attempt++)
        count = attempt <= 3
                    ? add_attempt(samples, count, attempt, FAILED, G_N_ELEMENTS(FAILED))
                    : add_attempt(samples, count, attempt, IMPORTED, G_N_ELEMENTS(IMPORTED));
    return samples;
}

char *sample_json(const SampleEvent *sample, int64_t seq, int64_t time)
{
    g_autofree char *id = g_uuid_string_random();
    const EventPlace place = {.event_id = id,
                              .seq = seq,
                              .occur_time = time,
                              .stage = sample->stage,
                              .attempt = sample->attempt,
                              .model = "sentiment:0.0.1"};
    json_t *object = event_json(sample->event, &place);
    char *json = json_dumps(object, JSON_COMPACT);
    json_decref(object);
    return json;
}

void sample_set_id(char *json, const char *id)
{
    static const char BEFORE[] = "{\"event_id\":\"";
    g_assert(g_str_has_prefix(json, BEFORE));
    memcpy(json + strlen(BEFORE), id, strlen(id));
}
