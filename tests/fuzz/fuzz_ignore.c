/* .waybillignore: any bytes as its content, any bytes as the paths that it is asked about.
 *
 * The input is the file, then after the last NUL byte the paths, one a line; without a NUL it is
 * the file, and the paths are its own lines. Invariants: a file that is refused says in valid UTF-8
 * why, and leaves the rules as they were; what is asked twice is answered alike; behind rules, a
 * last
 * "!" of everything takes in again whatever they left out, a last "*" leaves out everything. */
#include <stdint.h>
#include <string.h>

#include "model/ignore.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PATH_BYTES 512 /* no pattern takes more than length times length */

static void add(IgnoreRules *rules, const char *base, const char *line)
{
    g_autofree char *fault = ignore_rules_add(rules, base, line, strlen(line));
    g_assert(!fault);
}

/* What the walk asks: a path without an empty part. */
static bool is_path(const char *path)
{
    size_t length = strlen(path);
    return length > 0 && length <= PATH_BYTES && path[0] != '/' && path[length - 1] != '/' &&
           !strstr(path, "//");
}

static void ask(const IgnoreRules *rules, IgnoreRules *again, const char *path)
{
    bool file = ignore_rules_match(rules, path, false);
    bool directory = ignore_rules_match(rules, path, true);
    g_assert(file == ignore_rules_match(again, path, false));
    g_assert(directory == ignore_rules_match(again, path, true));
}

static void ask_all(const char *const *paths, const void *file, size_t size)
{
    g_autoptr(IgnoreRules) rules = ignore_rules_new(), again = ignore_rules_new();
    add(rules, "", "kept-before");
    add(again, "", "kept-before");
    g_autofree char *fault = ignore_rules_add(rules, "model", file, size);
    g_autofree char *same = ignore_rules_add(again, "model", file, size);
    g_assert(g_strcmp0(fault, same) == 0);
    if (fault)
        g_assert(*fault && g_utf8_validate(fault, -1, NULL) &&
                 ignore_rules_match(rules, "kept-before", false));
    for (const char *const *path = paths; *path; path++)
        if (is_path(*path)) {
            g_autofree char *inside = g_strconcat("model/", *path, NULL);
            ask(rules, again, inside);
            ask(rules, again, *path);
            g_assert(!fault || !ignore_rules_match(rules, inside, false) ||
                     g_str_has_suffix(inside, "kept-before"));
        }
    add(rules, "", "!*");
    add(again, "", "*");
    for (const char *const *path = paths; *path; path++)
        if (is_path(*path)) {
            g_assert(!ignore_rules_match(rules, *path, false));
            g_assert(ignore_rules_match(again, *path, true));
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *split = size > 0 ? memrchr(data, '\0', size) : NULL;
    const char *asked = split ? (const char *)split + 1 : (const char *)data;
    g_autofree char *text = g_strndup(asked, (gsize)(data + size - (const uint8_t *)asked));
    g_auto(GStrv) paths = g_strsplit(text, "\n", 64);
    ask_all((const char *const *)paths, data, split ? (size_t)(split - data) : size);
    return 0;
}
