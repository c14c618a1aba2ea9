/* What the nodes of a document are asked for: members, paths, jansson values. */
#include "model/document.h"

#include <errno.h>
#include <string.h>

#define PATH_KEY_BYTES 100 /* of one key: paths stand in every fault's evidence */

const Node *node_member(const Node *object, const char *key)
{
    for (guint i = 0; i < object->children->len; i++) {
        const Node *member = object->children->pdata[i];
        if (strcmp(member->key, key) == 0)
            return member;
    }
    return NULL;
}

/* Steps from the root down, the outermost first. */
static GPtrArray *node_steps(const Node *node)
{
    GPtrArray *steps = g_ptr_array_new();
    for (; node->parent; node = node->parent)
        g_ptr_array_insert(steps, 0, (gpointer)node);
    return steps;
}

static char *shortened_key(const char *key)
{
    if (strlen(key) <= PATH_KEY_BYTES)
        return g_strdup(key);
    const char *edge = g_utf8_find_prev_char(key, key + PATH_KEY_BYTES + 1);
    return g_strdup_printf("%.*s…", (int)(edge - key), key);
}

static void append_pointer_key(GString *pointer, const char *full_key)
{
    g_autofree char *key = shortened_key(full_key);
    g_string_append_c(pointer, '/');
    for (const char *at = key; *at; at++) {
        if (*at == '~')
            g_string_append(pointer, "~0");
        else if (*at == '/')
            g_string_append(pointer, "~1");
        else
            g_string_append_c(pointer, *at);
    }
}

static bool is_plain_word(const char *key)
{
    for (const char *at = key; *at; at = g_utf8_next_char(at)) {
        if (*at != '_' && *at != '-' && !g_unichar_isalnum(g_utf8_get_char(at)))
            return false;
    }
    return *key != '\0';
}

/* Anything else is quoted as JSON does it, in ASCII: a path is printed to terminals. */
static void append_dotted_key(GString *dotted, const char *full_key)
{
    g_autofree char *key = shortened_key(full_key);
    if (is_plain_word(full_key)) {
        g_string_append_printf(dotted, "%s%s", dotted->len > 0 ? "." : "", key);
        return;
    }
    json_t *text = json_string(key);
    char *quoted = json_dumps(text, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
    g_string_append_printf(dotted, "[%s]", quoted);
    free(quoted);
    json_decref(text);
}

char *node_pointer(const Node *node)
{
    g_autoptr(GPtrArray) steps = node_steps(node);
    GString *pointer = g_string_new(NULL);
    for (guint i = 0; i < steps->len; i++) {
        const Node *step = steps->pdata[i];
        if (step->key)
            append_pointer_key(pointer, step->key);
        else
            g_string_append_printf(pointer, "/%d", step->index);
    }
    return g_string_free(pointer, FALSE);
}

char *node_dotted(const Node *node)
{
    g_autoptr(GPtrArray) steps = node_steps(node);
    GString *dotted = g_string_new(NULL);
    for (guint i = 0; i < steps->len; i++) {
        const Node *step = steps->pdata[i];
        if (step->key)
            append_dotted_key(dotted, step->key);
        else
            g_string_append_printf(dotted, "[%d]", step->index);
    }
    return g_string_free(dotted, FALSE);
}

char *node_member_pointer(const Node *object, const char *key)
{
    const Node member = {.parent = (Node *)object, .key = (char *)key, .index = -1};
    return node_pointer(&member);
}

char *node_member_dotted(const Node *object, const char *key)
{
    const Node member = {.parent = (Node *)object, .key = (char *)key, .index = -1};
    return node_dotted(&member);
}

static json_t *number_json(const char *text)
{
    if (strpbrk(text, ".eE")) {
        json_t *real = json_real(g_ascii_strtod(text, NULL)); /* NULL: infinite */
        return real ? real : json_string(text);
    }
    errno = 0;
    gint64 integer = g_ascii_strtoll(text, NULL, 10);
    return errno == 0 ? json_integer(integer) : json_string(text);
}

static json_t *object_json(const Node *object)
{
    json_t *json = json_object();
    for (guint i = 0; i < object->children->len; i++) {
        const Node *member = object->children->pdata[i];
        if (!json_object_get(json, member->key))
            json_object_set_new(json, member->key, node_json(member));
    }
    return json;
}

json_t *node_json(const Node *node)
{
    switch (node->kind) {
    case NODE_NULL:
        return json_null();
    case NODE_BOOLEAN:
        return json_boolean(node->truth);
    case NODE_NUMBER:
        return number_json(node->text);
    case NODE_STRING:
        return json_string(node->text);
    case NODE_OBJECT:
        return object_json(node);
    case NODE_ARRAY:
        break;
    }
    json_t *array = json_array();
    for (guint i = 0; i < node->children->len; i++)
        json_array_append_new(array, node_json(node->children->pdata[i]));
    return array;
}
