#include "import/setting_change.h"

#include <string.h>

#include "import/import.h"
#include "import/sources.h"
#include "store/shared_settings.h"

char *setting_change_fault(const SettingChange *change)
{
    if (!change->value) /* settings_change asks the store */
        return NULL;
    char *fault = settings_share_fault(change->key, change->value);
    if (fault || strcmp(change->key, "sources.allow") != 0)
        return fault;
    g_autofree char *entry = sources_entry_fault(change->value);
    return entry ? g_strdup_printf("sources.allow has \"%s\"; expected " SOURCES_RULE, entry)
                 : NULL;
}

/* Within the caller's transaction. */
static bool change_one(Service *service, const SettingChange *change, const char *actor,
                       GError **error)
{
    bool found = true;
    const char *key = change->key, *value = change->value;
    g_autofree char *object = value ? g_strconcat(key, "=", value, NULL) : g_strdup(key);
    if (value ? !shared_setting_put(service->db, key, value, actor, error)
              : !shared_setting_remove(service->db, key, &found, error))
        return false;
    /* What a program of another version wrote can be removed, too. */
    g_autofree char *fault = found ? NULL : settings_share_fault(key, NULL);
    if (fault)
        g_set_error(error, IMPORT_ERROR, IMPORT_ERROR_USAGE, "%s", fault);
    if (!found)
        return !fault;
    return service_audit(service, actor, NULL, value ? "setting.set" : "setting.unset", object,
                         error);
}

bool settings_change(Service *service, const SettingChange *changes, size_t count,
                     const char *actor, GError **error)
{
    g_autoptr(DbTransaction) transaction = service_transaction(service, error);
    if (!transaction)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!change_one(service, &changes[i], actor, error))
            return false;
    return db_commit(service->db, error) &&
           shared_settings_read(service->db, service->settings, error);
}

static json_t *held_json(const Settings *settings, const SharedSetting *held)
{
    json_t *row = json_pack("{s:s, s:s, s:I, s:s}", "key", held->key, "value", held->value,
                            "set_at", (json_int_t)held->set_at, "set_by", held->set_by);
    g_autofree char *fault = settings_share_fault(held->key, held->value);
    const char *origin = fault ? NULL : settings_origin(settings, held->key);
    if (fault)
        json_object_set_new(row, "fault", json_string(fault));
    else if (strcmp(origin, SETTINGS_ORIGIN_STORE) != 0)
        json_object_set_new(row, "here",
                            json_pack("{s:s, s:s}", "value", settings_text(settings, held->key),
                                      "origin", origin));
    return row;
}

json_t *settings_held_json(Service *service, GError **error)
{
    g_autoptr(GPtrArray) list = shared_settings_list(service->db, error);
    json_t *rows = list ? json_array() : NULL;
    for (guint i = 0; list && i < list->len; i++)
        json_array_append_new(rows, held_json(service->settings, list->pdata[i]));
    return rows;
}
