/* Inside of scan/: numbers as lines of a pickle have them. Python reads them with int(): blanks
 * around, a sign, underscores between digits, and where any base is let in its letter. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* False: Python would fail. True says that it may not. */
bool number_may_be(const char *text);
/* Of decimal digits alone, perhaps with a minus or an L: what everybody reads as the same. */
bool number_plain(const char *text, int64_t *number);
/* A place of the memo, which int() reads with base 10. UINT64_MAX: larger than any that is kept.
 * False: Python would fail. */
bool number_place(const char *text, uint64_t *place);
