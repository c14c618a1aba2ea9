/* The answer of a problem event, rendered from its kind's row and its own evidence. */
#pragma once

#include "event/event.h"
#include "event/kinds.h"

/* {summary, summary_cn, advice: […], advice_cn: […], fix_by, retryable, retry_at}; NULL: the event
 * is a normal one, or there is no row for it. SystemUpgrading, after which an import waits, has its
 * advice alone. place NULL: it is in no timeline. Where evidence
 * lacks a field that the summary needs, the event's message stands in for it.
 *
 * retry_at (ms since 1970 UTC) is there where waiting helps and the end of it is known: evidence
 * has retry_at, or retry_after in seconds from the event's time on. Texts know it as {retry_at}. */
json_t *event_answer(const Event *event, const EventPlace *place);
