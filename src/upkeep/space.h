/* Where the disk's bytes went: the store, the images, by project and by model. */
#pragma once

#include "import/service.h"

typedef struct {
    char *project;
    int models;    /* versions that are not deleted */
    int64_t bytes; /* of their images' blobs and of what was pushed, each counted once */
} SpaceProject;

typedef struct {
    char *id, *project, *name, *version;
    int64_t bytes; /* of its images' blobs */
    int64_t alone; /* of these, of those that nothing else needs: what deleting it frees */
} SpaceModel;

typedef struct {
    int64_t disk_bytes, free_bytes; /* of the file system with the data directory */
    int64_t store_bytes;            /* the database, with what is to be merged into it */
    int blobs;
    int64_t blob_bytes;
    int64_t kept_bytes; /* of these, what a model, a runtime or a pushed image needs; gc removes the
                           others */
    GPtrArray *projects; /* of SpaceProject, by name */
    GPtrArray *models;   /* of SpaceModel, the largest first */
} Space;

/* project NULL: of all; else what is said of models and projects is of that one. */
Space *space_read(Service *service, const char *project, GError **error);
void space_free(Space *space);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Space, space_free)
