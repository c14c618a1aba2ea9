/* How events look on a terminal and in a pipe. */
#pragma once

#include "command/terminal.h"
#include "event/timeline.h"

/* One event object: a row; a problem is followed by its place, what was found and expected, and
 * what to do. */
void event_view_print(const Terminal *terminal, const json_t *event);
/* A heading above the rows. */
void event_view_heading(const Terminal *terminal);

/* The events that the filter wants, printed as rows, or with json one object a line, and flushed.
 * filter->after moves to the newest one printed. */
bool event_view_timeline(const Terminal *terminal, Db *db, const char *model_id,
                         TimelineFilter *filter, bool json, GError **error);
