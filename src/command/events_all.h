/* `waybill events --all`: what happened to all models of the project, the newest first. */
#pragma once

#include "command/command.h"
#include "event/timeline_all.h"

#define EVENTS_ALL_LIMIT 50

/* since NULL: from the beginning; else a length of time, such as 1h. Returns the exit status. */
int events_all(Session *session, TimelineAll *search, const char *since, bool json);
