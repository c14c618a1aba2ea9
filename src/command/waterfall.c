#include "command/waterfall.h"

#include <string.h>

#include "event/timeline.h"

#define STAGES_MAX 16
#define BAR_WIDTH  40

typedef struct {
    char *name;
    int64_t from, to; /* ms */
    bool failed;
    bool closed; /* an event said when it ended */
} Span;

typedef struct {
    Span spans[STAGES_MAX];
    int count;
} Waterfall;

static Span *span_of(Waterfall *waterfall, const char *stage)
{
    for (int i = 0; i < waterfall->count; i++)
        if (strcmp(waterfall->spans[i].name, stage) == 0)
            return &waterfall->spans[i];
    if (waterfall->count == STAGES_MAX)
        return NULL;
    Span *span = &waterfall->spans[waterfall->count++];
    *span = (Span){.name = g_strdup(stage), .from = G_MAXINT64};
    return span;
}

/* A stage reaches from where its closing event says that it began to its last event. */
static bool waterfall_add(const char *json, int64_t seq, gpointer data)
{
    json_t *event = json_loads(json, 0, NULL);
    int64_t time = json_integer_value(json_object_get(event, "occur_time"));
    int64_t took = json_integer_value(json_object_get(event, "duration_ms"));
    Span *span = span_of(data, json_string_value(json_object_get(event, "stage")));
    if (span) {
        span->from = MIN(span->from, time - took);
        span->to = MAX(span->to, time);
        span->closed |= json_object_get(event, "duration_ms") || strcmp(span->name, "queue") == 0;
        span->failed |=
            strcmp(json_string_value(json_object_get(event, "event_type")), "abnormal") == 0;
    }
    json_decref(event);
    return true;
}

static void span_print(const Terminal *terminal, const Span *span, int64_t begin, int64_t whole)
{
    int offset = (int)(BAR_WIDTH * (span->from - begin) / whole);
    int length = CLAMP((int)(BAR_WIDTH * (span->to - span->from) / whole), 1,
                       BAR_WIDTH - MIN(offset, BAR_WIDTH - 1));
    g_autofree char *name = text_fit(span->name, 12),
                    *took = format_duration(span->to - span->from);
    g_autofree char *bar = g_strnfill((gsize)length, '=');
    g_autofree char *placed = g_strdup_printf("%*s%s", MIN(offset, BAR_WIDTH - 1), "", bar);
    g_autofree char *fitted = text_fit(placed, BAR_WIDTH);
    fprintf(terminal->out, " %s |%s%s%s| %8s%s\n", name,
            terminal_color(terminal, span->failed ? COLOR_RED : COLOR_GREEN), fitted,
            terminal_plain(terminal), took, span->failed ? "  x" : "");
}

/* One that nothing closes goes on until the next one begins: it waits for a build, say. */
static void waterfall_join(Waterfall *waterfall)
{
    for (int i = 0; i + 1 < waterfall->count; i++) {
        Span *span = &waterfall->spans[i];
        if (!span->closed)
            span->to = MAX(span->to, waterfall->spans[i + 1].from);
    }
}

bool waterfall_print(const Terminal *terminal, Db *db, const Model *model, GError **error)
{
    Waterfall waterfall = {0};
    const TimelineFilter filter = {.attempt = model->attempt};
    bool done = timeline_each(db, model->id, &filter, waterfall_add, &waterfall, error);
    int64_t begin = G_MAXINT64, end = 0;
    waterfall_join(&waterfall);
    for (int i = 0; i < waterfall.count; i++) {
        begin = MIN(begin, waterfall.spans[i].from);
        end = MAX(end, waterfall.spans[i].to);
    }
    for (int i = 0; i < waterfall.count; i++) {
        if (done)
            span_print(terminal, &waterfall.spans[i], begin, MAX(end - begin, 1));
        g_free(waterfall.spans[i].name);
    }
    return done;
}
