#include "import/update_events.h"

#include <string.h>

#include "import/dependencies.h"
#include "import/difference_parts.h"

#define MOST_LISTED 100 /* of each list: a list of dependencies may be long */

static Event *event_of_actor(Event *event, const char *actor)
{
    event->actor = g_strdup(actor);
    return actor ? event_with_text(event, "actor", actor) : event;
}

Event *event_of_description(const char *old, const char *new, const char *actor)
{
    Event *event = event_description_updated();
    event_with_text(event, "old", old);
    event_with_text(event, "new", new);
    return event_of_actor(event, actor);
}

/* -- the packages -- */

/* Of the installer that most come by only the package is named. */
static char *package_named(const char *installer, const char *name, const char *version)
{
    const char *prefix = g_ascii_strcasecmp(installer, "pip") == 0 ? "" : installer;
    return g_strconcat(prefix, *prefix ? ": " : "", name, version, NULL);
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

/* As they were written, in the order of installation: of char *, installer and name. */
static GPtrArray *packages_written(const json_t *dependencies)
{
    GPtrArray *packages = g_ptr_array_new_with_free_func(g_free);
    size_t i, k;
    const json_t *group, *package;
    json_array_foreach (dependencies, i, group)
        json_array_foreach (json_object_get(group, "packages"), k, package)
            g_ptr_array_add(packages, package_named(text_of(group, "installer"),
                                                    text_of(package, "package_name"), ""));
    return packages;
}

/* Each with its version: what is installed, in its order. */
static json_t *packages_listed(const json_t *normal)
{
    json_t *listed = json_array();
    size_t i, k;
    const json_t *group, *package;
    json_array_foreach (normal, i, group)
        json_array_foreach (json_object_get(group, "packages"), k, package) {
            g_autofree char *written = dependency_text(package);
            g_autofree char *text = package_named(text_of(group, "installer"), written, "");
            if (json_array_size(listed) < MOST_LISTED)
                json_array_append_new(listed, json_string(text));
        }
    return listed;
}

Event *event_of_same_dependencies(const json_t *old, const json_t *new, const char *actor)
{
    g_autoptr(GPtrArray) was = packages_written(old), is = packages_written(new);
    json_t *differed = json_array();
    for (guint i = 0; i < MIN(was->len, is->len) && json_array_size(differed) < MOST_LISTED; i++)
        if (strcmp(was->pdata[i], is->pdata[i]) != 0)
            json_array_append_new(differed, json_sprintf("%s -> %s", (const char *)was->pdata[i],
                                                         (const char *)is->pdata[i]));
    return event_of_actor(event_with_json(event_dependencies_unchanged(), "differed", differed),
                          actor);
}

/* "==1.26.4" is told as 1.26.4, none as "any". */
static const char *version_shown(const char *version)
{
    if (!*version)
        return "any";
    return g_str_has_prefix(version, "==") ? version + 2 : version;
}

static void change_append(const DependencyChange *change, json_t *added, json_t *removed,
                          json_t *changed)
{
    const char *old = change->versions[DIFFERENCE_OLD], *new = change->versions[DIFFERENCE_NEW];
    g_autofree char *name = package_named(change->installer, change->name, "");
    g_autofree char *whole = package_named(change->installer, change->name, new ? new : old);
    json_t *list = !old ? added : !new ? removed : changed;
    if (json_array_size(list) >= MOST_LISTED)
        return;
    json_array_append_new(list, list == changed
                                    ? json_pack("{s:s, s:s, s:s}", "package", name, "from",
                                                version_shown(old), "to", version_shown(new))
                                    : json_string(whole));
}

Event *event_of_dependencies(const json_t *old, const json_t *new, const char *actor)
{
    json_auto_t *was = dependencies_normal(old), *is = dependencies_normal(new);
    json_auto_t *was_config = json_pack("{s:O}", "dependencies", was),
                *is_config = json_pack("{s:O}", "dependencies", is);
    const Side sides[2] = {{.config_json = was_config}, {.config_json = is_config}};
    g_autoptr(GPtrArray) changes =
        g_ptr_array_new_with_free_func((GDestroyNotify)dependency_change_free);
    dependencies_compare(sides, changes);
    json_t *added = json_array(), *removed = json_array(), *changed = json_array();
    for (guint i = 0; i < changes->len; i++)
        change_append(changes->pdata[i], added, removed, changed);
    Event *event = event_with(event_dependencies_updated(), "{s:o, s:o, s:o, s:o, s:o}", "old",
                              packages_listed(was), "new", packages_listed(is), "added", added,
                              "removed", removed, "changed", changed);
    if (changes->len == 0)
        event_with(event, "{s:b}", "reordered", true);
    return event_of_actor(event, actor);
}
