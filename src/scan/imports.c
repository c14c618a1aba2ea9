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
    for (size_t i = 0; i < G_N_ELEMENTS(ROWS); i++)
        if (ROWS[i].rank == IMPORT_DANGEROUS && is_of_module(&ROWS[i], module) &&
            (is_all(&ROWS[i]) || has_word(ROWS[i].names, name, first)))
            return true;
    if (name[first] == '\0')
        return false;
    g_autofree char *step = g_strndup(name, first);
    return is_dangerous_word(step) || dangerous(step, name + first + 1);
}

static bool listed(const char *module, const char *name)
{
    if (strchr(name, '.'))
        return false;
    for (size_t i = 0; i < G_N_ELEMENTS(ROWS); i++)
        if (ROWS[i].rank == IMPORT_LISTED && is_of_module(&ROWS[i], module) &&
            (is_all(&ROWS[i]) || has_word(ROWS[i].names, name, strlen(name))))
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
    if (!listed(module, name))
        return IMPORT_UNLISTED;
    bool named = strcmp(module, "builtins") == 0 || strcmp(module, "__builtin__") == 0;
    return !named && is_dangerous_word(name) ? IMPORT_DANGEROUS : IMPORT_LISTED;
}
