/* What changed between two texts, as `diff -u` writes it.
 *
 * Myers' algorithm over lines. The work is bounded: where two texts have too little in common, all
 * lines between their common beginning and their common end count as replaced. That is a longer
 * answer than the shortest one, never a wrong one. */
#pragma once

#include <glib.h>

typedef struct {
    GPtrArray *rows; /* of char *: "@@ -1,3 +1,4 @@", then lines (without their end) behind ' ', '-'
                        or '+', and "\ No newline at end of file"; none: the texts are equal */
    int removed, added; /* lines */
} LineDiff;

/* context: unchanged lines before and behind each change. */
LineDiff *line_diff_new(const char *old, const char *new, int context);
void line_diff_free(LineDiff *diff);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(LineDiff, line_diff_free)
