/* What a package must hold: the files of its engine (44, 45).
 *
 * The engines stand in a table of file name patterns. A need is met by the files directly in the
 * model directory, but for NEEDS_ANYWHERE, which looks at whole paths. */
#include "model/package.h"

#include <stdio.h>
#include <string.h>

#define LISTING_MAX 20

typedef enum {
    NEEDS_ONE,     /* exactly one file; a second group counts only where the first found nothing */
    NEEDS_PAIR,    /* exactly one file of each group */
    NEEDS_SOME,    /* at least one file */
    NEEDS_ANYWHERE /* at least one file, in folders too */
} Need;

typedef struct {
    const char *type;
    Need need;
    const char *groups[2][4]; /* patterns */
    const char *expected;
} EngineRule;

static const EngineRule RULES[] = {
    {"TensorFlow",
     NEEDS_ONE,
     {{"saved_model.pb"}, {"*.pb", "*.h5", "*.keras"}},
     "saved_model.pb, or one *.pb, *.h5 or *.keras"},
    {"PyTorch", NEEDS_ONE, {{"*.pth", "*.pt"}}, "one *.pth or *.pt"},
    {"MindSpore", NEEDS_ONE, {{"*.ckpt", "*.mindir"}, {"*.om"}}, "one *.ckpt, *.om or *.mindir"},
    {"MXNet", NEEDS_PAIR, {{"*-symbol.json"}, {"*.params"}}, "one *-symbol.json and one *.params"},
    {"Caffe",
     NEEDS_PAIR,
     {{"*.prototxt"}, {"*.caffemodel"}},
     "one *.prototxt and one *.caffemodel"},
    {"XGBoost",
     NEEDS_ONE,
     {{"*.m", "*.ubj", "*.bst"}, {"*.json"}},
     "one *.m, *.ubj, *.bst or *.json"},
    {"Scikit_Learn", NEEDS_ONE, {{"*.m", "*.joblib", "*.pkl"}}, "one *.m, *.joblib or *.pkl"},
    {"Spark_MLlib", NEEDS_ANYWHERE, {{"spark_model/*"}}, "the directory spark_model/"},
    {"ONNX", NEEDS_ONE, {{"*.onnx"}}, "one *.onnx"},
    {"LLM", NEEDS_SOME, {{"*.safetensors", "*.gguf"}}, "*.safetensors or *.gguf, any number"},
    {"Custom", NEEDS_ANYWHERE, {{"*"}}, "any file beside config.json"},
};

static const EngineRule *rule_of(const char *type)
{
    for (size_t i = 0; i < G_N_ELEMENTS(RULES); i++)
        if (strcmp(RULES[i].type, type) == 0)
            return &RULES[i];
    return NULL;
}

static bool group_matches(const char *const *group, const char *path)
{
    for (int i = 0; i < 4 && group[i]; i++)
        if (g_pattern_match_simple(group[i], path))
            return true;
    return false;
}

/* A name directly in the model directory that may be a model's: no config.json, no leading dot. */
static bool is_candidate(const char *path)
{
    return path[0] != '.' && !strchr(path, '/') && strcmp(path, "config.json") != 0;
}

/* Whether a path can be the engine's model file. */
static bool rule_matches(const EngineRule *rule, const char *path)
{
    bool candidate =
        rule->need == NEEDS_ANYWHERE ? strcmp(path, "config.json") != 0 : is_candidate(path);
    return candidate &&
           (group_matches(rule->groups[0], path) || group_matches(rule->groups[1], path));
}

bool package_is_model_file(const char *model_type, const char *path)
{
    const EngineRule *rule = rule_of(model_type);
    return rule && rule_matches(rule, path);
}

static GPtrArray *files_of_group(const Package *package, const char *const *group)
{
    GPtrArray *found = g_ptr_array_new();
    for (guint i = 0; group[0] && i < package->files->len; i++) {
        PackageFile *file = package->files->pdata[i];
        if (is_candidate(file->path) && group_matches(group, file->path))
            g_ptr_array_add(found, file);
    }
    return found;
}

