/* The dependencies that are in force for an attempt: those of its request (or of an update, which
 * is kept in the request), else config.json's. */
#pragma once

#include "import/request.h"
#include "model/config.h"

/* As they were written, an array; an empty one where there are none. config_text: config.json as
 * the attempt read it, or NULL. A new reference. */
json_t *dependencies_in_force(const ImportRequest *request, const char *config_text);
/* In their normal form: two lists that install the same are equal (model/config.h). A new
 * reference. */
json_t *dependencies_normal(const json_t *dependencies);

/* "numpy==1.26.4", of a package as it was written, also where it breaks the rules. The caller frees
 * it. */
char *dependency_text(const json_t *package);

/* Checks those that the request brings as config.json's are, and puts them in the place of the
 * config's. config: or NULL. type: of the model, or NULL. package: where wheels are looked for, or
 * NULL. */
void dependencies_take(Config *config, const ImportRequest *request, const char *type,
                       const Package *package, Findings *findings);
