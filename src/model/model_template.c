#include "model/model_template.h"

#include <stdlib.h>
#include <string.h>

#include "model/config_check.h"
#include "model/model.h"

#define DEFAULT_INPUT "model_folder"
#define DEFAULT_THEME "Common"

static const char *const THEMES[] = {"Classification", DEFAULT_THEME, NULL};
/* Of config.json: what the template says beside its skeleton. */
static const char *const BESIDE[] = {"model_type", "runtime", "apis", "swr_location", NULL};

/* -- rules -- */

static void rule_id(Check *check, const Field *field, const Node *value)
{
    if (model_rule_id(value->text))
        check_broken(check, field, value);
}

static void rule_engine(Check *check, const Field *field, const Node *value)
{
    if (check_is_image(check))
        check_fault(check, "value", value, "an engine: an image brings its own");
    else if (!config_is_model_type(value->text))
        check_broken(check, field, value);
}

static const Field TEXTS[] = {
    {.key = "en", .kinds = KIND(NODE_STRING), .expected = "a text", .example = "\"en\": \"…\""},
    {.key = "zh", .kinds = KIND(NODE_STRING), .expected = "a text", .example = "\"zh\": \"…\""},
    {0},
};

static void rule_text(Check *check, const Field *field, const Node *value)
{
    if (value->kind == NODE_OBJECT)
        check_members(check, value, TEXTS);
}

/* An unknown field of it is the inference code's, as in a config.json. */
static void rule_skeleton(Check *check, const Field *field, const Node *value)
{
    check_skeleton(check, value, BESIDE,
                   "nothing: engine, runtime and infer_formats of the template say it");
}

static void rule_required(Check *check, const Field *field, const Node *value)
{
    if (!value->truth)
        check_broken(check, field, value);
}

static void rule_one(Check *check, const Field *field, const Node *value)
{
    if (value->children->len == 1)
        rule_elements(check, field, value);
    else
        check_broken(check, field, value);
}

static const Node *id_of(const Node *mode)
{
    const Node *id = mode->kind == NODE_OBJECT ? node_member(mode, "infer_format") : NULL;
    return id && id->kind == NODE_STRING ? id : NULL;
}

static void rule_modes(Check *check, const Field *field, const Node *value)
{
    g_autoptr(GHashTable) known = g_hash_table_new(g_str_hash, g_str_equal);
    if (!value->children->len)
        check_broken(check, field, value);
    rule_elements(check, field, value);
    for (guint i = 0; i < value->children->len; i++) {
        const Node *id = id_of(value->children->pdata[i]);
        if (id && !g_hash_table_add(known, id->text))
            check_fault(check, "value", id, "another id than the modes before it have");
    }
}

/* -- tables -- */

#define TEXT(name)                                                                      \
    {                                                                                   \
        .key = name, .kinds = KIND(NODE_STRING) | KIND(NODE_OBJECT), .rule = rule_text, \
        .expected = "a text, or {en, zh}"                                               \
    }

static const Field INPUT_MEMBERS[] = {
    {
        .key = "input_id",
        .kinds = KIND(NODE_STRING),
        .expected = MODEL_ID_RULE,
        .rule = rule_id,
        .example = "\"input_id\": \"" DEFAULT_INPUT "\"",
    },
    TEXT("name"),
    TEXT("description"),
    {
        .key = "required",
        .kinds = KIND(NODE_BOOLEAN),
        .expected = "true: it is the only one",
        .rule = rule_required,
    },
    {0},
};

static const Field INPUT = {
    .kinds = KIND(NODE_OBJECT),
    .expected = "an object {input_id, name, description, required}",
    .rule = rule_members,
    .members = INPUT_MEMBERS,
};

static const Field MODE_MEMBERS[] = {
    {
        .key = "infer_format",
        .kinds = KIND(NODE_STRING),
        .expected = MODEL_ID_RULE,
        .rule = rule_id,
        .example = "\"infer_format\": \"image-in-json-out\"",
    },
    TEXT("description"),
    {
        .key = "apis",
        .kinds = KIND(NODE_ARRAY),
        .expected = "an array of {url, method, protocol, request, response}",
        .rule = rule_elements,
        .members = &CONFIG_API,
    },
    {0},
};

static const Field MODE = {
    .kinds = KIND(NODE_OBJECT),
    .expected = "an object {infer_format, description, apis}",
    .rule = rule_members,
    .members = MODE_MEMBERS,
};

static const Field TEMPLATE_FIELDS[] = {
    TEXT("name"),
    TEXT("description"),
    {
        .key = "engine",
        .kinds = KIND(NODE_STRING),
        .rule = rule_engine,
        .choices = CONFIG_MODEL_TYPES,
        .example = "\"engine\": \"TensorFlow\"",
    },
    {
        .key = "runtime",
        .kinds = KIND(NODE_STRING),
        .expected = MODEL_ID_RULE,
        .rule = rule_id,
    },
    {
        .key = "theme",
        .kinds = KIND(NODE_STRING),
        .rule = rule_choice,
        .choices = THEMES,
    },
    {
        .key = "config",
        .kinds = KIND(NODE_OBJECT),
        .expected = "an object: config.json without model_type, runtime and apis",
        .rule = rule_skeleton,
        .example = "\"config\": {\"model_algorithm\": \"image_classification\"}",
    },
    {
        .key = "infer_formats",
        .kinds = KIND(NODE_ARRAY),
        .expected = "an array of one or more {infer_format, description, apis}",
        .rule = rule_modes,
        .members = &MODE,
        .example = "\"infer_formats\": [{\"infer_format\": \"undefined\"}]",
    },
    {
        .key = "inputs",
        .kinds = KIND(NODE_ARRAY),
        .expected = "an array of one {input_id, name, description}: an import has one source",
        .rule = rule_one,
        .members = &INPUT,
    },
    {0},
};

