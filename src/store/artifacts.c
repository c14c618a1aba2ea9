#include "store/artifacts.h"

bool artifact_set(Db *db, const char *model_id, int attempt, const char *digest, int64_t size,
                  GError **error)
{
    return db_exec(db, error,
                   "UPDATE attempts SET artifact_digest = $3, artifact_size = $4 WHERE model_id = "
                   "$1 AND attempt = $2",
                   "sisi", model_id, (int64_t)attempt, digest, size) &&
           db_exec(db, error, "DELETE FROM artifact_blobs WHERE model_id = $1 AND attempt = $2",
                   "si", model_id, (int64_t)attempt);
}

bool artifact_set_pack(Db *db, const char *model_id, int attempt, const char *digest, int64_t size,
                       GError **error)
{
    return db_exec(db, error,
                   "UPDATE attempts SET pack_digest = $3, pack_size = $4 WHERE model_id = $1 AND "
                   "attempt = $2",
                   "sisi", model_id, (int64_t)attempt, digest, size);
}

bool artifact_add_blob(Db *db, const char *model_id, int attempt, const char *digest, int64_t size,
                       GError **error)
{
    return db_exec(db, error,
                   "INSERT INTO artifact_blobs(model_id, attempt, digest, size) VALUES "
                   "($1, $2, $3, $4) ON CONFLICT DO NOTHING",
                   "sisi", model_id, (int64_t)attempt, digest, size);
}

char *artifact_find(Db *db, ArtifactKind kind, const char *model_id, const char *image_digest,
                    int64_t *size, GError **error)
{
    static const char *const SQL[] = {
        [ARTIFACT_SAID] =
            "SELECT artifact_digest, artifact_size FROM attempts WHERE model_id = $1 AND "
            "image_digest = $2 AND artifact_digest IS NOT NULL ORDER BY attempt DESC LIMIT 1",
        [ARTIFACT_PACK] =
            "SELECT pack_digest, pack_size FROM attempts WHERE model_id = $1 AND "
            "image_digest = $2 AND pack_digest IS NOT NULL ORDER BY attempt DESC LIMIT 1"};
    g_autoptr(DbRows) rows = db_query(db, error, SQL[kind], "ss", model_id, image_digest);
    if (!rows || !db_next(rows, error))
        return NULL;
    *size = db_int(rows, 1);
    return g_strdup(db_text(rows, 0));
}
