#include "model/ignore.h"

#include <string.h>

typedef struct {
    char *base;          /* the directory of its file, "" or with a '/' at its end */
    char **parts;        /* the pattern between its slashes */
    bool negated;        /* '!' before it: taken in again */
    bool only_directory; /* '/' behind it */
    bool any_depth;      /* no other '/': it is held against the entry's name alone */
} IgnoreRule;

struct IgnoreRules {
    GPtrArray *rules; /* of IgnoreRule, in their order */
};

static void rule_free(IgnoreRule *rule)
{
    g_free(rule->base);
    g_strfreev(rule->parts);
    g_free(rule);
}

IgnoreRules *ignore_rules_new(void)
{
    IgnoreRules *rules = g_new0(IgnoreRules, 1);
    rules->rules = g_ptr_array_new_with_free_func((GDestroyNotify)rule_free);
    return rules;
}

void ignore_rules_free(IgnoreRules *rules)
{
    if (!rules)
        return;
    g_ptr_array_unref(rules->rules);
    g_free(rules);
}

/* -- one part of a pattern against one name -- */

/* The classes of a bracket, [[:digit:]]; the bits are GLib's. A blank has none there. */
static const struct {
    const char *name;
    GAsciiType bits;
} CLASSES[] = {
    {"alnum", G_ASCII_ALNUM}, {"alpha", G_ASCII_ALPHA},   {"cntrl", G_ASCII_CNTRL},
    {"digit", G_ASCII_DIGIT}, {"graph", G_ASCII_GRAPH},   {"lower", G_ASCII_LOWER},
    {"print", G_ASCII_PRINT}, {"punct", G_ASCII_PUNCT},   {"space", G_ASCII_SPACE},
    {"upper", G_ASCII_UPPER}, {"xdigit", G_ASCII_XDIGIT}, {"blank", 0},
};

static bool class_holds(size_t i, unsigned char c)
{
    if (CLASSES[i].bits == 0)
        return c == ' ' || c == '\t';
    return (g_ascii_table[c] & CLASSES[i].bits) != 0;
}

/* "[:NAME:]" at `at`: what follows it, or NULL: it is none. */
static const char *match_class(const char *at, unsigned char c, bool *matches)
{
    for (size_t i = 0; i < G_N_ELEMENTS(CLASSES); i++) {
        size_t length = strlen(CLASSES[i].name);
        if (strncmp(at + 2, CLASSES[i].name, length) != 0 || strncmp(at + 2 + length, ":]", 2) != 0)
            continue;
        *matches = *matches || class_holds(i, c);
        return at + 2 + length + 2;
    }
    return NULL;
}

/* One member of a bracket, a character or a range: what follows it, or NULL: the bracket has no
 * end. */
static const char *match_member(const char *at, unsigned char c, bool *matches)
{
    if (*at == '\\')
        at++;
    if (!*at)
        return NULL;
    unsigned char first = (unsigned char)*at++, last = first;
    if (at[0] == '-' && at[1] && at[1] != ']') {
        at += at[1] == '\\' ? 2 : 1;
        if (!*at)
            return NULL;
        last = (unsigned char)*at++;
    }
    *matches = *matches || (first <= c && c <= last);
    return at;
}

/* The bracket that opens at `at`: what follows it, or NULL: it has no end, or names a class that
 * there is not. */
static const char *match_bracket(const char *at, unsigned char c, bool *matches)
{
    bool found = false, negated = at[1] == '!' || at[1] == '^';
    at += negated ? 2 : 1;
    for (const char *first = at; at && (*at != ']' || at == first);) {
        if (!*at)
            return NULL;
        bool is_class = at[0] == '[' && at[1] == ':';
        at = is_class ? match_class(at, c, &found) : match_member(at, c, &found);
    }
    *matches = found != negated;
    return at ? at + 1 : NULL;
}

/* One character of the name against what stands at `at`, no star: what follows that, or NULL. */
static const char *match_character(const char *at, char c)
{
    bool matches = false;
    switch (*at) {
    case '\0':
        return NULL;
    case '?':
        return at + 1;
    case '[':
        at = match_bracket(at, (unsigned char)c, &matches);
        return matches ? at : NULL;
    case '\\':
        at++;
        break;
    default:
        break;
    }
    return *at && *at == c ? at + 1 : NULL;
}

/* Only the last star is ever tried again, so that no pattern takes more than length times length.
 */
static bool part_matches(const char *part, const char *name)
{
    const char *star = NULL, *resume = NULL;
    while (*name) {
        const char *next;
        if (*part == '*') {
            star = ++part;
            resume = name;
        } else if ((next = match_character(part, *name))) {
            part = next;
            name++;
        } else if (star) {
            part = star;
            name = ++resume;
        } else {
            return false;
        }
    }
    while (*part == '*')
        part++;
    return !*part;
}

/* -- a whole pattern against a path -- */

static bool is_any_parts(const char *part)
{
    return part && strlen(part) > 1 && strspn(part, "*") == strlen(part);
}

