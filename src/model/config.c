#include "model/config_check.h"

#include "base/digest.h"

#include <string.h>

#define DEFAULT_PORT 8080

static const char *text_of(const Node *root, const char *key)
{
    const Node *node = node_member(root, key);
    return node && node->kind == NODE_STRING ? node->text : NULL;
}

static json_t *json_of(const Node *root, const char *key, NodeKind kind)
{
    const Node *node = node_member(root, key);
    return node && node->kind == kind ? node_json(node) : NULL;
}

static int port_of(const Node *root)
{
    gint64 port = DEFAULT_PORT;
    const Node *node = node_member(root, "port");
    if (node && node->kind == NODE_NUMBER)
        g_ascii_string_to_signed(node->text, 10, 1, 65535, &port, NULL);
    return (int)port;
}

/* What could be understood, right or wrong. */
static void config_keep(Config *config, const Node *root)
{
    config->model_algorithm = g_strdup(text_of(root, "model_algorithm"));
    config->model_type = g_strdup(text_of(root, "model_type"));
    config->runtime = g_strdup(text_of(root, "runtime"));
    config->swr_location = g_strdup(text_of(root, "swr_location"));
    config->health = json_of(root, "health", NODE_OBJECT);
    config->apis = json_of(root, "apis", NODE_ARRAY);
    config->metrics = json_of(root, "metrics", NODE_OBJECT);
    config->port = port_of(root);
}

Config *config_new(const char *file)
{
    Config *config = g_new0(Config, 1);
    config->file = g_strdup(file);
    config->dependencies = g_ptr_array_new_with_free_func(dependency_free);
    config->warnings = g_ptr_array_new_with_free_func(g_free);
    config->port = DEFAULT_PORT;
    return config;
}

void config_free(Config *config)
{
    if (!config)
        return;
    document_free(config->document);
    g_free(config->file);
    g_free(config->model_algorithm);
    g_free(config->model_type);
    g_free(config->runtime);
    g_free(config->swr_location);
    g_ptr_array_unref(config->dependencies);
    json_decref(config->health);
    json_decref(config->apis);
    json_decref(config->metrics);
    g_ptr_array_unref(config->warnings);
    g_free(config->digest);
    g_free(config);
}

/* config.json's type decides; the request's where config.json has none that is one. */
static const char *decisive_type(const Config *config, const ConfigContext *context)
{
    if (config->model_type && config_is_model_type(config->model_type))
        return config->model_type;
    if (context->request_type && config_is_model_type(context->request_type))
        return context->request_type;
    return NULL;
}

/* Kinds of 8 for kinds of DocumentFault: what belongs to a field is its value's fault. */
static const char *reading_kind(const DocumentFault *fault)
{
    bool of_field = strcmp(fault->kind, "duplicate") == 0 || strcmp(fault->kind, "range") == 0;
    return of_field ? "value" : "syntax";
}

void check_reading(Check *check)
{
    const GPtrArray *faults = check->document->faults;
    for (guint i = 0; i < faults->len; i++) {
        const DocumentFault *fault = faults->pdata[i];
        if (!check_counts(check))
            continue;
        Event *event =
            event_with_kind(event_config_value_invalid(fault->dotted), reading_kind(fault));
        check_add(check, event,
                  &(Spot){fault->line, fault->column, fault->start, fault->length, fault->pointer,
                          fault->found, fault->expected});
    }
    check->count += check->document->fault_count - faults->len;
}

/* A fault of the whole document that a place in it shows. */
static void report_whole(Check *check, const char *kind, const Node *value, const char *expected)
{
    if (!check_counts(check))
        return;
    g_autofree char *found = node_found(check->document, value);
    check_add(check, event_with_kind(event_config_value_invalid("config.json"), kind),
              &(Spot){value->line, value->column, value->start, value->length, "", found,
                      expected});
}

/* Hugging Face puts its own config.json at the very same path; NULL: this is not it. */
static const Node *huggingface_mark(const Node *root)
{
    if (node_member(root, "model_algorithm"))
        return NULL;
    const Node *architectures = node_member(root, "architectures");
    return architectures ? architectures : node_member(root, "transformers_version");
}

static void check_document(Check *check)
{
    Config *config = check->config;
    const Node *root = check->document->root;
    check_reading(check);
    if (check->document->byte_order_mark)
        g_ptr_array_add(config->warnings, g_strdup("byte order mark"));
    if (!root)
        return;
    if (root->kind != NODE_OBJECT) {
        report_whole(check, "syntax", root, "an object: { … }");
        return;
    }
    const Node *mark = huggingface_mark(root);
    if (mark) {
        report_whole(check, "huggingface_config", mark,
                     "the import's own config.json with model_algorithm and model_type");
        return;
    }
    config_keep(config, root);
    check->model_type = decisive_type(config, check->context);
    check_root(check, root);
}

Config *config_read_dependencies(const void *bytes, size_t size, const char *file,
                                 const ConfigContext *context, Findings *findings)
{
    Config *config = config_new(file);
    config->document = document_parse(bytes, size);
    document_name(config->document, "dependencies");
    Check check = {.config = config, .document = config->document, .context = context};
    check.model_type = decisive_type(config, context);
    check_reading(&check);
    if (config->document->root)
        check_dependencies(&check, node_member(config->document->root, "dependencies"));
    check_finish(&check, findings);
    return config;
}

Config *config_read(const void *bytes, size_t size, const char *file, const ConfigContext *context,
                    Findings *findings)
{
    Config *config = config_new(file);
    config->digest = digest_of(bytes, size);
    config->document = document_parse(bytes, size);
    Check check = {.config = config, .document = config->document, .context = context};
    check_document(&check);
    check_finish(&check, findings);
    return config;
}
