/* Where a package's bytes are: its largest files, and what training and tools left beside the model
 * that inference does not read, as a rule: optimizer states, checkpoints, caches, histories.
 *
 * Waste is known by names only, so it is a hint: it is shown, never left out by itself, and never
 * an error. */
#pragma once

#include "model/package.h"

#define PACKAGE_TOP_MAX 10

typedef struct {
    const char *line; /* of .waybillignore, which would leave it out; static */
    guint files;
    int64_t bytes;
} Waste;

/* Of Waste, the largest first; each file counts for one line only. Empty: there is none. */
GPtrArray *package_waste(const Package *package);
/* The line that would leave this file (beneath the child directory) out, static; NULL: none. */
const char *package_waste_line(const char *path);

/* The PACKAGE_TOP_MAX largest files, the largest first: of PackageFile, owned by the package. */
GPtrArray *package_top(const Package *package);

/* [{path, size}], and [{path, size, files}] with the line for a path: as evidence and `check
 * --json` have them. */
json_t *package_top_json(const Package *package);
json_t *package_waste_json(const Package *package);
