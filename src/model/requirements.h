/* requirements.txt, as MLflow writes it beside a model, in the words of config.json's dependencies.
 */
#pragma once

#include <glib.h>
#include <jansson.h>

/* The array of `dependencies`: what the lines say that are a name, or a name with one version: ==
 * (EXACT), >= (ATLEAST), <= (ATMOST). NULL: there is none such. Of other lines (ranges, markers,
 * options, addresses) copies go into unsaid (of char *), in their order: config.json has no words
 * for them. text: UTF-8. */
json_t *requirements_dependencies(const char *text, GPtrArray *unsaid);
