/* Where the disk's bytes went: the store, the images, by project and by model. */
#pragma once

#include <jansson.h>

#include "import/service.h"

typedef struct {
    char *project;
    int models;    /* versions that are not deleted */
    int64_t bytes; /* of their images' blobs and of what was pushed, each counted once */
    int64_t alone; /* of these, of those that nothing outside of the project needs */
} SpaceProject;

typedef struct {
    char *id, *project, *name, *version;
    int64_t bytes; /* of its images' blobs */
    int64_t alone; /* of these, of those that nothing else needs: what deleting it frees */
} SpaceModel;

/* What has some part of the blobs: so many of them, each counted once. */
typedef struct {
    int count;
    int64_t bytes;
    int64_t alone; /* of those that nothing else needs */
} SpaceUse;

typedef struct {
    int64_t disk_bytes, free_bytes; /* of the file system with the data directory */
    int64_t store_bytes;   /* the database, wherever it is, with what is to be merged into it */
    int64_t project_limit; /* limits.project_storage_gib, of each project; 0: none */
    bool registry;         /* the images of models lie in a registry */
    int blobs;
    int64_t blob_bytes;  /* of what lies in the layout */
    int64_t kept_bytes;  /* what a model, a runtime, an environment or a pushed image needs; of a
                            layout gc removes the others */
    int64_t model_bytes; /* of these, what a model needs */
    SpaceUse runtimes, environments, pushed;
    int uploads; /* packages and pushed blobs that are on their way, or wait to be imported */
    int64_t upload_bytes;
    int64_t unpacked_bytes; /* layers as directories, that builds stand on */
    GPtrArray *projects;    /* of SpaceProject, by name */
    GPtrArray *models;      /* of SpaceModel, the largest first */
} Space;

/* project NULL: of all; else what is said of models, projects and uploads is of that one. */
Space *space_read(Service *service, const char *project, GError **error);
void space_free(Space *space);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Space, space_free)

/* What is on this machine's disk, and in the registry that keeps the images. */
int64_t space_total(const Space *space);
/* As GET /v1/space answers it, with at most so many models. whole: with what tells of more than
 * one project. A new reference. */
json_t *space_json(const Space *space, int64_t models, bool whole);
