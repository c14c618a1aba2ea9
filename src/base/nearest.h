/* Did you mean. */
#pragma once

#include <glib.h>

/* The choice (of a NULL-terminated array) that differs least from the text, letter case aside;
 * NULL: none is near, that is within a third of its letters. */
const char *text_nearest(const char *text, const char *const *choices);
