/* What file managers leave in folders and nobody means to import: macOS's twins of files
 * (AppleDouble, RFC 1740: ._NAME) and .DS_Store, the __MACOSX/ of its archives, Windows' Thumbs.db
 * and desktop.ini. They are no part of a package: not listed, not counted, not packed. */
#pragma once

#include "model/package.h"

/* Whether the listed file is one. A twin is told by its first bytes: what merely begins with "._",
 * or cannot be read, is a file like others. */
bool leftover_is(PackageSource *source, const char *child, const PackageFile *file);
