/* config.json: every rule of model-package.md, all faults at once.
 *
 * A fault is a finding: 8 (ConfigValueInvalid) with pointer, line, column, found, expected, snippet
 * and kind; 3, 4 and 5 where those fit. Kinds of 8: syntax, missing, value, disagrees, no_runtime,
 * wheel_missing, no_config. */
#pragma once

#include "event/finding.h"
#include "model/document.h"
#include "model/package.h"

typedef enum { INSTALLER_PIP, INSTALLER_APT, INSTALLER_CONDA } Installer;
typedef enum { RESTRAINT_NONE, RESTRAINT_EXACT, RESTRAINT_ATLEAST, RESTRAINT_ATMOST } Restraint;

/* One package of `dependencies`, flattened: the order of installation is the order of the array. */
typedef struct {
    Installer installer;
    char *name;    /* with extras, or the file name of a wheel */
    char *version; /* NULL: any */
    Restraint restraint;
} Dependency;

typedef struct {
    Document *document; /* NULL: there is no config.json */
    char *file; /* what evidence names: "model/config.json", "initial_config", or the path given
                   with --config */
    char *model_algorithm, *model_type, *runtime, *swr_location; /* NULL where absent */
    GPtrArray *dependencies;                                     /* of Dependency */
    json_t *health;                                              /* NULL where absent */
    json_t *apis;                                                /* array, NULL where absent */
    json_t *metrics;                                             /* NULL where absent */
    int port; /* of an Image; 8080 where absent */
    GPtrArray *
        warnings; /* of char *: dotted paths of fields that nobody knows, and what a BOM deserves */
    char *digest; /* SHA-256 of the bytes; NULL without a document */
} Config;

/* What the rules depend on beside the text. Borrowed, all of it. */
typedef struct {
    const char *request_type;    /* --type, or NULL */
    const char *request_runtime; /* --runtime, or NULL */
    const char *health_url;      /* the required one: image.health_url */
    const char *const *runtimes; /* names in the runtime table, NULL-terminated */
    const Package *package;      /* for wheels; NULL: no package */
} ConfigContext;

/* Reads and checks. Always returns a Config that holds what could be understood. */
Config *config_read(const void *bytes, size_t size, const char *file, const ConfigContext *context,
                    Findings *findings);
void config_free(Config *config);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Config, config_free)

/* The model types of model-package.md, "Image" last, NULL-terminated. */
extern const char *const CONFIG_MODEL_TYPES[];
bool config_is_model_type(const char *type);

/* Rules that the request shares: NULL when `text` keeps the rule, else the rule broken, in English.
 */
const char *config_rule_algorithm(const char *text);

/* `dependencies` in their normal form: names in their normalised form (PEP 503), the order kept:
 * two equal lists give equal text. */
json_t *config_dependencies_json(const GPtrArray *dependencies);
