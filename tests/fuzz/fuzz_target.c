/* Any bytes as a request's target: what is taken for a path has only segments that a name can be,
 * in UTF-8, and every other target is refused with a reason. */
#include <stdint.h>
#include <string.h>

#include "server/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void assert_text(const char *text)
{
    g_assert(text && g_utf8_validate(text, -1, NULL));
}

static void assert_parts(const Target *target)
{
    for (guint i = 0; i < target->parts->len; i++) {
        const char *part = target->parts->pdata[i];
        assert_text(part);
        g_assert(!strchr(part, '/') && strcmp(part, ".") != 0 && strcmp(part, "..") != 0);
    }
}

static void assert_query(const Target *target)
{
    for (guint i = 0; i < target->query->len; i++) {
        const QueryParameter *parameter = target->query->pdata[i];
        assert_text(parameter->name);
        assert_text(parameter->value);
        g_assert(target_query(target, parameter->name));
    }
}

/* The segments, encoded again, are the same target. */
static void assert_again(const Target *target)
{
    const char *why;
    g_autoptr(GString) path = g_string_new(target->parts->len ? "" : "/");
    for (guint i = 0; i < target->parts->len; i++) {
        g_autofree char *part = g_uri_escape_string(target->parts->pdata[i], NULL, FALSE);
        g_string_append_printf(path, "/%s", part);
    }
    /* A last empty segment is none: "/a/" is "/a". */
    g_autoptr(Target) again = target_parse(path->str, &why);
    g_assert(again && again->parts->len <= target->parts->len);
    for (guint i = 0; i < again->parts->len; i++)
        g_assert_cmpstr(again->parts->pdata[i], ==, target->parts->pdata[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *why = NULL;
    g_autofree char *raw = g_strndup((const char *)data, size);
    g_autoptr(Target) target = target_parse(raw, &why);
    if (!target) {
        g_assert(why && *why);
        return 0;
    }
    g_assert(g_str_has_prefix(raw, target->path) && target->path[0] == '/');
    assert_parts(target);
    assert_query(target);
    assert_again(target);
    g_assert(!target_query(target, "no such name") || strstr(raw, "such"));
    target_shrink(target);
    return 0;
}
