/* The mmdebstrap process: its archive, its steps, and that nothing is left of it. */
#pragma once

#include "import/bootstrap.h"

#define BOOTSTRAP_PROGRAM "mmdebstrap"

typedef struct {
    const char *name;
    const char *release;  /* of Debian */
    const char *packages; /* commas between them */
    const char *compile;  /* directories of Python modules, blanks between them */
} BootstrapRecipe;

typedef struct BootstrapChild BootstrapChild;

/* Started in a directory of its own, `below` the data directory. `sources`: of sources.list(5). */
BootstrapChild *bootstrap_child_new(const BootstrapRecipe *recipe, const char *sources,
                                    const char *below, Progress *progress, GError **error);
/* Ends it if it still runs: SIGTERM, which lets it clean up, and after 20 s SIGKILL to all of its
 * processes. Removes its directory. */
void bootstrap_child_free(BootstrapChild *child);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BootstrapChild, bootstrap_child_free)

/* Its archive; the child's. */
int bootstrap_child_output(BootstrapChild *child);
/* After the archive's end. False: it failed, and the error says for what reason. */
bool bootstrap_child_wait(BootstrapChild *child, GError **error);
