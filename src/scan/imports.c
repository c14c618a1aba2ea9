#include "scan/imports.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <glib.h>

typedef struct {
    const char *module, *names;
    ImportRank rank;
} Row;

#define LISTED(module, names)    {module, names, IMPORT_LISTED},
#define DANGEROUS(module, names) {module, names, IMPORT_DANGEROUS},
static const Row ROWS[] = {
#include "scan/imports.def"
};

static bool is_of_module(const Row *row, const char *module)
{
    size_t length = strlen(row->module);
    if (row->module[length - 1] != '.')
        return strcmp(row->module, module) == 0;
    return strncmp(row->module, module, length - 1) == 0 &&
           (module[length - 1] == '\0' || module[length - 1] == '.');
}

static bool has_word(const char *words, const char *word, size_t length)
{
    for (const char *at = words; *at;) {
        size_t part = strcspn(at, " ");
        if (part == length && memcmp(at, word, length) == 0)
            return true;
        at += part;
        at += strspn(at, " ");
    }
    return false;
}

static bool is_all(const Row *row)
{
    return strcmp(row->names, "*") == 0;
}

/* What "*" of a listed module stands for. */
static bool is_class(const char *name)
{
    return g_ascii_isupper(*name) || g_str_has_prefix(name, "__pyx_unpickle_");
}

/* Whether just this name of just this module is listed. */
static bool is_listed_itself(const char *module, const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(ROWS); i++)
        if (ROWS[i].rank == IMPORT_LISTED && strcmp(ROWS[i].module, module) == 0 &&
            has_word(ROWS[i].names, name, strlen(name)))
            return true;
    return false;
}

static bool dangerous(const char *module, const char *name);

/* A module or a function that is dangerous wherever it was imported to. */
static bool is_dangerous_word(const char *word)
{
    for (size_t i = 0; i < G_N_ELEMENTS(ROWS); i++)
        if (ROWS[i].rank == IMPORT_DANGEROUS && is_all(&ROWS[i]) && is_of_module(&ROWS[i], word))
            return true;
    return dangerous("builtins", word);
}

/* From protocol 4 on a name is a path of attributes, which leads on to whatever a module has
 * imported: sklearn.datasets, "os.system". */
static bool dangerous(const char *module, const char *name)
{
    size_t first = strcspn(name, ".");
    for (size_t i = 0; i < G_N_ELEMENTS(ROWS); i++) {
        if (ROWS[i].rank != IMPORT_DANGEROUS || !is_of_module(&ROWS[i], module))
            continue;
        if (has_word(ROWS[i].names, name, first))
            return true;
        bool beneath = g_str_has_suffix(ROWS[i].module, ".");
        if (is_all(&ROWS[i]) && !(beneath && is_listed_itself(module, name)))
            return true;
    }
    if (name[first] == '\0')
        return false;
    g_autofree char *step = g_strndup(name, first);
    return is_dangerous_word(step) || dangerous(step, name + first + 1);
}

/* Of a module whose classes are listed all. */
static bool has_listed_classes(const char *module)
{
    for (size_t i = 0; i < G_N_ELEMENTS(ROWS); i++)
        if (ROWS[i].rank == IMPORT_LISTED && is_all(&ROWS[i]) && is_of_module(&ROWS[i], module))
            return true;
    return false;
}

static bool listed(const char *module, const char *name)
{
    if (strchr(name, '.'))
        return false;
    for (size_t i = 0; i < G_N_ELEMENTS(ROWS); i++)
        if (ROWS[i].rank == IMPORT_LISTED && is_of_module(&ROWS[i], module) &&
            (is_all(&ROWS[i]) ? is_class(name) : has_word(ROWS[i].names, name, strlen(name))))
            return true;
    return false;
}

ImportRank import_rank(const char *module, const char *name)
{
    /* Of a module that is dangerous altogether it does not matter what is taken. */
    if (!module || !name)
        return module && is_dangerous_word(module) ? IMPORT_DANGEROUS : IMPORT_UNLISTED;
    if (dangerous(module, name))
        return IMPORT_DANGEROUS;
    /* What such a module has imported is dangerous there, too. */
    if (has_listed_classes(module) && is_dangerous_word(name))
        return IMPORT_DANGEROUS;
    return listed(module, name) ? IMPORT_LISTED : IMPORT_UNLISTED;
}