/* Whether an entry of that kind is there but was refused (29): then it is not missing as well. */
static bool group_was_refused(const Package *package, const EngineRule *rule, Findings *findings)
{
    size_t child = strcmp(package->child, ".") == 0 ? 0 : strlen(package->child) + 1;
    for (guint i = 0; i < findings->events->len; i++) {
        const Event *event = findings->events->pdata[i];
        const char *path = json_string_value(json_object_get(event->evidence, "path"));
        if (event->reason != EVENT_ModelFilesCopyFailed || !path || strlen(path) <= child)
            continue;
        g_autofree char *inside =
            g_strconcat(path + child, rule->need == NEEDS_ANYWHERE ? "/" : "", NULL);
        for (size_t g = 0; g < G_N_ELEMENTS(rule->groups); g++)
            if (group_matches(rule->groups[g], inside))
                return true;
    }
    return false;
}

/* Names directly in the model directory, folders with a slash, at most LISTING_MAX of them. */
static json_t *package_listing(const Package *package)
{
    json_t *listing = json_array();
    g_autofree char *last = NULL;
    for (guint i = 0; i < package->files->len && json_array_size(listing) < LISTING_MAX; i++) {
        const PackageFile *file = package->files->pdata[i];
        const char *slash = strchr(file->path, '/');
        g_autofree char *name =
            slash ? g_strndup(file->path, (gsize)(slash - file->path) + 1) : g_strdup(file->path);
        if (g_strcmp0(name, last) != 0)
            json_array_append_new(listing, json_string(name));
        g_free(last);
        last = g_steal_pointer(&name);
    }
    return listing;
}

static json_t *files_json(const Package *package, const GPtrArray *files)
{
    json_t *array = json_array();
    for (guint i = 0; i < files->len && i < LISTING_MAX; i++) {
        const PackageFile *file = files->pdata[i];
        g_autofree char *path = package_path_in_source(package->child, file->path);
        json_array_append_new(array, json_pack("{s:s, s:I, s:I}", "path", path, "size",
                                               (json_int_t)file->identity.size, "mtime",
                                               (json_int_t)(file->identity.mtime_ns / 1000000)));
    }
    return array;
}

static char *model_directory(const Package *package)
{
    g_autofree char *directory = event_text(package->directory);
    if (strcmp(package->child, ".") == 0)
        return g_steal_pointer(&directory);
    return g_build_path("/", directory, package->child, NULL);
}

/* The first file that is the engine's, but lies in a folder. */
static const char *file_too_deep(const Package *package, const EngineRule *rule)
{
    for (guint i = 0; rule->need != NEEDS_ANYWHERE && i < package->files->len; i++) {
        const char *path = ((PackageFile *)package->files->pdata[i])->path;
        const char *slash = strrchr(path, '/');
        if (slash && rule_matches(rule, slash + 1))
            return path;
    }
    return NULL;
}

/* The engine whose files lie here: the only one that a file belongs to. NULL: none, or several. */
static const char *engine_guess(const Package *package)
{
    const EngineRule *guess = NULL;
    for (size_t r = 0; r < G_N_ELEMENTS(RULES); r++) {
        if (RULES[r].need == NEEDS_ANYWHERE)
            continue;
        bool fits = false;
        for (guint i = 0; !fits && i < package->files->len; i++)
            fits = rule_matches(&RULES[r], ((PackageFile *)package->files->pdata[i])->path);
        if (fits && guess)
            return NULL;
        if (fits)
            guess = &RULES[r];
    }
    return guess ? guess->type : NULL;
}

