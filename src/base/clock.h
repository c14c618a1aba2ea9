/* Times are milliseconds since 1970, UTC. */
#pragma once

#include <stdint.h>

int64_t clock_now_ms(void);
/* Never goes back: for durations and rates. */
int64_t clock_monotonic_ms(void);
