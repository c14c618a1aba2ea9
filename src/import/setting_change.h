/* Settings that the store holds for all who work on it (store/shared_settings.h): how they are
 * changed and shown. */
#pragma once

#include <jansson.h>

#include "import/service.h"

typedef struct {
    const char *key;   /* section.name */
    const char *value; /* NULL: the store is to hold it no more */
} SettingChange;

/* Why it cannot be; NULL: it can. The caller frees it. */
char *setting_change_fault(const SettingChange *change);
/* All of them or none, with a row of the audit list each. What this process reads changes with it.
 */
bool settings_change(Service *service, const SettingChange *changes, size_t count,
                     const char *actor, GError **error);

/* [{key, value, set_at, set_by}], by key; and where this process goes by something else, `here`
 * {value, origin}; `fault`: the value does nothing. NULL: *error. */
json_t *settings_held_json(Service *service, GError **error);