static void add_guess(Event *event, const Package *package, const EngineRule *rule, bool foreign)
{
    const char *deeper = file_too_deep(package, rule);
    const char *guess = foreign && !deeper ? engine_guess(package) : NULL;
    if (deeper) {
        g_autofree char *path = package_path_in_source(package->child, deeper);
        event_with_text(event, "deeper", path);
    }
    if (guess)
        event_with(event, "{s:s}", "guess", guess);
}

static void add_missing(const Package *package, const EngineRule *rule, const char *half,
                        const char *missing, Findings *findings)
{
    if (group_was_refused(package, rule, findings))
        return;
    g_autofree char *directory = model_directory(package);
    Event *event = event_model_file_missing(rule->type, directory);
    event_with(event, "{s:s, s:s, s:s}", "path", package->child, "expected", rule->expected,
               "found", half ? half : "none");
    if (half)
        event_with(event, "{s:s, s:s}", "half", half, "missing", missing);
    add_guess(event, package, rule, !half);
    findings_add(findings, event_with_json(event, "listing", package_listing(package)));
}

static Event *finding_ambiguous(const Package *package, const EngineRule *rule,
                                const GPtrArray *files)
{
    g_autofree char *directory = model_directory(package);
    Event *event = event_model_file_ambiguous(rule->type, directory);
    event_with(event, "{s:s, s:s, s:i}", "path", package->child, "expected", rule->expected, "n",
               (int)files->len);
    return event_with_json(event, "files", files_json(package, files));
}

static void check_one(const Package *package, const EngineRule *rule, Findings *findings)
{
    g_autoptr(GPtrArray) found = files_of_group(package, rule->groups[0]);
    g_autoptr(GPtrArray) second = files_of_group(package, rule->groups[1]);
    bool mindspore = strcmp(rule->type, "MindSpore") == 0;
    if (found->len == 0 ||
        (mindspore && (found->len > 1 || second->len > 1 ||
                       !g_str_has_suffix(((PackageFile *)found->pdata[0])->path, ".ckpt"))))
        g_ptr_array_extend(found, second, NULL,
                           NULL); /* one *.om may stand beside a *.ckpt, beside nothing else */
    if (found->len == 0)
        add_missing(package, rule, NULL, NULL, findings);
    else if (found->len > 1)
        findings_add(findings, finding_ambiguous(package, rule, found));
}

static void check_pair(const Package *package, const EngineRule *rule, Findings *findings)
{
    g_autoptr(GPtrArray) first = files_of_group(package, rule->groups[0]);
    g_autoptr(GPtrArray) second = files_of_group(package, rule->groups[1]);
    if (first->len == 1 && second->len == 1)
        return;
    if (first->len && second->len) {
        g_ptr_array_extend(first, second, NULL, NULL);
        findings_add(findings, finding_ambiguous(package, rule, first));
        return;
    }
    const GPtrArray *present = first->len ? first : second;
    const char *half = present->len ? ((PackageFile *)present->pdata[0])->path : NULL;
    add_missing(package, rule, half, rule->groups[first->len ? 1 : 0][0], findings);
}

static void check_anywhere(const Package *package, const EngineRule *rule, Findings *findings)
{
    for (guint i = 0; i < package->files->len; i++)
        if (rule_matches(rule, ((PackageFile *)package->files->pdata[i])->path))
            return;
    add_missing(package, rule, NULL, NULL, findings);
}

void package_check_engine(const Package *package, const char *model_type, Findings *findings)
{
    const EngineRule *rule = rule_of(model_type);
    if (!rule)
        return;
    switch (rule->need) {
    case NEEDS_ONE:
        check_one(package, rule, findings);
        return;
    case NEEDS_PAIR:
        check_pair(package, rule, findings);
        return;
    case NEEDS_ANYWHERE:
        check_anywhere(package, rule, findings);
        return;
    case NEEDS_SOME: {
        g_autoptr(GPtrArray) found = files_of_group(package, rule->groups[0]);
        if (found->len == 0)
            add_missing(package, rule, NULL, NULL, findings);
        return;
    }
    }
}
