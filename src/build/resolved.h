/* Which packages an environment brought: what pip and dpkg themselves write down. */
#pragma once

#include <glib.h>
#include <jansson.h>

/* [{installer, name, version}], sorted by these; upper: as sandbox_upper. base_status: the text of
 * the base's var/lib/dpkg/status, or NULL. A new reference. */
json_t *resolved_packages(int upper, const char *base_status);
