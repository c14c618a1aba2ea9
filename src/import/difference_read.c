/* A difference as difference_json wrote it, back. */
#include <string.h>

#include "import/difference_parts.h"

static char *text_of(const json_t *object, const char *key)
{
    return g_strdup(json_string_value(json_object_get(object, key)));
}

/* Never NULL. */
static char *word_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return g_strdup(text ? text : "");
}

static void read_pair(const json_t *object, const char *key, char **values)
{
    const json_t *pair = json_object_get(object, key);
    values[0] = text_of(pair, "old");
    values[1] = text_of(pair, "new");
}

static void read_side(DifferenceSide *side, const json_t *object)
{
    side->model_id = word_of(object, "model_id");
    side->name = word_of(object, "model_name");
    side->version = word_of(object, "model_version");
    side->attempt = (int)json_integer_value(json_object_get(object, "attempt"));
    side->is_newest = json_is_true(json_object_get(object, "is_newest"));
    side->outcome = word_of(object, "outcome");
    side->ended_at = json_integer_value(json_object_get(object, "ended_at"));
    side->source = word_of(object, "source");
}

static LineDiff *read_config(const json_t *object)
{
    size_t i;
    const json_t *line;
    if (!json_is_object(object))
        return NULL;
    LineDiff *config = line_diff_new("", "", 0);
    config->removed = (int)json_integer_value(json_object_get(object, "removed"));
    config->added = (int)json_integer_value(json_object_get(object, "added"));
    json_array_foreach (json_object_get(object, "lines"), i, line)
        g_ptr_array_add(config->rows,
                        g_strdup(json_is_string(line) ? json_string_value(line) : ""));
    return config;
}

static DependencyChange *read_dependency(const json_t *object)
{
    DependencyChange *change = g_new0(DependencyChange, 1);
    change->installer = word_of(object, "installer");
    change->name = word_of(object, "name");
    read_pair(object, "version", change->versions);
    return change;
}

static FileChange *read_file(const json_t *object)
{
    const json_t *size = json_object_get(object, "size");
    FileChange *change = g_new0(FileChange, 1);
    change->kind = file_change_kind(json_string_value(json_object_get(object, "change")));
    change->path = word_of(object, "path");
    change->sizes[0] = json_integer_value(json_object_get(size, "old"));
    change->sizes[1] = json_integer_value(json_object_get(size, "new"));
    read_pair(object, "digest", change->digests);
    read_pair(object, "layer_digest", change->layer_digests);
    return change;
}

static void read_rows(Difference *difference, const json_t *object)
{
    size_t i;
    const json_t *row;
    json_array_foreach (json_object_get(object, "dependencies"), i, row)
        g_ptr_array_add(difference->dependencies, read_dependency(row));
    json_array_foreach (json_object_get(object, "files"), i, row)
        g_ptr_array_add(difference->files, read_file(row));
    json_array_foreach (json_object_get(object, "unknown"), i, row) {
        const char *part = json_string_value(json_object_get(row, "part"));
        const char *side = json_string_value(json_object_get(row, "side"));
        const DifferenceUnknown unknown = {.side = g_strcmp0(side, "new") == 0,
                                           .part = g_intern_string(part ? part : "")};
        g_array_append_val(difference->unknown, unknown);
    }
}

static void read_facts(Difference *difference, json_t *facts)
{
    const char *fact;
    json_t *unused;
    json_object_foreach (facts, fact, unused) {
        FactChange *change = g_new0(FactChange, 1);
        change->fact = g_intern_string(fact);
        read_pair(facts, fact, change->values);
        g_ptr_array_add(difference->facts, change);
    }
}

Difference *difference_of_json(json_t *object)
{
    Difference *difference = difference_begin();
    read_side(&difference->sides[DIFFERENCE_OLD], json_object_get(object, "old"));
    read_side(&difference->sides[DIFFERENCE_NEW], json_object_get(object, "new"));
    difference->config = read_config(json_object_get(object, "config"));
    difference->files_same = json_integer_value(json_object_get(object, "files_same"));
    read_rows(difference, object);
    read_facts(difference, json_object_get(object, "facts"));
    return difference;
}
