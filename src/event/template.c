#include "event/template.h"

#include <string.h>

#include "base/size.h"

#define SHOWN_ELEMENTS 10 /* of an array; a sentence is to be read, the evidence has them all */

static const json_t *source_find(const json_t *source, char *const *names)
{
    for (; source && *names; names++)
        source = json_object_get(source, *names);
    return source;
}

static bool is_there(const json_t *value)
{
    if (json_is_string(value))
        return *json_string_value(value) != '\0';
    return value && !json_is_null(value) && !json_is_false(value);
}

static const json_t *field_find(const char *field, const json_t *const *sources)
{
    g_auto(GStrv) names = g_strsplit(field, ".", -1);
    for (; *sources; sources++) {
        const json_t *value = source_find(*sources, names);
        if (is_there(value))
            return value;
    }
    return NULL;
}

/* "weights.bin (5.0 GiB)": a file of `files` and `top`; other objects as JSON. */
static void append_object(GString *filled, const json_t *object)
{
    const char *path = json_string_value(json_object_get(object, "path"));
    const json_t *size = json_object_get(object, "size");
    if (path && json_is_integer(size)) {
        g_autofree char *shown = size_text(json_integer_value(size));
        g_string_append_printf(filled, "%s (%s)", path, shown);
        return;
    }
    char *text = json_dumps(object, JSON_COMPACT);
    g_string_append(filled, text ? text : "");
    free(text);
}

static void append_scalar(GString *filled, const json_t *value)
{
    if (json_is_string(value)) {
        g_string_append(filled, json_string_value(value));
    } else if (json_is_object(value)) {
        append_object(filled, value);
    } else {
        char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
        g_string_append(filled, text ? text : "");
        free(text);
    }
}

static void append_array(GString *filled, const json_t *array, Language language)
{
    size_t i;
    json_t *element;
    if (json_array_size(array) == 0)
        g_string_append(filled, language == LANGUAGE_ZH ? "无" : "none");
    json_array_foreach (array, i, element) {
        g_string_append(filled, i ? ", " : "");
        if (i == SHOWN_ELEMENTS) {
            g_string_append(filled, "…");
            return;
        }
        append_scalar(filled, element);
    }
}

/* A path of a package may hold anything, and its reader pastes the command into a shell. */
static void append_word(GString *filled, const char *text)
{
    static const char plain[] = G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "_@%+=:,./-";
    g_autofree char *path = g_strconcat(*text == '-' ? "./" : "", text, NULL);
    g_autofree char *quoted = g_shell_quote(path);
    g_string_append(filled, path[strspn(path, plain)] ? quoted : path);
}

/* What stands between the braces. */
static bool append_field(GString *filled, const char *inside, Language language,
                         const json_t *const *sources)
{
    g_auto(GStrv) parts = g_strsplit(inside, ":", 2);
    const json_t *value = field_find(parts[0], sources);
    const char *form = parts[1] ? parts[1] : "";
    if (strcmp(form, "unless") == 0)
        return !value;
    if (!value)
        return false;
    if (strcmp(form, "if") == 0)
        return true;
    if (strcmp(form, "bytes") == 0 && json_is_integer(value)) {
        g_autofree char *size = size_text(json_integer_value(value));
        g_string_append(filled, size);
    } else if (strcmp(form, "sh") == 0 && json_is_string(value)) {
        append_word(filled, json_string_value(value));
    } else if (json_is_array(value)) {
        append_array(filled, value, language);
    } else {
        append_scalar(filled, value);
    }
    return true;
}

/* The brace that closes the one at `open`. */
static const char *brace_end(const char *open)
{
    int depth = 0;
    for (const char *at = open; *at; at++) {
        depth += *at == '{' ? 1 : *at == '}' ? -1 : 0;
        if (depth == 0)
            return at;
    }
    g_error("a brace is not closed: %s", open);
}

char *template_fill(const char *text, Language language, const json_t *const *sources)
{
    g_autoptr(GString) filled = g_string_new(NULL);
    while (*text) {
        const char *open = strchrnul(text, '{');
        g_string_append_len(filled, text, open - text);
        if (!*open)
            break;
        const char *end = brace_end(open);
        bool optional = open[1] == '?';
        const char *start = open + (optional ? 2 : 1);
        g_autofree char *inside = g_strndup(start, (gsize)(end - start));
        if (optional) {
            g_autofree char *part = template_fill(inside, language, sources);
            g_string_append(filled, part ? part : "");
        } else if (!append_field(filled, inside, language, sources)) {
            return NULL;
        }
        text = end + 1;
    }
    return g_string_free(g_steal_pointer(&filled), FALSE);
}
