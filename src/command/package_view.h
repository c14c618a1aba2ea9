/* Where a package's bytes are, for people: the end of what `check` prints. */
#pragma once

#include "command/terminal.h"
#include "model/package.h"

/* The largest files with their shares, and the lines of .waybillignore that would leave out what
 * inference does not need, as a rule. Nothing for an empty package. */
void package_view_print(const Terminal *terminal, const Package *package);
