#include "base/setting_value.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The shortest decimal that reads back as the same number: 5, 0.001; never 1e-06. */
static char *decimal_shortest(double number)
{
    char text[512];
    for (int digits = 0; digits <= 20; digits++) {
        g_snprintf(text, sizeof text, "%.*f", digits, number);
        if (g_ascii_strtod(text, NULL) == number)
            break;
    }
    return g_strdup(text);
}

/* NULL: it is no such number. */
static char *decimal_between(const char *value, double least, double most)
{
    char *end = NULL;
    errno = 0;
    double number = g_ascii_strtod(value, &end);
    bool fits = end != value && !*end && !errno && g_ascii_isdigit(*value) && number >= least &&
                number <= most;
    return fits ? decimal_shortest(number) : NULL;
}

bool settings_is_platform(const char *text)
{
    g_auto(GStrv) parts = g_strsplit(text, "/", -1);
    guint count = g_strv_length(parts);
    for (guint i = 0; i < count; i++)
        if (!*parts[i] ||
            strspn(parts[i], "abcdefghijklmnopqrstuvwxyz0123456789_.-") != strlen(parts[i]))
            return false;
    return count == 2 || count == 3;
}

static bool text_prints(const char *text)
{
    bool prints = g_utf8_validate(text, -1, NULL);
    for (; prints && *text; text = g_utf8_next_char(text))
        prints = !g_unichar_iscntrl(g_utf8_get_char(text));
    return prints;
}

/* HH:MM, or a word. */
static bool text_is_schedule(const char *text)
{
    static const char *const WORDS[] = {"off", "hourly", "daily", "weekly", NULL};
    if (g_strv_contains(WORDS, text))
        return true;
    return strlen(text) == 5 && g_ascii_isdigit(text[0]) && g_ascii_isdigit(text[1]) &&
           text[2] == ':' && g_ascii_isdigit(text[3]) && g_ascii_isdigit(text[4]) &&
           atoi(text) < 24 && atoi(text + 3) < 60;
}

const char *setting_value_check(SettingType type, const char *value, char **normal)
{
    char *end = NULL;
    *normal = NULL;
    switch (type) {
    case SETTING_GIB_OR_NONE:
        if (!*value) {
            *normal = g_strdup(value);
            return NULL;
        }
        G_GNUC_FALLTHROUGH;
    case SETTING_GIB:
        *normal = decimal_between(value, 1 / 1073741824.0, 8e9);
        return *normal ? NULL : "a number of GiB above 0, such as 5 or 0.5";
    case SETTING_MINUTES:
        *normal = decimal_between(value, 0.001, 100000);
        return *normal ? NULL : "a number of minutes from 0.001, such as 30 or 0.5";
    case SETTING_MIB: {
        guint64 number;
        if (!g_ascii_string_to_unsigned(value, 10, 16, 1 << 24, &number, NULL))
            return "a whole number of MiB from 16 to 16777216";
        *normal = g_strdup(value);
        return NULL;
    }
    case SETTING_NETWORK:
        if (*value && strcmp(value, "none") != 0 && strcmp(value, "proxy") != 0 &&
            strcmp(value, "host") != 0)
            return "none, proxy or host";
        *normal = g_strdup(value);
        return NULL;
    case SETTING_POLICY:
        if (strcmp(value, "warn") != 0 && strcmp(value, "deny") != 0 && strcmp(value, "off") != 0)
            return "warn, deny or off";
        *normal = g_strdup(value);
        return NULL;
    case SETTING_COUNT:
    case SETTING_PROCESSORS: {
        guint64 number;
        if (!(type == SETTING_PROCESSORS && !*value) &&
            !g_ascii_string_to_unsigned(value, 10, 1, 4096, &number, NULL))
            return "a whole number from 1 to 4096";
        *normal = g_strdup(value);
        return NULL;
    }
    case SETTING_SECONDS: {
        guint64 number;
        if (!g_ascii_string_to_unsigned(value, 10, 1, 30 * 86400, &number, NULL))
            return "a whole number of seconds from 1 to 2592000";
        *normal = g_strdup(value);
        return NULL;
    }
    case SETTING_NUMBER: {
        guint64 number;
        if (!g_ascii_string_to_unsigned(value, 10, 0, 36500, &number, NULL))
            return "a whole number from 0 to 36500";
        *normal = g_strdup(value);
        return NULL;
    }
    case SETTING_MS: {
        errno = 0;
        guint64 number = g_ascii_strtoull(value, &end, 10);
        if (!g_ascii_isdigit(*value) || *end || errno || number > G_MAXINT)
            return "a whole number of milliseconds";
        *normal = g_strdup(value);
        return NULL;
    }
    case SETTING_BOOL:
        if (strcmp(value, "true") != 0 && strcmp(value, "false") != 0)
            return "true or false";
        *normal = g_strdup(value);
        return NULL;
    case SETTING_PATH:
        if (*value != '/' || !g_utf8_validate(value, -1, NULL))
            return "a path that begins with /";
        *normal = g_strdup(value);
        return NULL;
    case SETTING_DIRECTORY:
        if ((*value && *value != '/') || !text_prints(value))
            return "a directory's absolute path";
        *normal = g_strdup(value);
        return NULL;
    case SETTING_SCHEDULE:
        if (!text_is_schedule(value))
            return "off, hourly, daily, weekly, or a time of the day such as 03:30";
        *normal = g_strdup(value);
        return NULL;
    case SETTING_PLATFORM:
        if (*value && !settings_is_platform(value))
            return "os/architecture, such as linux/amd64 or linux/arm64";
        *normal = g_strdup(value);
        return NULL;
    case SETTING_TEXT:
        if (!text_prints(value))
            return "text in UTF-8 without control characters";
        *normal = g_strdup(value);
        return NULL;
    }
    g_assert_not_reached();
}
