/* Where Debian's packages come from: the setting build.apt_mirror, else the apt sources of this
 * machine, else deb.debian.org. */
#pragma once

#include "base/settings.h"

/* sources.list(5) lines (component main) for a Debian release and its -updates and -security.
 *
 * build.apt_mirror holds URLs with blanks between them; one whose path ends in "-security" is that
 * of the security updates. Of the machine's own sources those of the same release count; `etc_apt`
 * is its /etc/apt. *origin, when not NULL: which of the three, for a person to read; the caller
 * frees both. SETTINGS_ERROR: the setting holds what is no URL. */
char *apt_sources(const Settings *settings, const char *etc_apt, const char *release, char **origin,
                  GError **error);

/* The archive and the security archive that a machine's own sources name first, whatever their
 * release, http or https. NULL: none. The caller frees both, here and below. */
void apt_machine_mirrors(const char *etc_apt, char **archive, char **security);
/* The same of build.apt_mirror. False: SETTINGS_ERROR, and what was set is the caller's all the
 * same. */
bool apt_mirrors_of(const char *setting, char **archive, char **security, GError **error);
