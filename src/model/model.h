/* Names, versions and descriptions of models: the rules of model-package.md, "Limits"; and of ids
 * that a request names. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define MODEL_FIRST_VERSION "0.0.1"

/* Each returns NULL when the text keeps its rule, else the rule in words. */
const char *model_rule_name(const char *name);
const char *model_rule_version(const char *version);
const char *model_rule_description(const char *description);
/* Of templates, their modes and inputs, of training jobs and their versions: an id becomes one part
 * of a path. */
const char *model_rule_id(const char *id);
#define MODEL_ID_RULE "1 to 64 letters, digits, '.', '_' and '-', beginning with a letter or digit"

/* 1.2.3 is 10203. -1: it breaks the rule. */
int64_t model_version_number(const char *version);
/* The version that follows: 0.0.99 -> 0.1.0. NULL after 99.99.99. The caller frees it. */
char *model_version_next(const char *version);
/* A folder's name made into a model's name: characters that it must not have become '-'. The caller
 * frees it. */
char *model_name_from(const char *text);
