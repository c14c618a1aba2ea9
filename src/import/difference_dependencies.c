/* Dependencies of two configs. They are read as they were written, not as the rules take them: one
 * that breaks a rule is there all the same. */
#include <string.h>

#include "import/difference_parts.h"

void dependency_change_free(DependencyChange *change)
{
    g_free(change->installer);
    g_free(change->name);
    g_free(change->versions[0]);
    g_free(change->versions[1]);
    g_free(change);
}

static char *text_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (!value || json_is_string(value))
        return g_strdup(value ? json_string_value(value) : "");
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    char *copy = g_strdup(text);
    free(text);
    return copy;
}

/* "==1.24" */
static char *version_of(const json_t *package)
{
    static const char *const RESTRAINTS[][2] = {{"EXACT", "=="},
                                                {"ATLEAST", ">="},
                                                {"ATMOST", "<="}};
    g_autofree char *version = text_of(package, "package_version");
    g_autofree char *restraint = text_of(package, "restraint");
    for (size_t i = 0; i < G_N_ELEMENTS(RESTRAINTS); i++)
        if (strcmp(restraint, RESTRAINTS[i][0]) == 0)
            return g_strconcat(RESTRAINTS[i][1], version, NULL);
    return *restraint && *version ? g_strconcat(restraint, " ", version, NULL)
                                  : g_strconcat(restraint, version, NULL);
}

/* What pip takes for one name: PEP 503. */
static char *key_of(const char *installer, const char *name)
{
    GString *key = g_string_new(installer);
    g_string_append_c(key, ' ');
    bool apt = strcmp(installer, "apt") == 0;
    for (const char *at = name; *at; at++) {
        bool separator = !apt && strchr("._-", *at);
        if (separator && key->str[key->len - 1] != '-')
            g_string_append_c(key, '-');
        else if (!separator)
            g_string_append_c(key, apt ? *at : g_ascii_tolower(*at));
    }
    return g_string_free(key, FALSE);
}

static void package_read(const char *installer, const json_t *package, int side, GHashTable *all)
{
    g_autofree char *name = text_of(package, "package_name");
    g_autofree char *key = key_of(installer, name);
    DependencyChange *change = g_hash_table_lookup(all, key);
    if (!change) {
        change = g_new0(DependencyChange, 1);
        change->installer = g_strdup(installer);
        change->name = g_strdup(name);
        g_hash_table_insert(all, g_steal_pointer(&key), change);
    }
    g_autofree char *version = version_of(package);
    g_autofree char *before = change->versions[side]; /* named twice: both count */
    change->versions[side] = before ? g_strconcat(before, ", ", version, NULL) : g_strdup(version);
}

static void packages_read(const Side *sides, int side, GHashTable *all)
{
    size_t i, k;
    const json_t *group, *package;
    json_array_foreach (json_object_get(sides[side].config_json, "dependencies"), i, group) {
        g_autofree char *installer = text_of(group, "installer");
        json_array_foreach (json_object_get(group, "packages"), k, package)
            package_read(installer, package, side, all);
    }
}

static gint compare_keys(gconstpointer a, gconstpointer b)
{
    return strcmp(a, b);
}

void dependencies_compare(const Side *sides, GPtrArray *changes)
{
    g_autoptr(GHashTable) all = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    packages_read(sides, DIFFERENCE_OLD, all);
    packages_read(sides, DIFFERENCE_NEW, all);
    GList *keys = g_list_sort(g_hash_table_get_keys(all), compare_keys);
    for (const GList *at = keys; at; at = at->next) {
        DependencyChange *change = g_hash_table_lookup(all, at->data);
        if (g_strcmp0(change->versions[0], change->versions[1]) == 0)
            dependency_change_free(change);
        else
            g_ptr_array_add(changes, change);
    }
    g_list_free(keys);
}
