/* Chinese words for what evidence says in English: the closed sets of its values (what was
 * expected, why, which error), so that a Chinese sentence reads as Chinese. Values that are a
 * package's own (a name, a number, a quoted text) stay as they are. The table is phrases.def;
 * programs compare the English value, which the event keeps. */
#pragma once

#include <stdbool.h>

/* Whether that field of evidence holds such values. */
bool phrase_is_field(const char *field);
/* The caller frees it. What has no row is returned as it is. */
char *phrase_chinese(const char *text);
