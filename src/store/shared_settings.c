#include "store/shared_settings.h"

#include "base/clock.h"

static void shared_setting_free(gpointer data)
{
    SharedSetting *setting = data;
    g_free(setting->key);
    g_free(setting->value);
    g_free(setting->set_by);
    g_free(setting);
}

GPtrArray *shared_settings_list(Db *db, GError **error)
{
    GError *failure = NULL;
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(shared_setting_free);
    g_autoptr(DbRows) rows =
        db_query(db, error, "SELECT key, value, set_at, set_by FROM settings ORDER BY key", "");
    if (!rows)
        return NULL;
    while (db_next(rows, &failure)) {
        SharedSetting *setting = g_new(SharedSetting, 1);
        *setting = (SharedSetting){g_strdup(db_text(rows, 0)), g_strdup(db_text(rows, 1)),
                                   db_int(rows, 2), g_strdup(db_text(rows, 3))};
        g_ptr_array_add(list, setting);
    }
    if (!failure)
        return g_steal_pointer(&list);
    g_propagate_error(error, failure);
    return NULL;
}

bool shared_setting_put(Db *db, const char *key, const char *value, const char *set_by,
                        GError **error)
{
    return db_exec(db, error,
                   "INSERT INTO settings(key, value, set_at, set_by) VALUES ($1, $2, $3, $4) "
                   "ON CONFLICT(key) DO UPDATE SET value = excluded.value, set_at = "
                   "excluded.set_at, set_by = excluded.set_by",
                   "ssis", key, value, clock_now_ms(), set_by);
}

bool shared_setting_remove(Db *db, const char *key, bool *found, GError **error)
{
    int64_t count;
    if (!db_query_int(db, &count, 0, error, "SELECT count(*) FROM settings WHERE key = $1", "s",
                      key))
        return false;
    *found = count != 0;
    return db_exec(db, error, "DELETE FROM settings WHERE key = $1", "s", key);
}

bool shared_settings_read(Db *db, const Settings *settings, GError **error)
{
    g_autoptr(GPtrArray) list = shared_settings_list(db, error);
    if (!list)
        return false;
    g_autofree const char **keys = g_new0(const char *, list->len + 1);
    g_autofree const char **values = g_new0(const char *, list->len + 1);
    for (guint i = 0; i < list->len; i++) {
        const SharedSetting *setting = list->pdata[i];
        keys[i] = setting->key;
        values[i] = setting->value;
    }
    settings_share(settings, keys, values, list->len);
    return true;
}
