#include "base/instant.h"

#include <glib.h>
#include <string.h>

#include "base/duration.h"

#define MINUTE_END 16 /* of 2026-03-01T22:00 */

/* Whether the text begins like the pattern, in which 0 is any digit and T also a space. */
static bool looks_like(const char *text, const char *pattern)
{
    for (; *pattern; pattern++, text++) {
        bool fits = *pattern == '0'   ? g_ascii_isdigit(*text)
                    : *pattern == 'T' ? *text == 'T' || *text == ' '
                                      : *text == *pattern;
        if (!fits)
            return false;
    }
    return true;
}

static int two_digits(const char *text)
{
    return (text[0] - '0') * 10 + text[1] - '0';
}

static bool time_of_day_parse(const char *text, int64_t now, int64_t *ms)
{
    if (!looks_like(text, "00:00") || text[5] || two_digits(text) > 23 || two_digits(text + 3) > 59)
        return false;
    g_autoptr(GDateTime) here = g_date_time_new_from_unix_local(now / 1000);
    for (int days = 0; days < 2; days++) {
        g_autoptr(GDateTime) day = g_date_time_add_days(here, days);
        g_autoptr(GDateTime) time =
            g_date_time_new_local(g_date_time_get_year(day), g_date_time_get_month(day),
                                  g_date_time_get_day_of_month(day), two_digits(text),
                                  two_digits(text + 3), 0);
        *ms = time ? g_date_time_to_unix(time) * 1000 : 0;
        if (*ms > now)
            return true;
    }
    return false;
}

/* GLib wants the seconds, which people leave out. */
static bool date_and_time_parse(const char *text, int64_t *ms)
{
    if (!looks_like(text, "0000-00-00T00:00"))
        return false;
    g_autoptr(GTimeZone) local = g_time_zone_new_local();
    g_autofree char *whole =
        text[MINUTE_END] == ':' ? g_strdup(text)
                                : g_strdup_printf("%.*s:00%s", MINUTE_END, text, text + MINUTE_END);
    g_autoptr(GDateTime) time = g_date_time_new_from_iso8601(whole, local);
    *ms = time ? g_date_time_to_unix(time) * 1000 : 0;
    return time != NULL;
}

bool instant_parse(const char *text, int64_t now, int64_t *ms)
{
    if (time_of_day_parse(text, now, ms) || date_and_time_parse(text, ms))
        return true;
    if (!duration_parse(text, ms))
        return false;
    *ms += now;
    return true;
}

char *instant_text(int64_t ms)
{
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(ms / 1000);
    return g_date_time_format(time, "%Y-%m-%dT%H:%M:%SZ");
}
