#include "import/environment.h"

#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "build/install.h"
#include "image/layer.h"
#include "import/dependencies.h"

#define INSTALLER "waybill-environment-1" /* changes when the same inputs give another layer */
#define COMPARED  50                      /* environments that a new one is compared with */
#define SHOWN     20                      /* changes in evidence */

void environment_key_clear(EnvironmentKey *key)
{
    g_free(key->key);
    json_decref(key->inputs);
    *key = (EnvironmentKey){0};
}

/* -- the key -- */

/* The content's digest, or that of the layer which the file has for itself. */
static char *wheel_digest(Db *db, const char *model_id, int attempt, const char *name,
                          GError **error)
{
    g_autoptr(DbRows) rows = db_query(
        db, error,
        "SELECT coalesce(f.digest, (SELECT l.digest FROM layers l WHERE l.model_id = f.model_id "
        "AND "
        "l.attempt = f.attempt AND l.origin = 'model' AND l.file = f.path)) FROM files f WHERE "
        "f.model_id = $1 AND f.attempt = $2 AND f.path = $3",
        "sis", model_id, (int64_t)attempt, name);
    return rows && db_next(rows, error) ? g_strdup(db_text(rows, 0)) : NULL;
}

static json_t *wheels_of(Db *db, const GPtrArray *dependencies, const char *model_id, int attempt,
                         GError **error)
{
    GError *failure = NULL;
    json_t *wheels = json_object();
    for (guint i = 0; i < dependencies->len && !failure; i++) {
        const Dependency *dependency = dependencies->pdata[i];
        if (!dependency_is_wheel(dependency))
            continue;
        g_autofree char *digest = wheel_digest(db, model_id, attempt, dependency->name, &failure);
        json_object_set_new(wheels, dependency->name, json_string(digest ? digest : ""));
    }
    if (!failure)
        return wheels;
    g_propagate_error(error, failure);
    json_decref(wheels);
    return NULL;
}

static bool all_pinned(const GPtrArray *dependencies)
{
    for (guint i = 0; i < dependencies->len; i++) {
        const Dependency *dependency = dependencies->pdata[i];
        if (!dependency_is_wheel(dependency) && dependency->restraint != RESTRAINT_EXACT)
            return false;
    }
    return true;
}

bool environment_key_make(Service *service, const Image *base, const GPtrArray *dependencies,
                          const char *model_id, int attempt, const PackageSources *sources,
                          EnvironmentKey *key, GError **error)
{
    *key = (EnvironmentKey){.pinned = all_pinned(dependencies)};
    json_t *wheels = wheels_of(service->db, dependencies, model_id, attempt, error);
    if (!wheels)
        return false;
    g_autofree char *from = package_sources_text(sources);
    key->inputs = json_pack("{s:s, s:o, s:o, s:s, s:s}", "base", base->manifest->digest,
                            "dependencies", config_dependencies_json(dependencies), "wheels",
                            wheels, "sources", from, "installer", INSTALLER);
    char *text = json_dumps(key->inputs, JSON_COMPACT | JSON_SORT_KEYS);
    key->key = digest_of(text, strlen(text));
    free(text);
    return true;
}

/* -- before a build -- */

bool environment_check_sources(const Settings *settings, bool embedded, const Config *config,
                               Findings *findings, GError **error)
{
    /* Of a package that has to be changed anyhow nothing is built. */
    const GPtrArray *dependencies =
        config && !findings_fatal(findings) ? config->dependencies : NULL;
    g_autoptr(PackageSources) sources =
        dependencies && dependencies->len ? package_sources(settings, embedded, error) : NULL;
    for (guint i = 0; sources && i < dependencies->len; i++) {
        const Dependency *dependency = dependencies->pdata[i];
        bool apt = dependency->installer == INSTALLER_APT;
        if (dependency_is_wheel(dependency) || dependency->installer == INSTALLER_CONDA ||
            (apt ? package_sources_apt(sources) : package_sources_pip(sources)))
            continue;
        Event *event = event_with_kind(event_image_build_failed_see_log(), "no_network");
        event_with(event, "{s:s, s:s}", "installer", installer_name(dependency->installer),
                   "setting", apt ? "build.apt_mirror" : "build.pip_index_url");
        event_with_text(event, "package", dependency->name);
        findings_add(findings, event);
        break; /* the others want the same */
    }
    return sources || !dependencies || !dependencies->len;
}

/* -- what differs -- */

/* name -> "numpy==1.26.4", in the order of the list. */
static json_t *lines_of(const json_t *inputs)
{
    json_t *lines = json_object();
    size_t i, j;
    const json_t *group, *package;
    json_array_foreach (json_object_get(inputs, "dependencies"), i, group) {
        const char *installer = json_string_value(json_object_get(group, "installer"));
        json_array_foreach (json_object_get(group, "packages"), j, package) {
            const char *name = json_string_value(json_object_get(package, "package_name"));
            g_autofree char *text = dependency_text(package);
            g_autofree char *line = g_strcmp0(installer, "pip") == 0
                                        ? g_strdup(text)
                                        : g_strdup_printf("%s (%s)", text, installer);
            json_object_set_new(lines, name ? name : "?", json_string(line));
        }
    }
    return lines;
}

static void add_change(json_t *changes, const char *what, const json_t *from, const json_t *to)
{
    json_array_append_new(changes,
                          json_pack("{s:s, s:O?, s:O?}", "what", what, "from", from, "to", to));
}

static void compare_field(json_t *changes, const json_t *was, const json_t *is, const char *field,
                          const char *what)
{
    const json_t *from = json_object_get(was, field), *to = json_object_get(is, field);
    if (!json_equal(from, to))
        add_change(changes, what, from, to);
}

