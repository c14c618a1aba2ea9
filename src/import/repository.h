/* A repository of Waybill's own registry, as it stands in requests: PROJECT/NAME (images.md,
 * "Names"). It has the images of the models whose name it is, as soon as index.json lists them, and
 * what was pushed to it (store/pushed.h). Where both have a tag, the model's is meant. */
#pragma once

#include "store/pushed.h"

typedef struct {
    char *path;    /* PROJECT/NAME; follows the distribution-spec */
    char *project; /* its id, of a project that need not be there */
    char *name;    /* what is behind the project's; may have slashes */
    char *model;   /* the name of the models that have their images here; NULL: there are none */
} Repository;
void repository_free(Repository *repository);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Repository, repository_free)

/* The first component of a repository's path. The caller frees it. */
char *repository_project_part(const char *path);
/* NULL with *error unset: no project can be meant, or none is behind the path's first part. */
Repository *repository_find(Db *db, const char *path, GError **error);

/* What a tag names, or a digest: the manifest. NULL with *error unset: there is none. */
PushedManifest *repository_manifest(Db *db, const Repository *repository, const char *reference,
                                    GError **error);
/* The version of the model whose tag that is, or whose manifest has that digest. NULL with *error
 * unset: none. The caller frees it. */
char *repository_model_version(Db *db, const Repository *repository, const char *reference,
                               GError **error);
bool repository_has_blob(Db *db, const Repository *repository, const char *digest, bool *has,
                         GError **error);
/* What refers to that digest, of that artifact type (NULL: of any), behind `after` (NULL: from the
 * beginning), by digest, at most `limit`: of PushedManifest; a model's image is said something of
 * by its import (import/provenance.h). NULL: *error. */
GPtrArray *repository_referrers(Db *db, const Repository *repository, const char *subject,
                                const char *artifact_type, const char *after, int64_t limit,
                                GError **error);
/* char *, each once, in lexical order: case counts only between equals. None: nobody knows the
 * repository. NULL: *error. */
GPtrArray *repository_tags(Db *db, const Repository *repository, GError **error);
int repository_compare(gconstpointer a, gconstpointer b); /* of char ** */
/* Every repository of the project (NULL: of all), sorted: the paths (char *). NULL: *error. */
GPtrArray *repositories_list(Db *db, const char *project, GError **error);
