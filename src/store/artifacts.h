/* What is said of an attempt's image: an artifact that refers to it (image/artifact.h). */
#pragma once

#include "store/db.h"

/* Within the caller's transaction: the attempt's artifact is this manifest. */
bool artifact_set(Db *db, const char *model_id, int attempt, const char *digest, int64_t size,
                  GError **error);
/* Of a dynamic model: this manifest lists its files. */
bool artifact_set_pack(Db *db, const char *model_id, int attempt, const char *digest, int64_t size,
                       GError **error);
/* It names this blob. */
bool artifact_add_blob(Db *db, const char *model_id, int attempt, const char *digest, int64_t size,
                       GError **error);
typedef enum {
    ARTIFACT_SAID, /* what was said of it */
    ARTIFACT_PACK, /* the list of a dynamic model's files */
} ArtifactKind;
/* The last one of that image of the model: the manifest's digest, the caller's, and its size. NULL
 * with *error unset: there is none. */
char *artifact_find(Db *db, ArtifactKind kind, const char *model_id, const char *image_digest,
                    int64_t *size, GError **error);
