/* Texts with places for evidence: what the kinds' summaries and steps are written in.
 *
 *   {field}         the value: text as it is (in Chinese by phrases.h), a number, an array's
 * elements joined with ", " (of an array of files, each with its size). Dots lead inside:
 * {before.size}. {field:bytes}   a number of bytes, as people read it: 5.0 GiB {field:sh}      text
 * as one word of a shell's command: what a package names must not run {field:if}      nothing; but
 * the field must be there {field:unless}  nothing; but the field must not be there {field:time} a
 * moment (ms since 1970 UTC) in the local zone: 2026-01-31 14:05:00 +08:00
 *   {?text}         an optional part: left out when a field in it is not there
 *
 * A brace never stands for itself. What a field brings in is not looked at again. A field that is
 * null, false or "" is not there; an empty array is, and reads "none". */
#pragma once

#include <jansson.h>

#include "event/catalog.h"

/* `sources`: objects, NULL-terminated; the first that has a field gives it. NULL: a field outside
 * the optional parts is not there. The caller frees the text. */
char *template_fill(const char *text, Language language, const json_t *const *sources);

/* The same with what is long cut in its middle, by a …: a sentence is to be read, the evidence has
 * all of it. */
char *template_sentence(const char *text, Language language, const json_t *const *sources);

/* Of a text that is not our own: why it is no template over these fields (an object; only the names
 * count), or NULL. The caller frees it. */
char *template_fault(const char *text, const json_t *fields);
