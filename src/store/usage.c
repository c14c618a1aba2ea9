#include "store/usage.h"

#include "store/attempts.h"

#define WITH_AN_IMAGE "FROM kept k WHERE k.image_digest IS NOT NULL AND k.outcome <> 'failed' "

/* An image's size is that of its manifest, its config and its layers. */
#define CONFIG_SIZE                                                                        \
    "k.image_size - k.image_manifest_size - (SELECT coalesce(sum(l.size), 0) FROM layers " \
    "l WHERE l.model_id = k.model_id AND l.attempt = k.attempt AND l.origin <> "           \
    "'" LAYER_ORIGIN_BLOB "')"

#define OF_MODELS                                                                                 \
    "SELECT l.digest, l.size FROM kept k JOIN layers l "                                          \
    "ON l.model_id = k.model_id AND l.attempt = k.attempt "                                       \
    "UNION ALL SELECT k.image_digest, k.image_manifest_size " WITH_AN_IMAGE                       \
    "UNION ALL SELECT k.config_digest, " CONFIG_SIZE " " WITH_AN_IMAGE                            \
    "UNION ALL SELECT k.artifact_digest, k.artifact_size " WITH_AN_IMAGE                          \
    "AND k.artifact_digest IS NOT NULL "                                                          \
    "UNION ALL SELECT k.pack_digest, k.pack_size " WITH_AN_IMAGE "AND k.pack_digest IS NOT NULL " \
    "UNION ALL SELECT b.digest, b.size FROM kept k JOIN artifact_blobs b "                        \
    "ON b.model_id = k.model_id AND b.attempt = k.attempt WHERE k.outcome <> 'failed' "

#define PUSHED                                                                  \
    "UNION ALL SELECT digest, size FROM registry_blobs WHERE project = $1 "     \
    "UNION ALL SELECT digest, size FROM registry_manifests WHERE project = $1 " \
    "UNION ALL SELECT digest, size FROM registry_needs WHERE project = $1"

bool usage_of_project(Db *db, const char *project, const char *but, int64_t *bytes, GError **error)
{
    return db_query_int(
        db, bytes, 0, error,
        "WITH kept AS (SELECT a.model_id, a.attempt, a.outcome, a.image_digest, a.image_size, "
        "a.image_manifest_size, a.config_digest, a.artifact_digest, a.artifact_size, "
        "a.pack_digest, a.pack_size " ATTEMPTS_KEPT "AND m.project = $1 AND m.id <> $2) "
        "SELECT CAST(coalesce(sum(size), 0) AS BIGINT) FROM (SELECT max(size) AS size "
        "FROM (" OF_MODELS PUSHED ") AS uses GROUP BY digest) AS blobs",
        "ss", project, but);
}
