/* How events look on a terminal and in a pipe. */
#pragma once

#include "command/terminal.h"
#include "event/timeline.h"
#include "import/service.h"

/* One event object: a row; a problem is followed by its answer. */
void event_view_print(const Terminal *terminal, const json_t *event);
/* A row of an event among those of other models: the model's NAME:VERSION is in it, its seq is not
 * told apart. */
void event_view_print_of(const Terminal *terminal, const json_t *event, const char *model);
/* A heading above the rows. */
void event_view_heading(const Terminal *terminal);

typedef enum {
    EVENT_VIEW_ROWS, /* a problem with its summary; the end of a failed attempt with the answer */
    EVENT_VIEW_ANSWERS, /* every problem with its answer */
    EVENT_VIEW_JSON     /* one object a line */
} EventViewForm;

/* The events that the filter wants, printed and flushed one by one. filter->after moves to the
 * newest one printed. */
bool event_view_timeline(const Terminal *terminal, Service *service, const char *model_id,
                         TimelineFilter *filter, EventViewForm form, GError **error);