static void compare_maps(json_t *changes, json_t *was, json_t *is, const char *what)
{
    const char *name;
    json_t *value;
    json_object_foreach (is, name, value)
        if (!json_equal(json_object_get(was, name), value))
            add_change(changes, what, json_object_get(was, name), value);
    json_object_foreach (was, name, value)
        if (!json_object_get(is, name))
            add_change(changes, what, value, NULL);
}

/* [{what: base | package | order | wheel | sources | installer, from, to}] */
static json_t *compare_inputs(const json_t *was, const json_t *is)
{
    json_t *changes = json_array();
    json_auto_t *before = lines_of(was), *after = lines_of(is);
    compare_field(changes, was, is, "base", "base");
    compare_maps(changes, before, after, "package");
    if (json_equal(before, after) &&
        !json_equal(json_object_get(was, "dependencies"), json_object_get(is, "dependencies")))
        add_change(changes, "order", NULL, NULL);
    if (json_equal(before, after))
        compare_maps(changes, json_object_get(was, "wheels"), json_object_get(is, "wheels"),
                     "wheel");
    compare_field(changes, was, is, "sources", "sources");
    compare_field(changes, was, is, "installer", "installer");
    return changes;
}

/* The environment that this one differs least from; NULL: there is none at all. */
static const Environment *nearest(const GPtrArray *list, const json_t *inputs, json_t **changes)
{
    const Environment *best = NULL;
    *changes = NULL;
    for (guint i = 0; i < list->len; i++) {
        const Environment *row = list->pdata[i];
        json_auto_t *was = json_loads(row->inputs, 0, NULL);
        json_t *found = compare_inputs(was, inputs);
        if (best && json_array_size(found) >= json_array_size(*changes)) {
            json_decref(found);
            continue;
        }
        json_decref(*changes);
        *changes = found;
        best = row;
    }
    return best;
}

/* -- in words -- */

static char *change_words(const json_t *change)
{
    const char *what = json_string_value(json_object_get(change, "what"));
    const char *from = json_string_value(json_object_get(change, "from"));
    const char *to = json_string_value(json_object_get(change, "to"));
    if (strcmp(what, "base") == 0)
        return g_strdup_printf("the base image %.19s became %.19s", from ? from : "", to ? to : "");
    if (strcmp(what, "order") == 0)
        return g_strdup("the packages stand in another order");
    if (strcmp(what, "wheel") == 0)
        return g_strdup("a wheel's content changed");
    if (strcmp(what, "sources") == 0)
        return g_strdup_printf("packages come from elsewhere: %s", to && *to ? to : "nowhere");
    if (strcmp(what, "installer") == 0)
        return g_strdup("this version installs in another way");
    if (from && to)
        return g_strdup_printf("%s became %s", from, to);
    return to ? g_strdup_printf("%s was added", to) : g_strdup_printf("%s was removed", from);
}

static char *changes_words(const json_t *changes)
{
    size_t count = json_array_size(changes);
    g_autofree char *first = count ? change_words(json_array_get(changes, 0)) : NULL;
    if (count < 2)
        return first ? g_steal_pointer(&first) : g_strdup("it is built anew");
    return g_strdup_printf("%s, and %zu more changes", first, count - 1);
}

static Event *event_explained(const char *why, const char *decision, const char *key)
{
    Event *event = event_env_image_explained(why);
    event_with(event, "{s:s, s:s}", "decision", decision, "key", key);
    return event_with_text(event, "why", why);
}

Event *event_environment_miss(Service *service, const EnvironmentKey *key, const char *forced,
                              GError **error)
{
    json_auto_t *changes = NULL;
    g_autoptr(GPtrArray) list = environments_newest(service->db, COMPARED, error);
    if (!list)
        return NULL;
    const Environment *like = nearest(list, key->inputs, &changes);
    g_autofree char *differs = like ? changes_words(changes) : NULL;
    const char *why = forced ? forced : differs ? differs : "none was built yet";
    Event *event = event_explained(why, "build", key->key);
    if (forced || !like)
        return event;
    while (json_array_size(changes) > SHOWN)
        json_array_remove(changes, SHOWN);
    event_with_json(event, "changes", json_incref(changes));
    event_with_text(event, "nearest_model", like->first_model);
    return event_with(event, "{s:s}", "nearest_key", like->key);
}

Event *event_environment_hit(const Environment *environment, const EnvironmentKey *key)
{
    g_autofree char *why = g_strdup_printf("base image, packages and their sources are those of %s",
                                           environment->first_model);
    return event_explained(why, "reuse", key->key);
}

/* -- what an attempt gets of it -- */

bool environment_layer_record(Service *service, const char *model_id, int attempt,
                              const char *layer, int64_t size, int64_t files, GError **error)
{
    const LayerRow row = {.origin = (char *)"environment",
                          .digest = (char *)layer,
                          .media_type = (char *)LAYER_MEDIA_TYPE,
                          .diff_id = (char *)layer,
                          .size = size,
                          .files = files};
    return !layer || layer_insert(service->db, model_id, attempt, &row, error);
}

json_t *environment_result(const char *base_digest, const char *key, const char *packages)
{
    json_t *list = packages ? json_loads(packages, 0, NULL) : NULL;
    return json_pack("{s:s, s:s*, s:o*}", "base", base_digest, "key", key, "packages", list);
}

json_t *environment_packages(Db *db, const char *model_id, int attempt, GError **error)
{
    g_autofree char *text = stage_result(db, model_id, attempt, "environment", error);
    json_auto_t *result = text ? json_loads(text, 0, NULL) : NULL;
    return json_incref(json_object_get(result, "packages"));
}
