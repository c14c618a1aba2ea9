/* dependencies: what an installer puts into the image before the model. Names and versions become
 * arguments of pip, apt or conda: nothing that these could take for an option, a URL or a second
 * argument gets through. */
#include "model/config_check.h"

#include <string.h>

#define MAX_TEXT     255 /* bytes of a name or a version: the longest name of a file */
#define ALPHANUMERIC G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS

static const char *const INSTALLER_NAMES[] = {"pip", "apt", "conda", NULL};   /* by Installer */
static const char *const RESTRAINTS[] = {"EXACT", "ATLEAST", "ATMOST", NULL}; /* by Restraint - 1 */

void dependency_free(gpointer data)
{
    Dependency *dependency = data;
    g_free(dependency->name);
    g_free(dependency->version);
    g_free(dependency);
}

/* After an identifier of PEP 508 (letters and digits, inside also `._-`), or NULL. */
static const char *skip_identifier(const char *text)
{
    size_t length = strspn(text, ALPHANUMERIC "._-");
    if (length == 0 || !g_ascii_isalnum(text[0]) || !g_ascii_isalnum(text[length - 1]))
        return NULL;
    return text + length;
}

/* name or name[extra,extra] */
static bool is_python_name(const char *text)
{
    const char *at = skip_identifier(text);
    if (!at || *at != '[')
        return at && *at == '\0';
    do {
        at = skip_identifier(at + 1);
    } while (at && *at == ',');
    return at && strcmp(at, "]") == 0;
}

/* Debian policy 5.6.1. */
static bool is_debian_name(const char *text)
{
    static const char REST[] = G_CSET_a_2_z G_CSET_DIGITS "+-.";
    return (g_ascii_islower(*text) || g_ascii_isdigit(*text)) && text[1] &&
           text[strspn(text, REST)] == '\0';
}

static bool is_wheel(const char *name)
{
    return g_str_has_suffix(name, ".whl");
}

/* A file name of PEP 427: no slash, so that it lies directly in the model's folder. */
static bool is_wheel_name(const char *text)
{
    return g_ascii_isalnum(*text) && text[strspn(text, ALPHANUMERIC "._-+!")] == '\0';
}

static bool is_pip_name(const char *text)
{
    return is_wheel(text) ? is_wheel_name(text) : is_python_name(text);
}

static bool is_conda_name(const char *text)
{
    return !is_wheel(text) && is_python_name(text);
}

static const struct {
    bool (*is_name)(const char *text);
    const char *expected;
} NAMES[] = {
    [INSTALLER_PIP] = {is_pip_name, "a package's name, also with extras (name[extra]), or the file "
                                    "name of a wheel in model/"},
    [INSTALLER_APT] = {is_debian_name, "the name of a Debian package"},
    [INSTALLER_CONDA] = {is_conda_name, "a package's name"},
};

static const char *member_text(const Node *object, const char *key)
{
    const Node *member = object->kind == NODE_OBJECT ? node_member(object, key) : NULL;
    return member && member->kind == NODE_STRING ? member->text : NULL;
}

/* Of the installer that a package stands under; false: it is missing or unknown, which is a fault
 * of its own. */
static bool installer_of(const Node *package, Installer *installer)
{
    const char *name = member_text(package->parent->parent, "installer");
    for (int i = 0; name && INSTALLER_NAMES[i]; i++) {
        if (g_ascii_strcasecmp(INSTALLER_NAMES[i], name) == 0) {
            *installer = i;
            return true;
        }
    }
    return false;
}

static json_t *wheels_of(const Package *package, const char *name, const char **nearest)
{
    g_autoptr(GPtrArray) wheels = g_ptr_array_new();
    for (guint i = 0; i < package->files->len; i++) {
        const PackageFile *file = package->files->pdata[i];
        if (is_wheel(file->path) && !strchr(file->path, '/'))
            g_ptr_array_add(wheels, file->path);
    }
    g_ptr_array_add(wheels, NULL);
    *nearest = text_nearest(name, (const char *const *)wheels->pdata);
    return text_listing((const char *const *)wheels->pdata);
}

