/* The bundle's config.json (runtime-spec config.md). */
#pragma once

#include "build/sandbox.h"

typedef struct {
    const char *source, *target;
} SandboxBind;

/* binds: of SandboxBind *. A new reference. */
json_t *sandbox_config(const SandboxSpec *spec, const SandboxCommand *command,
                       const GPtrArray *binds, const char *cgroup);
