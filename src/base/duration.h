/* Lengths of time as people write them. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define DURATION_RULE "a number of s, m or h, such as 90s, 5m or 1h"

/* "90" and "90s", "5m", "1h", "1h30m" in ms. False: it is none, or longer than ten years. */
bool duration_parse(const char *text, int64_t *ms);
/* "90 s", "5 min", "1 h": in the largest unit that holds it whole. The caller frees it. */
char *duration_text(int64_t ms);
