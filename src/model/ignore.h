/* .waybillignore: what a package leaves out, in gitignore's syntax (gitignore(5)).
 *
 * Rules of several files count one after the other; the last that matches decides. Who walks a
 * folder asks for each entry and does not go into a directory that is left out: that nothing
 * beneath it can be taken in again follows from that. Names are compared byte by byte. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#define IGNORE_FILE      ".waybillignore"
#define IGNORE_MAX_BYTES (1024 * 1024)

typedef struct IgnoreRules IgnoreRules;

IgnoreRules *ignore_rules_new(void);
void ignore_rules_free(IgnoreRules *rules);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(IgnoreRules, ignore_rules_free)

/* Adds the lines of a file that stands in the directory `base` ("": at the top). Returns NULL, or
 * in words what is wrong with it, with its line; then none of it counts. git reads over a pattern
 * that cannot match anything; here it is a fault: the file that it should leave out would be
 * packed. The caller frees it. */
char *ignore_rules_add(IgnoreRules *rules, const char *base, const void *data, size_t size);

/* Whether the entry is left out. path: from the top, '/' between. */
bool ignore_rules_match(const IgnoreRules *rules, const char *path, bool is_directory);
