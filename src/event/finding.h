/* What a check found: events that are not appended yet. All of them are collected; the stage fails
 * after all. */
#pragma once

#include "event/event.h"

typedef struct {
    GPtrArray *events; /* of Event, in the order in which they were found */
} Findings;

Findings *findings_new(void);
void findings_free(Findings *findings);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Findings, findings_free)

/* Takes the event over. */
void findings_add(Findings *findings, Event *event);
/* What was found (of Event), the caller's; the findings are empty then. */
GPtrArray *findings_take(Findings *findings);
/* Whether the import ends here: an abnormal finding, or ModelFileAmbiguous (a hint by type that
 * ends it all the same). */
bool findings_fatal(const Findings *findings);
bool event_is_fatal(const Event *event);
bool row_is_fatal(const CatalogRow *row);
