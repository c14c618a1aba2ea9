#include "model/requirements.h"

#include <string.h>

#define ALPHANUMERIC G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS

static const struct {
    const char *operator, * restraint;
} RESTRAINTS[] = {{"==", "EXACT"}, {">=", "ATLEAST"}, {"<=", "ATMOST"}};

/* Where the name ends, its extras (name[a,b]) included. NULL: it is none of PEP 508. */
static char *name_end(char *line)
{
    char *end = line + strspn(line, ALPHANUMERIC "._-");
    if (end == line || !g_ascii_isalnum(line[0]) || !g_ascii_isalnum(end[-1]))
        return NULL;
    if (*end != '[')
        return end;
    end += 1 + strspn(end + 1, ALPHANUMERIC "._-,");
    return *end == ']' ? end + 1 : NULL;
}

/* {package_name, package_version, restraint}; NULL: config.json cannot say it. */
static json_t *package_of(char *line)
{
    char *end = name_end(line);
    if (!end)
        return NULL;
    char *rest = g_strchug(end);
    if (!*rest)
        return json_pack("{s:s}", "package_name", line);
    for (size_t i = 0; i < G_N_ELEMENTS(RESTRAINTS); i++) {
        if (!g_str_has_prefix(rest, RESTRAINTS[i].operator))
            continue;
        const char *version = g_strstrip(rest + strlen(RESTRAINTS[i].operator));
        if (!g_ascii_isalnum(*version) || version[strspn(version, ALPHANUMERIC ".+!")])
            return NULL;
        g_autofree char *name = g_strchomp(g_strndup(line, (gsize)(end - line)));
        return json_pack("{s:s, s:s, s:s}", "package_name", name, "package_version", version,
                         "restraint", RESTRAINTS[i].restraint);
    }
    return NULL;
}

/* Without what stands behind a # that begins a word, and without spaces around. */
static void strip_comment(char *line)
{
    for (char *at = strchr(line, '#'); at; at = strchr(at + 1, '#'))
        if (at == line || g_ascii_isspace(at[-1])) {
            *at = '\0';
            break;
        }
    g_strstrip(line);
}

json_t *requirements_dependencies(const char *text, GPtrArray *unsaid)
{
    json_t *packages = json_array();
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line; line++) {
        strip_comment(*line);
        if (!**line)
            continue;
        g_autofree char *copy = g_strdup(*line);
        json_t *package = package_of(*line);
        if (package)
            json_array_append_new(packages, package);
        else
            g_ptr_array_add(unsaid, g_steal_pointer(&copy));
    }
    json_t *dependencies = json_array_size(packages) > 0
                               ? json_pack("[{s:s, s:O}]", "installer", "pip", "packages", packages)
                               : NULL;
    json_decref(packages);
    return dependencies;
}
