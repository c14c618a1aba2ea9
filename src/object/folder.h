/* A package in a folder of this machine.
 *
 * Everything is opened beneath the folder's descriptor; nothing outside of it is ever opened. Links
 * inside the package, to files and to directories, are followed (at most 40 hops; a directory that
 * is its own ancestor is a loop) and stand in the listing as what they point to. Links that leave
 * it, dangle or are absolute, special files, names with control characters and what cannot be read
 * become findings (29). What a .waybillignore in the folder or in the model directory leaves out is
 * not there, and gives no finding.
 *
 * With dereference, links lead wherever they lead, absolute ones too, with the rights of who runs
 * this: for one's own folders on the command line, never for another's request. */
#pragma once

#include "model/package.h"

/* NULL: the directory cannot be opened (IO_ERROR). */
PackageSource *folder_source_new(const char *directory, bool dereference, GError **error);
/* Where the folder lies that was opened, links resolved; NULL: *error. The caller frees it. */
char *folder_source_place(const PackageSource *source, GError **error);
/* What findings call the folder in place of its path. */
void folder_source_set_name(PackageSource *source, const char *name);
