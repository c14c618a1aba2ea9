#include "import/difference.h"

#include <string.h>

#include "import/difference_parts.h"
#include "model/model.h"

#define CONTEXT 3 /* lines around a change */

static void fact_change_free(FactChange *change)
{
    g_free(change->values[0]);
    g_free(change->values[1]);
    g_free(change);
}

void difference_free(Difference *difference)
{
    if (!difference)
        return;
    for (int i = 0; i < 2; i++) {
        g_free(difference->sides[i].model_id);
        g_free(difference->sides[i].name);
        g_free(difference->sides[i].version);
        g_free(difference->sides[i].outcome);
        g_free(difference->sides[i].source);
    }
    line_diff_free(difference->config);
    g_ptr_array_unref(difference->dependencies);
    g_ptr_array_unref(difference->files);
    g_ptr_array_unref(difference->facts);
    g_array_unref(difference->unknown);
    g_free(difference);
}

/* Whether both sides know it; says which does not. */
static bool both_know(Difference *difference, const char *part, bool old, bool new)
{
    const bool known[] = {old, new};
    for (int i = 0; i < 2; i++) {
        const DifferenceUnknown unknown = {.side = i, .part = part};
        if (!known[i])
            g_array_append_val(difference->unknown, unknown);
    }
    return old && new;
}

static void fact_compare(Difference *difference, const char *fact, const char *old, const char *new)
{
    if (g_strcmp0(old, new) == 0)
        return;
    FactChange *change = g_new0(FactChange, 1);
    change->fact = fact;
    change->values[0] = g_strdup(old);
    change->values[1] = g_strdup(new);
    g_ptr_array_add(difference->facts, change);
}

/* What was really installed, a package each: a version that no line of config.json names changes
 * too. */
static void installed_compare(Difference *difference, json_t *old, json_t *new)
{
    const char *name;
    json_t *value;
    if (!old || !new)
        return;
    json_object_foreach (new, name, value)
        fact_compare(difference, g_intern_string(name),
                     json_string_value(json_object_get(old, name)), json_string_value(value));
    json_object_foreach (old, name, value)
        if (!json_object_get(new, name))
            fact_compare(difference, g_intern_string(name), json_string_value(value), NULL);
}

static void request_compare(Difference *difference, const Side *old, const Side *new)
{
    const ImportRequest *was = old->request, *is = new->request;
    fact_compare(difference, "type", was->type, is->type);
    fact_compare(difference, "child", was->child, is->child);
    fact_compare(difference, "dereference", was->dereference ? "true" : "false",
                 is->dereference ? "true" : "false");
    fact_compare(difference, "description", was->description, is->description);
}

/* Which runtime it was is known from the check on, which digest that had from the build on. */
static void base_compare(Difference *difference, const Side *old, const Side *new)
{
    if (old->attempt->runtime && new->attempt->runtime)
        fact_compare(difference, "runtime", old->attempt->runtime, new->attempt->runtime);
    if (old->source_image || new->source_image)
        fact_compare(difference, "source_image", old->source_image, new->source_image);
    installed_compare(difference, old->installed, new->installed);
    if (!both_know(difference, "base", old->base_known, new->base_known))
        return;
    fact_compare(difference, "base", old->base, new->base);
    fact_compare(difference, "base_digest", old->base_digest, new->base_digest);
    fact_compare(difference, "source_digest", old->source_digest, new->source_digest);
}

static void config_compare(Difference *difference, const Side *sides)
{
    if (!both_know(difference, "config", sides[0].config, sides[1].config))
        return;
    difference->config = line_diff_new(sides[0].config, sides[1].config, CONTEXT);
    if (both_know(difference, "dependencies", sides[0].config_json, sides[1].config_json))
        dependencies_compare(sides, difference->dependencies);
}

static void side_name(DifferenceSide *name, const Side *side)
{
    name->model_id = g_strdup(side->model->id);
    name->name = g_strdup(side->model->name);
    name->version = g_strdup(side->model->version);
    name->attempt = side->attempt->attempt;
    name->is_newest = side->model->attempt == side->attempt->attempt;
    name->outcome = g_strdup(side->attempt->outcome);
    name->ended_at = side->attempt->ended_at;
    name->source = g_strdup(side->request->source);
}

Difference *difference_begin(void)
{
    Difference *difference = g_new0(Difference, 1);
    difference->dependencies =
        g_ptr_array_new_with_free_func((GDestroyNotify)dependency_change_free);
    difference->files = g_ptr_array_new_with_free_func((GDestroyNotify)file_change_free);
    difference->facts = g_ptr_array_new_with_free_func((GDestroyNotify)fact_change_free);
    difference->unknown = g_array_new(FALSE, FALSE, sizeof(DifferenceUnknown));
    return difference;
}

typedef struct {
    Side sides[2];
} Sides;

static void sides_clear(Sides *sides)
{
    side_clear(&sides->sides[0]);
    side_clear(&sides->sides[1]);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Sides, sides_clear)

Difference *difference_new(Service *service, const Model *old, int old_attempt, const Model *new,
                           int new_attempt, GError **error)
{
    g_auto(Sides) both = {0};
    Side *sides = both.sides;
    if (!side_read(&sides[0], service->db, old, old_attempt, error) ||
        !side_read(&sides[1], service->db, new, new_attempt, error))
        return NULL;
    g_autoptr(Difference) difference = difference_begin();
    side_name(&difference->sides[0], &sides[0]);
    side_name(&difference->sides[1], &sides[1]);
    request_compare(difference, &sides[0], &sides[1]);
    config_compare(difference, sides);
    base_compare(difference, &sides[0], &sides[1]);
    if (both_know(difference, "files", sides[0].files_known, sides[1].files_known) &&
        !files_compare(service->db, sides, difference->files, &difference->files_same, error))
        return NULL;
    return g_steal_pointer(&difference);
}

bool difference_is_empty(const Difference *difference)
{
    return (!difference->config || difference->config->rows->len == 0) &&
           difference->dependencies->len == 0 && difference->files->len == 0 &&
           difference->facts->len == 0;
}

bool difference_baseline(Service *service, const Model *model, int attempt, bool *found,
                         Model **old, int *old_attempt, GError **error)
{
    g_autoptr(GError) failure = NULL;
    g_autoptr(DbRows) rows =
        db_query(service->db, error,
                 "SELECT m.id, a.attempt FROM models m JOIN attempts a ON a.model_id = m.id "
                 "WHERE m.project = $1 AND m.name = $2 AND m.deleted_at IS NULL AND "
                 "a.outcome = 'imported' AND "
                 "(m.version_number < $3 OR (m.id = $4 AND a.attempt < $5)) "
                 "ORDER BY m.version_number DESC, a.attempt DESC LIMIT 1",
                 "ssisi", model->project, model->name, model_version_number(model->version),
                 model->id, (int64_t)attempt);
    *found = rows && db_next(rows, &failure);
    if (failure)
        g_propagate_error(error, g_steal_pointer(&failure));
    if (!*found)
        return rows && !*error;
    *old_attempt = (int)db_int(rows, 1);
    *old = model_load(service->db, db_text(rows, 0), error);
    return *old != NULL;
}

char *difference_side_name(const DifferenceSide *side, bool always)
{
    return always || !side->is_newest
               ? g_strdup_printf("%s:%s@%d", side->name, side->version, side->attempt)
               : g_strdup_printf("%s:%s", side->name, side->version);
}
