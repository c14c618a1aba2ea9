#include "base/nearest.h"

#include <string.h>

#define MAX_DISTANCE 64 /* bytes of a word that is compared with others */

/* Levenshtein's distance, letter case aside; of words of at most MAX_DISTANCE bytes. */
static size_t edit_distance(const char *a, const char *b)
{
    size_t row[MAX_DISTANCE + 1], width = strlen(b);
    for (size_t j = 0; j <= width; j++)
        row[j] = j;
    for (size_t i = 0; a[i]; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < width; j++) {
            size_t replaced = diagonal + (g_ascii_tolower(a[i]) != g_ascii_tolower(b[j]));
            diagonal = row[j + 1];
            row[j + 1] = MIN(replaced, MIN(row[j], diagonal) + 1);
        }
    }
    return row[width];
}

const char *text_nearest(const char *text, const char *const *choices)
{
    const char *nearest = NULL;
    size_t length = strlen(text), limit = MAX(length / 3, 1), least = limit + 1;
    for (; *choices; choices++) {
        size_t other = strlen(*choices);
        if (MAX(length, other) > MAX_DISTANCE || MAX(length, other) - MIN(length, other) > limit)
            continue;
        size_t distance = edit_distance(text, *choices);
        if (distance < least) {
            nearest = *choices;
            least = distance;
        }
    }
    return nearest;
}
