#include "base/duration.h"

#include <glib.h>
#include <string.h>

#define LONGEST_S (INT64_C(10) * 366 * 24 * 3600)

/* Of a unit's letter; 0: it is none. */
static int64_t seconds_of(char unit)
{
    switch (unit) {
    case 's':
        return 1;
    case 'm':
        return 60;
    case 'h':
        return 3600;
    default:
        return 0;
    }
}

bool duration_parse(const char *text, int64_t *ms)
{
    int64_t total = 0, unit = INT64_MAX;
    const char *at = text;
    do {
        int64_t number = 0;
        if (!g_ascii_isdigit(*at))
            return false;
        for (; g_ascii_isdigit(*at); at++)
            if ((number = number * 10 + (*at - '0')) > LONGEST_S)
                return false;
        bool bare = !*at && at > text && unit == INT64_MAX;
        int64_t next = bare ? 1 : seconds_of(*at);
        if (next == 0 || next >= unit) /* 30m1h, 1h30 */
            return false;
        unit = next;
        total += number * unit;
        if (total > LONGEST_S)
            return false;
        at += bare ? 0 : 1;
    } while (*at);
    *ms = total * 1000;
    return true;
}

char *duration_text(int64_t ms)
{
    int64_t seconds = ms / 1000;
    if (seconds >= 3600 && seconds % 3600 == 0)
        return g_strdup_printf("%" G_GINT64_FORMAT " h", seconds / 3600);
    if (seconds >= 60 && seconds % 60 == 0)
        return g_strdup_printf("%" G_GINT64_FORMAT " min", seconds / 60);
    return g_strdup_printf("%" G_GINT64_FORMAT " s", seconds);
}