static void report_missing_wheel(Check *check, const Node *value)
{
    Event *event = check_fault(check, "wheel_missing", value, "the name of a wheel in model/");
    if (!event)
        return;
    const char *nearest;
    event_with_text(event, "package", value->text);
    event_with_json(event, "listing", wheels_of(check->context->package, value->text, &nearest));
    if (nearest)
        event_with(event, "{s:s}", "nearest", nearest);
}

static void rule_package_name(Check *check, const Field *field, const Node *value)
{
    Installer installer;
    if (!installer_of(value->parent, &installer))
        return;
    const Package *package = check->context->package;
    if (strlen(value->text) > MAX_TEXT || !NAMES[installer].is_name(value->text))
        check_fault(check, "value", value, NAMES[installer].expected);
    else if (is_wheel(value->text) && package && !package_find(package, value->text))
        report_missing_wheel(check, value);
}

static void rule_package_version(Check *check, const Field *field, const Node *value)
{
    const char *text = value->text;
    if (!g_ascii_isalnum(*text) || text[strspn(text, ALPHANUMERIC ".+-:~_!*")] ||
        strlen(text) > MAX_TEXT)
        check_broken(check, field, value);
}

static void rule_restraint(Check *check, const Field *field, const Node *value)
{
    Installer installer;
    if (!text_is_among(value->text, field->choices))
        check_broken(check, field, value);
    else if (installer_of(value->parent, &installer) && installer == INSTALLER_APT &&
             strcmp(value->text, "EXACT") != 0)
        check_fault(check, "value", value, "EXACT: apt takes no other");
}

static const Field PACKAGE_MEMBERS[] = {
    {
        .key = "package_name",
        .kinds = KIND(NODE_STRING),
        .expected = "a package's name",
        .rule = rule_package_name,
        .example = "\"package_name\": \"numpy\"",
    },
    {
        .key = "package_version",
        .kinds = KIND(NODE_STRING),
        .expected = "a version in quotes, such as \"1.26.4\": letters, digits and . + - : ~ _ ! *",
        .rule = rule_package_version,
    },
    {
        .key = "restraint",
        .kinds = KIND(NODE_STRING),
        .rule = rule_restraint,
        .choices = RESTRAINTS,
    },
    {0},
};

/* Both or neither. */
static void check_version_and_restraint(Check *check, const Node *package)
{
    const Node *version = node_member(package, "package_version");
    const Node *restraint = node_member(package, "restraint");
    if (version && !restraint)
        check_missing(check, package, "restraint", "EXACT, ATLEAST or ATMOST beside a version",
                      "\"restraint\": \"EXACT\"");
    if (restraint && !version)
        check_missing(check, package, "package_version", "a version beside a restraint",
                      "\"package_version\": \"1.26.4\"");
}

static Restraint restraint_of(const char *text)
{
    for (int i = 0; text && RESTRAINTS[i]; i++) {
        if (strcmp(text, RESTRAINTS[i]) == 0)
            return RESTRAINT_EXACT + i;
    }
    return RESTRAINT_NONE;
}

/* A package that keeps every rule. */
static void keep_dependency(Check *check, const Node *package)
{
    Installer installer;
    const char *name = member_text(package, "package_name");
    if (!name || !installer_of(package, &installer))
        return;
    Dependency *dependency = g_new0(Dependency, 1);
    dependency->installer = installer;
    dependency->name = g_strdup(name);
    g_ptr_array_add(check->config->dependencies, dependency);

    const Node *version = node_member(package, "package_version");
    if (version && is_wheel(name) && installer == INSTALLER_PIP) {
        check_warn(check, version); /* the file is the version */
        return;
    }
    dependency->version = g_strdup(member_text(package, "package_version"));
    dependency->restraint = restraint_of(member_text(package, "restraint"));
}

static void rule_package(Check *check, const Field *field, const Node *package)
{
    guint before = check->count;
    check_members(check, package, field->members);
    check_version_and_restraint(check, package);
    if (check->count == before)
        keep_dependency(check, package);
}

