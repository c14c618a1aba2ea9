/* One typed constructor for each row of catalog.def. Included by event.h; not to be included
 * alone.
 *
 * The parameters are the row's, in its order, all text; none may be NULL. The caller owns the
 * event. */
#pragma once

#include "event/event.h"

#define SIGNATURE_0()        (void)
#define SIGNATURE_1(a)       (const char *a)
#define SIGNATURE_2(a, b)    (const char *a, const char *b)
#define SIGNATURE_3(a, b, c) (const char *a, const char *b, const char *c)

#define EVENT(number, Name, function, TYPE, stage, faq, count, params, ...) \
    Event *event_##function SIGNATURE_##count params;
#include "event/catalog.def"
#undef EVENT
