#include "store/images_place.h"

#include <string.h>

static bool has_images(Db *db, bool *images, GError **error)
{
    int64_t count;
    if (!db_query_int(db, &count, 0, error,
                      "SELECT (SELECT count(*) FROM runtimes) + (SELECT count(*) FROM "
                      "registry_blobs) + (SELECT count(*) FROM layers l JOIN models m ON m.id = "
                      "l.model_id WHERE m.deleted_at IS NULL) + (SELECT count(*) FROM attempts a "
                      "JOIN models m ON m.id = a.model_id WHERE m.deleted_at IS NULL AND "
                      "a.image_digest IS NOT NULL)",
                      ""))
        return false;
    *images = count > 0;
    return true;
}

static bool note_place(Db *db, const char *place, GError **error)
{
    return place ? db_exec(db, error,
                           "INSERT INTO images_place(id, place) VALUES (1, $1) ON CONFLICT (id) DO "
                           "UPDATE SET place = excluded.place",
                           "s", place)
                 : db_exec(db, error, "DELETE FROM images_place", "");
}

bool images_place_keep(Db *db, const char *place, char **kept, GError **error)
{
    bool images;
    *kept = NULL;
    g_autofree char *noted = db_query_text(db, error, "SELECT place FROM images_place", "");
    if (!noted || strcmp(noted, place ? place : "") == 0)
        return noted != NULL;
    g_autoptr(DbTransaction) transaction = db_transaction(db, error);
    if (!transaction || !has_images(db, &images, error))
        return false;
    if (images) {
        *kept = g_steal_pointer(&noted);
        return true;
    }
    return note_place(db, place, error) && db_commit(db, error);
}
