#include <string.h>

#include "import/difference_parts.h"

static const char *const SIDES[] = {"old", "new"};

/* {old, new}; a side that has none is null. */
static void set_pair(json_t *object, const char *key, char *const *values)
{
    json_object_set_new(object, key,
                        json_pack("{s:s?, s:s?}", SIDES[0], values[0], SIDES[1], values[1]));
}

static json_t *side_json(const DifferenceSide *side)
{
    json_t *object =
        json_pack("{s:s, s:s, s:s, s:i, s:b, s:s, s:s}", "model_id", side->model_id, "model_name",
                  side->name, "model_version", side->version, "attempt", side->attempt, "is_newest",
                  side->is_newest, "outcome", side->outcome, "source", side->source);
    if (side->ended_at)
        json_object_set_new(object, "ended_at", json_integer(side->ended_at));
    return object;
}

static json_t *config_json(const LineDiff *config)
{
    if (!config)
        return json_null();
    json_t *rows = json_array();
    for (guint i = 0; i < config->rows->len; i++)
        json_array_append_new(rows, json_string(config->rows->pdata[i]));
    return json_pack("{s:i, s:i, s:o}", "removed", config->removed, "added", config->added, "lines",
                     rows);
}

static json_t *dependency_json(const DependencyChange *change)
{
    json_t *object = json_pack("{s:s, s:s, s:s}", "change",
                               !change->versions[0]   ? "added"
                               : !change->versions[1] ? "removed"
                                                      : "changed",
                               "installer", change->installer, "name", change->name);
    set_pair(object, "version", change->versions);
    return object;
}

static const char *const CHANGES[] = {[FILE_ADDED] = "added",
                                      [FILE_REMOVED] = "removed",
                                      [FILE_CHANGED] = "changed",
                                      [FILE_UNSURE] = "unsure"};

FileChangeKind file_change_kind(const char *name)
{
    for (size_t i = 0; name && i < G_N_ELEMENTS(CHANGES); i++)
        if (strcmp(name, CHANGES[i]) == 0)
            return (FileChangeKind)i;
    return FILE_UNSURE;
}

static json_t *file_json(const FileChange *change)
{
    json_t *object = json_pack("{s:s, s:s}", "change", CHANGES[change->kind], "path", change->path);
    json_t *size = json_object();
    if (change->kind != FILE_ADDED)
        json_object_set_new(size, "old", json_integer(change->sizes[0]));
    if (change->kind != FILE_REMOVED)
        json_object_set_new(size, "new", json_integer(change->sizes[1]));
    json_object_set_new(object, "size", size);
    set_pair(object, "digest", change->digests);
    if (change->layer_digests[0] || change->layer_digests[1])
        set_pair(object, "layer_digest", change->layer_digests);
    return object;
}

json_t *difference_json(const Difference *difference)
{
    json_t *dependencies = json_array(), *files = json_array(), *facts = json_object(),
           *unknown = json_array();
    for (guint i = 0; i < difference->dependencies->len; i++)
        json_array_append_new(dependencies, dependency_json(difference->dependencies->pdata[i]));
    for (guint i = 0; i < difference->files->len; i++)
        json_array_append_new(files, file_json(difference->files->pdata[i]));
    for (guint i = 0; i < difference->facts->len; i++) {
        const FactChange *change = difference->facts->pdata[i];
        set_pair(facts, change->fact, change->values);
    }
    for (guint i = 0; i < difference->unknown->len; i++) {
        const DifferenceUnknown *row = &g_array_index(difference->unknown, DifferenceUnknown, i);
        json_array_append_new(unknown,
                              json_pack("{s:s, s:s}", "side", SIDES[row->side], "part", row->part));
    }
    return json_pack("{s:o, s:o, s:b, s:o, s:o, s:o, s:I, s:o, s:o}", "old",
                     side_json(&difference->sides[0]), "new", side_json(&difference->sides[1]),
                     "equal", difference_is_empty(difference), "config",
                     config_json(difference->config), "dependencies", dependencies, "files", files,
                     "files_same", (json_int_t)difference->files_same, "facts", facts, "unknown",
                     unknown);
}
