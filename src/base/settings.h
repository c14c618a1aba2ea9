/* The settings: what the store holds for all who work on it, waybill.conf (INI) above it, the
 * environment's WAYBILL_SECTION_KEY above both, --set above all.
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

#include "base/setting_value.h"

#define SETTINGS_ERROR (settings_error_quark())
GQuark settings_error_quark(void);

typedef struct {
    const char *key; /* section.name */
    SettingType type;
    const char *otherwise; /* the default */
    const char *meaning;
    bool shared; /* the store may hold it, for all who work on it */
} SettingRow;

/* All of them, ended by a row whose key is NULL. */
const SettingRow *settings_table(void);

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
/* Where the value comes from: "default", SETTINGS_ORIGIN_STORE, a file's name and line, the
 * environment's variable or "--set". */
const char *settings_origin(const Settings *settings, const char *key);
#define SETTINGS_ORIGIN_STORE "the store"

/* -- what the store holds (store/shared_settings.h) -- */

/* Why the store cannot hold this value: there is no such setting, it is a node's own, the value is
 * none, it has a password in it. NULL: it can. value NULL: of the key alone. The caller frees it.
 */
char *settings_share_fault(const char *key, const char *value);
/* keys and values are all that it holds now. What this program does not know, or the store cannot
 * hold, is left out. From any thread, while others read: a text that was read stays as long as the
 * settings. */
void settings_share(const Settings *settings, const char *const *keys, const char *const *values,
                    size_t count);
