/* What the events of an update tell. Inside of import/. */
#pragma once

#include "event/event.h"

Event *event_of_description(const char *old, const char *new, const char *actor);
/* old and new: dependencies as they were written. */
Event *event_of_same_dependencies(const json_t *old, const json_t *new, const char *actor);
Event *event_of_dependencies(const json_t *old, const json_t *new, const char *actor);
