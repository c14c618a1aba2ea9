/* What clients pushed to the registry (/v2/): manifests, tags, and the blobs that a repository has.
 *
 * A repository is a project's id and the rest of its path. Rows are written in the caller's
 * transaction, blobs lie in the layout before that (image/layout.h). Images of models are not here:
 * they are in `attempts` (import/repository.h). */
#pragma once

#include "store/db.h"

/* -- blobs -- */

/* It has the blob from now on; again: as if it had just been pushed. */
bool pushed_blob_add(Db *db, const char *project, const char *repository, const char *digest,
                     int64_t size, GError **error);
bool pushed_blob_has(Db *db, const char *project, const char *repository, const char *digest,
                     bool *has, GError **error);
bool pushed_blob_remove(Db *db, const char *project, const char *repository, const char *digest,
                        GError **error);
/* The digest of a manifest that needs it. NULL with *error unset: none. The caller frees it. */
char *pushed_blob_needed_by(Db *db, const char *project, const char *repository, const char *digest,
                            GError **error);
/* Forgets blobs that were pushed before that time (ms since 1970) and that no manifest of their
 * repository needs. */
bool pushed_blobs_forget(Db *db, int64_t before, GError **error);

/* -- manifests -- */

typedef struct {
    char *digest, *media_type;
    int64_t size;
    char *artifact_type, *subject, *annotations; /* or NULL; annotations: JSON */
} PushedManifest;
void pushed_manifest_free(PushedManifest *manifest);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PushedManifest, pushed_manifest_free)

/* Makes or replaces its row, and forgets what it needed. */
bool pushed_manifest_set(Db *db, const char *project, const char *repository,
                         const PushedManifest *manifest, GError **error);
bool pushed_manifest_need(Db *db, const char *project, const char *repository, const char *manifest,
                          const char *digest, int64_t size, GError **error);
/* NULL with *error unset: there is none. */
PushedManifest *pushed_manifest_load(Db *db, const char *project, const char *repository,
                                     const char *digest, GError **error);
/* With its tags. */
bool pushed_manifest_remove(Db *db, const char *project, const char *repository, const char *digest,
                            GError **error);
/* Those that have `subject`, of that artifact type unless it is NULL, by digest behind `after`, at
 * most `limit`: of PushedManifest. */
GPtrArray *pushed_referrers(Db *db, const char *project, const char *repository,
                            const char *subject, const char *artifact_type, const char *after,
                            int64_t limit, GError **error);

/* -- tags -- */

bool pushed_tag_set(Db *db, const char *project, const char *repository, const char *tag,
                    const char *manifest, GError **error);
/* The manifest that it names. NULL with *error unset: there is no such tag. */
PushedManifest *pushed_tag_load(Db *db, const char *project, const char *repository,
                                const char *tag, GError **error);
bool pushed_tag_remove(Db *db, const char *project, const char *repository, const char *tag,
                       GError **error);
/* Adds them (char *). */
bool pushed_tags_list(Db *db, const char *project, const char *repository, GPtrArray *tags,
                      GError **error);

/* -- all of it -- */

/* *known: whether anything was pushed to it. */
bool pushed_repository_known(Db *db, const char *project, const char *repository, bool *known,
                             GError **error);
/* The repositories with a manifest; project NULL: of all. */
typedef void (*PushedVisitor)(const char *project, const char *repository, gpointer data);
bool pushed_each_repository(Db *db, const char *project, PushedVisitor visit, gpointer data,
                            GError **error);
/* Every tag with its manifest. */
typedef void (*PushedTagVisitor)(const char *project, const char *repository, const char *tag,
                                 const PushedManifest *manifest, gpointer data);
bool pushed_each_tag(Db *db, PushedTagVisitor visit, gpointer data, GError **error);
/* Every blob that a repository has, and every manifest, with what it needs; of one several times.
 */
typedef void (*PushedBlobVisitor)(const char *project, const char *repository, const char *digest,
                                  int64_t size, gpointer data);
bool pushed_each_blob(Db *db, PushedBlobVisitor visit, gpointer data, GError **error);
