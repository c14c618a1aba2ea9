/* The settings: waybill.conf (INI), the environment's WAYBILL_SECTION_KEY above it, --set above
 * both.
 *
 * Every key stands in one table with its type, its default and its meaning; those of [advice] are
 * the catalogue's reasons, which event/advice.c knows, those of [training] whatever the house calls
 * its jobs (import/training.c). An unknown key or a bad value is an error that names where it
 * stands. A setting that is accepted works: none is listed before it does
 * something. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define SETTINGS_ERROR (settings_error_quark())
GQuark settings_error_quark(void);

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

typedef struct {
    const char *key; /* section.name */
    SettingType type;
    const char *otherwise; /* the default */
    const char *meaning;
} SettingRow;

/* All of them, ended by a row whose key is NULL. */
const SettingRow *settings_table(void);

/* Whether this is os/architecture[/variant], such as linux/arm64/v8. */
bool settings_is_platform(const char *text);

typedef struct Settings Settings;

/* `file` NULL: the usual places (WAYBILL_CONFIG_FILE, $XDG_CONFIG_HOME/waybill/waybill.conf,
 * /etc/waybill/waybill.conf), of which none needs to be there. `sets`: section.key=value each,
 * NULL-terminated, the later the stronger; may be NULL. */
Settings *settings_load(const char *file, const char *const *sets, GError **error);
void settings_free(Settings *settings);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Settings, settings_free)

/* key must stand in the table. */
const char *settings_text(const Settings *settings, const char *key);
int64_t settings_int(const Settings *settings, const char *key);
bool settings_bool(const Settings *settings, const char *key);
/* A SETTING_GIB in bytes (0: there is none), and as the shortest decimal ("5", "0.001"). */
int64_t settings_bytes(const Settings *settings, const char *key);
/* One key of a section whose keys are not in the table. */
typedef struct {
    char *key; /* without its section */
    char *value;
    char *origin; /* as settings_origin() */
} SettingEntry;
/* [advice] and [training]: of SettingEntry, every key once. Whoever reads it checks key and value.
 */
const GPtrArray *settings_advice(const Settings *settings);
const GPtrArray *settings_training(const Settings *settings);
/* Where the value comes from: "default", a file's name and line, the environment's variable or
 * "--set". */
const char *settings_origin(const Settings *settings, const char *key);