static const Field PACKAGE = {
    .kinds = KIND(NODE_OBJECT),
    .expected = "an object {package_name, package_version, restraint}",
    .rule = rule_package,
    .members = PACKAGE_MEMBERS,
};

static const Field GROUP_MEMBERS[] = {
    {
        .key = "installer",
        .kinds = KIND(NODE_STRING),
        .rule = rule_choice,
        .choices = INSTALLER_NAMES,
        .example = "\"installer\": \"pip\"",
    },
    {
        .key = "packages",
        .kinds = KIND(NODE_ARRAY),
        .expected = "an array of {package_name, package_version, restraint}",
        .rule = rule_elements,
        .members = &PACKAGE,
        .example = "\"packages\": [{\"package_name\": \"numpy\"}]",
    },
    {0},
};

static const Field GROUP = {
    .kinds = KIND(NODE_OBJECT),
    .expected = "an object {installer, packages}",
    .rule = rule_members,
    .members = GROUP_MEMBERS,
};

static void check_groups(Check *check, const Node *array)
{
    for (guint i = 0; i < array->children->len; i++)
        check_field(check, &GROUP, array->children->pdata[i]);
}

/* How a Dockerfile installs them: what to write instead of `dependencies`. */
static const struct {
    const char *command;
    const char *operators[4]; /* by Restraint */
} COMMANDS[] = {
    [INSTALLER_PIP] = {"RUN pip install --no-cache-dir", {"", "==", ">=", "<="}},
    [INSTALLER_APT] = {"RUN apt-get update && apt-get install -y", {"", "=", "", ""}},
    [INSTALLER_CONDA] = {"RUN conda install -y", {"", "==", ">=", "<="}},
};

static void append_requirement(GString *line, const Dependency *dependency)
{
    const char *relation = COMMANDS[dependency->installer].operators[dependency->restraint];
    g_autofree char *requirement =
        g_strconcat(dependency->name, relation, dependency->version ? dependency->version : "",
                    NULL);
    const char *quote = strpbrk(requirement, "<>[!*~") ? "'" : "";
    g_string_append_printf(line, "%s%s%s%s", line->len > 0 ? " " : "", quote, requirement, quote);
}

/* One line for neighbours of one installer. */
static json_t *dockerfile_lines(const GPtrArray *dependencies)
{
    json_t *lines = json_array();
    g_autoptr(GString) line = g_string_new(NULL);
    for (guint i = 0; i < dependencies->len; i++) {
        const Dependency *dependency = dependencies->pdata[i];
        const Dependency *next = i + 1 < dependencies->len ? dependencies->pdata[i + 1] : NULL;
        if (line->len == 0)
            g_string_append(line, COMMANDS[dependency->installer].command);
        append_requirement(line, dependency);
        if (!next || next->installer != dependency->installer) {
            json_array_append_new(lines, json_string(line->str));
            g_string_truncate(line, 0);
        }
    }
    return lines;
}

static char *pip_requirements(const GPtrArray *dependencies)
{
    GString *line = g_string_new(NULL);
    for (guint i = 0; i < dependencies->len; i++) {
        const Dependency *dependency = dependencies->pdata[i];
        if (dependency->installer == INSTALLER_PIP)
            append_requirement(line, dependency);
    }
    return g_string_free(line, FALSE);
}

static int count_packages(const Node *array)
{
    guint count = 0;
    for (guint i = 0; i < array->children->len; i++) {
        const Node *group = array->children->pdata[i];
        const Node *packages = group->kind == NODE_OBJECT ? node_member(group, "packages") : NULL;
        count += packages && packages->kind == NODE_ARRAY ? packages->children->len : 1;
    }
    return (int)count;
}

