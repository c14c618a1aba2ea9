/* The answer of a problem event, rendered from its kind's row and its own evidence. */
#pragma once

#include "event/event.h"
#include "event/kinds.h"

/* {summary, summary_cn, advice: […], advice_cn: […], fix_by, retryable}; NULL: the event is a
 * normal one, or there is no row for it. `model`: NAME:VERSION, or NULL. Where evidence lacks a
 * field that the summary needs, the event's message stands in for it. */
json_t *event_answer(const Event *event, const char *model);
