/* Moments as people write them, and as programs read them. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define INSTANT_RULE                                                                  \
    "a time such as 2026-03-01T22:00 or 22:00 (the machine's zone; with Z or +08:00 " \
    "another), or how long from now, such as 90s, 30m or 2h"

#define INSTANT_LAST_MS INT64_C(253402300799000) /* the end of the year 9999 */

/* ISO 8601, a time of the day (the next one after `now`), or a duration from `now`. ms since 1970
 * UTC. False: it is none of them. */
bool instant_parse(const char *text, int64_t now, int64_t *ms);
/* RFC 3339 in UTC, to the second: 2026-03-01T22:00:00Z. The caller frees it. */
char *instant_text(int64_t ms);
