/* What the host's own user has configured for pip and apt. */
#pragma once

#include "build/packages.h"

typedef struct PackagesHost PackagesHost;
/* pip: its environment above $PIP_CONFIG_FILE, ~/.config/pip/pip.conf, ~/.pip/pip.conf and
 * /etc/pip.conf. apt: /etc/apt/sources.list and sources.list.d, one-line and deb822. */
PackagesHost *packages_host_read(void);
void packages_host_free(PackagesHost *host);
/* What `sources` does not say yet. */
void packages_host_fill(const PackagesHost *host, PackageSources *sources);
