#include "server/target.h"

#include <string.h>

static void parameter_free(QueryParameter *parameter)
{
    g_free(parameter->name);
    g_free(parameter->value);
    g_free(parameter);
}

void target_free(Target *target)
{
    if (!target)
        return;
    target_shrink(target);
    g_free(target->path);
    g_free(target);
}

void target_shrink(Target *target)
{
    g_clear_pointer(&target->raw, g_free);
    g_clear_pointer(&target->parts, g_ptr_array_unref);
    g_clear_pointer(&target->query, g_ptr_array_unref);
}

/* NULL: a bad escape, a NUL or bytes that are not UTF-8. In a query a plus sign is a space. */
static char *decode(const char *text, gsize length, bool plus_is_space)
{
    GString *decoded = g_string_sized_new(length);
    bool good = true;
    for (gsize i = 0; good && i < length; i++) {
        char byte = text[i];
        if (byte == '%') {
            good = length - i > 2 && g_ascii_isxdigit(text[i + 1]) && g_ascii_isxdigit(text[i + 2]);
            if (!good)
                break;
            byte =
                (char)(g_ascii_xdigit_value(text[i + 1]) << 4 | g_ascii_xdigit_value(text[i + 2]));
            i += 2;
        } else if (byte == '+' && plus_is_space) {
            byte = ' ';
        }
        good = byte != '\0';
        g_string_append_c(decoded, byte);
    }
    good = good && g_utf8_validate(decoded->str, (gssize)decoded->len, NULL);
    return g_string_free(decoded, !good);
}

static const char *parse_path(Target *target)
{
    if (target->path[0] != '/')
        return "the target must be a path";
    for (const char *at = target->path; *at == '/' && at[1];) {
        const char *from = at + 1;
        gsize length = strcspn(from, "/");
        char *part = decode(from, length, false);
        if (!part)
            return "the path has a bad percent-encoding";
        g_ptr_array_add(target->parts, part);
        if (strchr(part, '/') || strcmp(part, ".") == 0 || strcmp(part, "..") == 0)
            return "the path has a segment that no name can be";
        at = from + length;
    }
    return NULL;
}

static const char *parse_query(Target *target, const char *query)
{
    g_auto(GStrv) pairs = g_strsplit(query, "&", -1);
    for (char **pair = pairs; *pair; pair++) {
        const char *equals = strchr(*pair, '=');
        gsize name_length = equals ? (gsize)(equals - *pair) : strlen(*pair);
        if (!**pair)
            continue;
        QueryParameter *parameter = g_new0(QueryParameter, 1);
        g_ptr_array_add(target->query, parameter);
        parameter->name = decode(*pair, name_length, true);
        parameter->value = equals ? decode(equals + 1, strlen(equals + 1), true) : g_strdup("");
        if (!parameter->name || !parameter->value)
            return "the query has a bad percent-encoding";
    }
    return NULL;
}

/* A server that splits the request line at spaces would see another target. */
static bool is_visible(const char *raw)
{
    for (; *raw; raw++)
        if ((unsigned char)*raw <= ' ' || *raw == 0x7f)
            return false;
    return true;
}

Target *target_parse(const char *raw, const char **why)
{
    *why = "the target has a space or a control character; they are to be percent-encoded";
    if (!is_visible(raw))
        return NULL;
    g_autoptr(Target) target = g_new0(Target, 1);
    const char *mark = strchr(raw, '?');
    target->raw = g_strdup(raw);
    target->path = mark ? g_strndup(raw, (gsize)(mark - raw)) : g_strdup(raw);
    target->parts = g_ptr_array_new_with_free_func(g_free);
    target->query = g_ptr_array_new_with_free_func((GDestroyNotify)parameter_free);
    *why = parse_path(target);
    if (!*why && mark)
        *why = parse_query(target, mark + 1);
    return *why ? NULL : g_steal_pointer(&target);
}

const char *target_query(const Target *target, const char *name)
{
    for (guint i = 0; i < target->query->len; i++) {
        const QueryParameter *parameter = target->query->pdata[i];
        if (strcmp(parameter->name, name) == 0)
            return parameter->value;
    }
    return NULL;
}
