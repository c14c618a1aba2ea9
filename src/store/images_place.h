/* Where the images that the store's rows speak of lie. They do not move by themselves: with another
 * place in the settings every row would speak of what is not there, and gc of what nobody needs. */
#pragma once

#include "store/db.h"

/* place: HOST[:PORT]/NAMESPACE of the registry that keeps the images; NULL: the data directory
 * does. Notes it, where the store speaks of no image. *kept is where they lie otherwise ("": in the
 * data directory; the caller frees it); NULL: there. */
bool images_place_keep(Db *db, const char *place, char **kept, GError **error);
