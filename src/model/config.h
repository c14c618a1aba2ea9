/* config.json: every rule of model-package.md, all faults at once.
 *
 * A fault is a finding: 8 (ConfigValueInvalid) with pointer, line, column, found, expected,
 * snippet, file and kind; 3, 4 and 5 where those fit. They come in the order of the text, one for
 * each fault. Kinds of 8: syntax (also encoding, size, nesting, a root that is no object), missing,
 * value, disagrees, no_runtime (the table is empty), wheel_missing, huggingface_config. Whether
 * there is a config.json at all, and which runtime serves the engine, is the import's to find. */
#pragma once

#include "event/finding.h"
#include "model/document.h"
#include "model/package.h"

/* Where `waybill init` writes the import's config when Hugging Face's stands at config.json: in the
 * source, beside the model directory. */
#define CONFIG_BESIDE "waybill.json"

typedef enum { INSTALLER_PIP, INSTALLER_APT, INSTALLER_CONDA } Installer;
typedef enum { RESTRAINT_NONE, RESTRAINT_EXACT, RESTRAINT_ATLEAST, RESTRAINT_ATMOST } Restraint;

/* One package of `dependencies`, flattened: the order of installation is the order of the array. */
typedef struct {
    Installer installer;
    char *name;    /* with extras, or the file name of a wheel */
    char *version; /* NULL: any, or what the wheel is */
    Restraint restraint;
} Dependency;

/* What could be understood: a field of the right JSON type is kept as it was written, also where it
 * breaks a rule (8 names it); a dependency only when it keeps them all. */
typedef struct {
    Document *document; /* its root is NULL when it does not parse */
    char *file; /* what evidence names: "model/config.json", "initial_config", or the path given
                   with --config */
    char *model_algorithm, *model_type, *runtime, *swr_location; /* NULL where absent */
    GPtrArray *dependencies;                                     /* of Dependency; never NULL */
    json_t *health;                                              /* NULL where absent */
    json_t *apis;                                                /* array, NULL where absent */
    json_t *metrics;                                             /* NULL where absent */
    int port; /* of an Image; 8080 where absent or wrong */
    /* of char *: "byte order mark", and dotted paths of fields that are not used: those that nobody
     * knows, and the version of a wheel, which its file name says */
    GPtrArray *warnings;
    char *digest; /* SHA-256 of the bytes */
} Config;

/* What the rules depend on beside the text. Borrowed, all of it. */
typedef struct {
    const char *request_type;    /* --type, or NULL */
    const char *request_runtime; /* --runtime, or NULL */
    const char *health_url;      /* the required one: image.health_url; NULL: /health */
    const char *const *runtimes; /* names in the runtime table, NULL-terminated; NULL: any */
    const Package *package;      /* for wheels and swr_location; NULL: an image reference, or not
                                    opened yet: neither is then asked for */
    bool dependencies_apart;     /* the request brings its own: those of the text do not count */
    bool (*is_reference)(const char *text); /* of swr_location: the image floor stands above this
                                               one; NULL: any text is taken for one */
} ConfigContext;

/* Reads and checks. Always returns a Config. */
Config *config_read(const void *bytes, size_t size, const char *file, const ConfigContext *context,
                    Findings *findings);
/* The same of `dependencies` alone, as a request gives them: the text is the array. Of the Config
 * document (with that one field), file, dependencies and warnings are set. */
Config *config_read_dependencies(const void *bytes, size_t size, const char *file,
                                 const ConfigContext *context, Findings *findings);
void config_free(Config *config);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Config, config_free)

/* The model types of model-package.md, "Image" last, NULL-terminated. */
extern const char *const CONFIG_MODEL_TYPES[];
bool config_is_model_type(const char *type);

/* Rules that the request shares: NULL when `text` keeps the rule, else the rule broken, in English.
 */
const char *config_rule_algorithm(const char *text);

/* `dependencies` in their normal form, an array as config.json's: neighbours of one installer drawn
 * together, names of Python packages as PEP 503 writes them (extras sorted), the order kept. Two
 * equal lists give equal text. */
json_t *config_dependencies_json(const GPtrArray *dependencies);