/* 3. What is wrong inside does not matter any more: all of it has to go. */
static void report_image_dependencies(Check *check, const Node *array)
{
    GPtrArray *dependencies = check->config->dependencies;
    guint before = check->count;
    check->silent = true;
    check_groups(check, array);
    check->silent = false;
    check->count = before;
    if (check_counts(check)) {
        Event *event = check_add_at(check, event_custom_image_dependencies_unsupported(), array,
                                    "no dependencies for a custom image");
        g_autofree char *requirements = pip_requirements(dependencies);
        event_with_text(event, "where", check->config->file);
        event_with(event, "{s:i, s:o}", "n", count_packages(array), "dockerfile",
                   dockerfile_lines(dependencies));
        if (*requirements)
            event_with(event, "{s:s}", "requirements", requirements);
    }
    g_ptr_array_set_size(dependencies, 0);
}

static void check_array(Check *check, const Node *array)
{
    if (!check_is_image(check))
        check_groups(check, array);
    else if (array->children->len > 0)
        report_image_dependencies(check, array);
}

void rule_dependencies(Check *check, const Field *field, const Node *value)
{
    if (!check->context->dependencies_apart)
        check_array(check, value);
}

void check_dependencies(Check *check, const Node *value)
{
    if (value->faulty)
        return;
    if (value->kind == NODE_ARRAY)
        check_array(check, value);
    else
        check_fault(check, "value", value, "an array of {installer, packages}");
}

/* PEP 503: lower case, runs of `._-` one hyphen. */
static char *normal_identifier(const char *text, size_t length)
{
    GString *normal = g_string_sized_new(length);
    for (size_t i = 0; i < length; i++) {
        bool separator = strchr("._-", text[i]) != NULL;
        if (!separator)
            g_string_append_c(normal, g_ascii_tolower(text[i]));
        else if (normal->len > 0 && normal->str[normal->len - 1] != '-')
            g_string_append_c(normal, '-');
    }
    return g_string_free(normal, FALSE);
}

static gint compare_texts(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The extras of name[b,A]: "a,b". */
static char *normal_extras(const char *at)
{
    g_autoptr(GPtrArray) extras = g_ptr_array_new_with_free_func(g_free);
    while (*at == '[' || *at == ',') {
        at++;
        size_t length = strcspn(at, ",]");
        g_ptr_array_add(extras, normal_identifier(at, length));
        at += length;
    }
    g_ptr_array_sort(extras, compare_texts);
    GString *text = g_string_new(NULL);
    for (guint i = 0; i < extras->len; i++) {
        if (i == 0 || strcmp(extras->pdata[i - 1], extras->pdata[i]) != 0)
            g_string_append_printf(text, "%s%s", i > 0 ? "," : "", (char *)extras->pdata[i]);
    }
    return g_string_free(text, FALSE);
}

static char *normal_name(const Dependency *dependency)
{
    if (dependency->installer == INSTALLER_APT || is_wheel(dependency->name))
        return g_strdup(dependency->name);
    size_t length = strcspn(dependency->name, "[");
    g_autofree char *name = normal_identifier(dependency->name, length);
    if (!dependency->name[length])
        return g_steal_pointer(&name);
    g_autofree char *extras = normal_extras(dependency->name + length);
    return g_strdup_printf("%s[%s]", name, extras);
}

static json_t *dependency_json(const Dependency *dependency)
{
    g_autofree char *name = normal_name(dependency);
    json_t *package = json_pack("{s:s}", "package_name", name);
    if (dependency->version)
        json_object_set_new(package, "package_version", json_string(dependency->version));
    if (dependency->restraint != RESTRAINT_NONE)
        json_object_set_new(package, "restraint",
                            json_string(RESTRAINTS[dependency->restraint - RESTRAINT_EXACT]));
    return package;
}

json_t *config_dependencies_json(const GPtrArray *dependencies)
{
    json_t *groups = json_array(), *packages = NULL;
    for (guint i = 0; i < dependencies->len; i++) {
        const Dependency *dependency = dependencies->pdata[i];
        const Dependency *previous = i > 0 ? dependencies->pdata[i - 1] : NULL;
        if (!previous || previous->installer != dependency->installer) {
            packages = json_array();
            json_array_append_new(groups, json_pack("{s:s, s:o}", "installer",
                                                    INSTALLER_NAMES[dependency->installer],
                                                    "packages", packages));
        }
        json_array_append_new(packages, dependency_json(dependency));
    }
    return groups;
}
