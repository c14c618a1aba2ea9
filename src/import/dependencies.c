#include "import/dependencies.h"

#include <string.h>

/* jansson would refuse a byte-order mark, which config.json may have. */
static json_t *document_member(const Document *document, const char *key)
{
    const Node *root = document->root;
    const Node *member = root && root->kind == NODE_OBJECT ? node_member(root, key) : NULL;
    return member && member->kind == NODE_ARRAY ? node_json(member) : json_array();
}

json_t *dependencies_in_force(const ImportRequest *request, const char *config_text)
{
    const char *text = request->dependencies ? request->dependencies : config_text;
    if (!text)
        return json_array();
    g_autoptr(Document) document = document_parse(text, strlen(text));
    if (request->dependencies)
        document_name(document, "dependencies");
    return document_member(document, "dependencies");
}

json_t *dependencies_normal(const json_t *dependencies)
{
    const ConfigContext context = {0};
    g_autoptr(Findings) findings = findings_new();
    g_autofree char *text = json_dumps(dependencies, JSON_COMPACT);
    g_autoptr(Config) config =
        config_read_dependencies(text, strlen(text), "dependencies", &context, findings);
    return config_dependencies_json(config->dependencies);
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

char *dependency_text(const json_t *package)
{
    static const char *const OPERATORS[][2] = {{"EXACT", "=="},
                                               {"ATLEAST", ">="},
                                               {"ATMOST", "<="}};
    const char *name = text_of(package, "package_name"), *restraint = text_of(package, "restraint"),
               *sign = *restraint ? " " : "";
    for (size_t i = 0; i < G_N_ELEMENTS(OPERATORS); i++)
        if (strcmp(restraint, OPERATORS[i][0]) == 0)
            sign = OPERATORS[i][1];
    return g_strconcat(*name ? name : "?", sign, text_of(package, "package_version"), NULL);
}

void dependencies_take(Config *config, const ImportRequest *request, const char *type,
                       const Package *package, Findings *findings)
{
    if (!request->dependencies)
        return;
    const char *file = request->dependencies_file ? request->dependencies_file : "dependencies";
    const ConfigContext context = {.request_type = type, .package = package};
    g_autoptr(Config) apart =
        config_read_dependencies(request->dependencies, strlen(request->dependencies), file,
                                 &context, findings);
    if (!config)
        return;
    g_ptr_array_unref(config->dependencies);
    config->dependencies = g_ptr_array_ref(apart->dependencies);
}
