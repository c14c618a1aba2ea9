/* What a setting's value may be. */
#pragma once

#include <glib.h>
#include <stdbool.h>

typedef enum {
    SETTING_TEXT,
    SETTING_PATH,        /* begins with a slash: a URL's path */
    SETTING_DIRECTORY,   /* begins with a slash, "" is none */
    SETTING_GIB,         /* a size in GiB, fractions allowed, above 0 */
    SETTING_GIB_OR_NONE, /* the same; "" is none */
    SETTING_COUNT,       /* a whole number, 1 or more */
    SETTING_PROCESSORS,  /* a whole number, 1 or more; "" is how many processors there are */
    SETTING_MS,          /* a whole number of milliseconds */
    SETTING_SECONDS,     /* a whole number, 1 or more */
    SETTING_BOOL,        /* true or false */
    SETTING_NUMBER,      /* a whole number, 0 or more */
    SETTING_MIB,         /* a whole number of MiB, 16 or more */
    SETTING_MINUTES,     /* fractions allowed, above 0 */
    SETTING_POLICY,      /* warn, deny or off */
    SETTING_NETWORK,     /* none, proxy, host or "" */
    SETTING_SCHEDULE,    /* off, hourly, daily, weekly or HH:MM */
    SETTING_PLATFORM     /* os/architecture[/variant], "" is the host's */
} SettingType;

/* NULL, or what was expected instead. *normal: the value as it is kept, NULL beside a fault. The
 * caller frees it. */
const char *setting_value_check(SettingType type, const char *value, char **normal);

/* Whether this is os/architecture[/variant], such as linux/arm64/v8. */
bool settings_is_platform(const char *text);
