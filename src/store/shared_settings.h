/* Settings that the store holds, for all who work on it. What may stand there, settings_share_fault
 * says (base/settings.h). */
#pragma once

#include "base/settings.h"
#include "store/db.h"

typedef struct {
    char *key, *value;
    int64_t set_at; /* ms since 1970 UTC */
    char *set_by;
} SharedSetting;

/* Of SharedSetting, by key. NULL: *error. */
GPtrArray *shared_settings_list(Db *db, GError **error);
/* Within the caller's transaction. */
bool shared_setting_put(Db *db, const char *key, const char *value, const char *set_by,
                        GError **error);
/* The same. *found: it was there. */
bool shared_setting_remove(Db *db, const char *key, bool *found, GError **error);

/* From here on the settings are those that the store holds now. */
bool shared_settings_read(Db *db, const Settings *settings, GError **error);
