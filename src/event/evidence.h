/* What evidence says, for people. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

/* A field that is a text, else "". Borrowed. */
const char *evidence_text(const json_t *evidence, const char *key);
/* "model/config.json:21:9" (the column where it is wanted and known), or the path; "": it names no
 * place. The caller frees it. */
char *evidence_place(const json_t *evidence, bool with_column);