/* As part_matches, with parts for characters: "**" stands for any number of them, at the end for
 * one at least. */
static bool parts_match(char **parts, char **names)
{
    char **star = NULL, **resume = NULL;
    while (*names) {
        if (is_any_parts(*parts)) {
            star = ++parts;
            resume = names;
            if (!*star)
                return true;
        } else if (*parts && part_matches(*parts, *names)) {
            parts++;
            names++;
        } else if (star) {
            parts = star;
            names = ++resume;
        } else {
            return false;
        }
    }
    return !*parts;
}

static bool rule_matches(const IgnoreRule *rule, const char *path, bool is_directory)
{
    if ((rule->only_directory && !is_directory) || !g_str_has_prefix(path, rule->base))
        return false;
    const char *slash = strrchr(path, '/');
    if (rule->any_depth)
        return part_matches(rule->parts[0], slash ? slash + 1 : path);
    g_auto(GStrv) names = g_strsplit(path + strlen(rule->base), "/", -1);
    return parts_match(rule->parts, names);
}

bool ignore_rules_match(const IgnoreRules *rules, const char *path, bool is_directory)
{
    for (guint i = rules->rules->len; i > 0; i--) {
        const IgnoreRule *rule = rules->rules->pdata[i - 1];
        if (rule_matches(rule, path, is_directory))
            return !rule->negated;
    }
    return false;
}

/* -- reading -- */

/* Why a part can never match, or NULL. A slash ends a part, also in a bracket. */
static const char *part_fault(const char *part)
{
    for (const char *at = part; *at;) {
        bool matches;
        if (*at == '\\') {
            if (!at[1])
                return "a backslash at its end";
            at += 2;
        } else if (*at == '[') {
            at = match_bracket(at, 'x', &matches);
            if (!at)
                return "a bracket [ without its end";
        } else {
            at++;
        }
    }
    return NULL;
}

/* Spaces at the end do not count, but for one behind a backslash. */
static void trim_end(char *line)
{
    char *end = line;
    for (char *at = line; *at;) {
        bool escape = *at == '\\' && at[1];
        bool space = *at == ' ';
        at += escape ? 2 : 1;
        if (!space)
            end = at;
    }
    *end = '\0';
}

/* The rule of a line, or NULL: it has none, or *fault says what is wrong with it. */
static IgnoreRule *rule_parse(const char *base, char *line, const char **fault)
{
    if (*line == '#')
        return NULL;
    trim_end(line);
    bool negated = *line == '!';
    line += negated ? 1 : 0;
    size_t length = strlen(line);
    bool only_directory = length > 0 && line[length - 1] == '/';
    if (only_directory)
        line[length - 1] = '\0';
    if (!*line)
        return NULL;
    bool any_depth = !strchr(line, '/');
    g_auto(GStrv) parts = g_strsplit(*line == '/' ? line + 1 : line, "/", -1);
    for (char **part = parts; *part && !*fault; part++)
        *fault = part_fault(*part);
    if (*fault)
        return NULL;
    IgnoreRule *rule = g_new0(IgnoreRule, 1);
    *rule = (IgnoreRule){.base = *base ? g_strconcat(base, "/", NULL) : g_strdup(""),
                         .parts = g_steal_pointer(&parts),
                         .negated = negated,
                         .only_directory = only_directory,
                         .any_depth = any_depth};
    return rule;
}

/* One line. False: *fault. */
static bool line_read(GPtrArray *rules, const char *base, const char *text, size_t length,
                      const char **fault)
{
    if (length > 0 && text[length - 1] == '\r')
        length--;
    if (memchr(text, '\0', length))
        *fault = "a NUL byte";
    else if (!g_utf8_validate_len(text, length, NULL))
        *fault = "bytes that are not UTF-8";
    if (*fault)
        return false;
    g_autofree char *line = g_strndup(text, length);
    IgnoreRule *rule = rule_parse(base, line, fault);
    if (rule)
        g_ptr_array_add(rules, rule);
    return !*fault;
}

char *ignore_rules_add(IgnoreRules *rules, const char *base, const void *data, size_t size)
{
    static const char MARK[] = "\xef\xbb\xbf";
    g_autoptr(GPtrArray) added = g_ptr_array_new_with_free_func((GDestroyNotify)rule_free);
    const char *at = data, *end = at + size;
    if (size > IGNORE_MAX_BYTES)
        return g_strdup("it is larger than 1 MiB");
    if (size >= 3 && memcmp(at, MARK, 3) == 0)
        at += 3;
    for (int number = 1; at < end; number++) {
        const char *fault = NULL, *next = memchr(at, '\n', (size_t)(end - at));
        if (!line_read(added, base, at, (size_t)((next ? next : end) - at), &fault))
            return g_strdup_printf("line %d has %s", number, fault);
        at = next ? next + 1 : end;
    }
    g_ptr_array_extend_and_steal(rules->rules, g_steal_pointer(&added));
    return NULL;
}
