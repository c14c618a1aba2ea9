/* Names, versions and descriptions of models: the rules of model-package.md, "Limits". */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define MODEL_FIRST_VERSION "0.0.1"

/* Each returns NULL when the text keeps its rule, else the rule in words. */
const char *model_rule_name(const char *name);
const char *model_rule_version(const char *version);
const char *model_rule_description(const char *description);

/* 1.2.3 is 10203. -1: it breaks the rule. */
int64_t model_version_number(const char *version);
/* The version that follows: 0.0.99 -> 0.1.0. NULL after 99.99.99. The caller frees it. */
char *model_version_next(const char *version);
/* A folder's name made into a model's name: characters that it must not have become '-'. The caller
 * frees it. */
char *model_name_from(const char *text);