/* -- what it says: of a sound one -- */

static char *member_text(const Node *object, const char *key, const char *otherwise)
{
    const Node *node = object ? node_member(object, key) : NULL;
    return g_strdup(node ? node->text : otherwise);
}

static TemplateText text_of(const Node *object, const char *key, const char *otherwise)
{
    const Node *node = object ? node_member(object, key) : NULL;
    if (node && node->kind == NODE_OBJECT)
        return (TemplateText){{member_text(node, "en", ""), member_text(node, "zh", "")}};
    const char *both = node ? node->text : otherwise;
    return (TemplateText){{g_strdup(both), g_strdup(both)}};
}

static void text_clear(TemplateText *text)
{
    g_free(text->text[LANGUAGE_EN]);
    g_free(text->text[LANGUAGE_ZH]);
}

static void mode_free(gpointer data)
{
    TemplateMode *mode = data;
    g_free(mode->id);
    text_clear(&mode->description);
    json_decref(mode->apis);
    g_free(mode);
}

static TemplateMode *mode_new(const Node *node)
{
    const Node *apis = node_member(node, "apis");
    TemplateMode *mode = g_new0(TemplateMode, 1);
    mode->id = member_text(node, "infer_format", NULL);
    mode->description = text_of(node, "description", "");
    mode->apis = apis ? node_json(apis) : NULL;
    return mode;
}

static ModelTemplate *template_new(const char *id, const Node *root)
{
    const Node *modes = node_member(root, "infer_formats"), *inputs = node_member(root, "inputs");
    const Node *input = inputs ? inputs->children->pdata[0] : NULL;
    ModelTemplate *template = g_new0(ModelTemplate, 1);
    template->id = g_strdup(id);
    template->name = text_of(root, "name", id);
    template->description = text_of(root, "description", "");
    template->engine = member_text(root, "engine", NULL);
    template->runtime = member_text(root, "runtime", NULL);
    template->theme = member_text(root, "theme", DEFAULT_THEME);
    template->config = node_json(node_member(root, "config"));
    template->modes = g_ptr_array_new_with_free_func(mode_free);
    for (guint i = 0; i < modes->children->len; i++)
        g_ptr_array_add(template->modes, mode_new(modes->children->pdata[i]));
    template->input_id = member_text(input, "input_id", DEFAULT_INPUT);
    template->input_name = text_of(input, "name", template->input_id);
    template->input_description = text_of(input, "description", "");
    return template;
}

void model_template_free(ModelTemplate *template)
{
    if (!template)
        return;
    g_free(template->id);
    text_clear(&template->name);
    text_clear(&template->description);
    g_free(template->engine);
    g_free(template->runtime);
    g_free(template->theme);
    json_decref(template->config);
    g_ptr_array_unref(template->modes);
    g_free(template->input_id);
    text_clear(&template->input_name);
    text_clear(&template->input_description);
    g_free(template);
}

static void check_template(Check *check, const Node *root)
{
    const Node *engine = root->kind == NODE_OBJECT ? node_member(root, "engine") : NULL;
    static const Field WHOLE = {.kinds = KIND(NODE_OBJECT),
                                .expected = "an object {engine, config, infer_formats, …}",
                                .rule = rule_members,
                                .members = TEMPLATE_FIELDS};
    if (engine && engine->kind == NODE_STRING && config_is_model_type(engine->text))
        check->model_type = engine->text;
    check_field(check, &WHOLE, root);
}

ModelTemplate *model_template_read(const char *id, const void *bytes, size_t size,
                                   Findings *findings)
{
    g_autofree char *file = g_strconcat(id, TEMPLATE_SUFFIX, NULL);
    g_autoptr(Config) config = config_new(file);
    config->document = document_parse(bytes, size);
    const ConfigContext context = {0};
    Check check = {.config = config,
                   .document = config->document,
                   .context = &context,
                   .strict = true};
    check_reading(&check);
    if (config->document->root)
        check_template(&check, config->document->root);
    const guint count = check.count;
    check_finish(&check, findings);
    return count ? NULL : template_new(id, config->document->root);
}

/* -- an import's config -- */

const TemplateMode *model_template_mode(const ModelTemplate *template, const char *id)
{
    for (guint i = 0; i < template->modes->len; i++) {
        const TemplateMode *mode = template->modes->pdata[i];
        if (!id || strcmp(mode->id, id) == 0)
            return mode;
    }
    return NULL;
}

char *model_template_config(const ModelTemplate *template, const TemplateMode *mode,
                            const char *algorithm, json_t *apis)
{
    json_auto_t *config = json_copy(template->config);
    json_t *said = apis ? apis : mode->apis;
    json_object_set_new(config, "model_type", json_string(template->engine));
    if (template->runtime)
        json_object_set_new(config, "runtime", json_string(template->runtime));
    if (algorithm)
        json_object_set_new(config, "model_algorithm", json_string(algorithm));
    if (said)
        json_object_set(config, "apis", said);
    char *text = json_dumps(config, JSON_INDENT(2));
    char *copy = g_strconcat(text, "\n", NULL);
    free(text);
    return copy;
}
