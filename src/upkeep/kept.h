/* What is kept: every blob that a model, a runtime or a pushed image of the store needs, and who
 * needs it. gc removes the others, verify hashes these again, backup copies them.
 *
 * Of a model that is not deleted these are the layers, the manifest and the config of its newest
 * attempt and of its newest imported one. A failed attempt has no image, but its layers, which a
 * retry takes over; so a running attempt keeps those of the attempt before it, too. */
#pragma once

#include "image/image.h"
#include "store/db.h"
#include "store/runtimes.h"

typedef struct {
    char *id;
    char *label;      /* NAME:VERSION, and outside of the default project --project NAME, too */
    char *repository; /* in the store of images (image/store.h) */
} KeptModel;

typedef struct {
    char *project;
    char *label; /* PROJECT/REPOSITORY, as clients name it */
} KeptRepository;

typedef struct {
    Descriptor blob;         /* size -1: the store does not say (configs of models) */
    bool manifest;           /* which a registry has beside its blobs */
    bool environment;        /* a layer of an environment that can be used again */
    GPtrArray *models;       /* of KeptModel */
    GPtrArray *runtimes;     /* of char *, their names */
    GPtrArray *repositories; /* of KeptRepository: it was pushed there */
} KeptBlob;

typedef struct {
    GPtrArray *blobs;      /* of KeptBlob */
    GHashTable *by_digest; /* char * -> KeptBlob, both the array's */
} Kept;

Kept *kept_new(void);
void kept_free(Kept *kept);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Kept, kept_free)

/* model_id NULL: of every model. images_alone: without the layers of attempts that have no image,
 * and with the sizes of configs, which a layout tells by itself. */
bool kept_add_models(Kept *kept, Db *db, const char *model_id, bool images_alone, GError **error);
/* IMAGE_ERROR: its manifest or config cannot be read, so that its layers are not known; what is
 * known, the unreadable blob included, was added all the same. */
bool kept_add_runtime(Kept *kept, ImageSource *images, const Runtime *runtime, GError **error);

/* Layers of environments that are there, and so can be used again. */
bool kept_add_environments(Kept *kept, Db *db, const Layout *images, GError **error);

/* What was pushed to the registry. */
bool kept_add_pushed(Kept *kept, Db *db, GError **error);

/* All of it, within the caller's transaction. A runtime that cannot be read is an error. */
Kept *kept_read(Db *db, Layout *images, GError **error);
/* What the layout keeps where a registry is the store: base images that were fetched whole. */
Kept *kept_read_fetched(Db *db, Layout *images, GError **error);

/* Takes the sizes that the store does not say from the files; 0: it is missing. */
void kept_measure(Kept *kept, const Layout *images);

bool kept_has(const Kept *kept, const char *digest);
/* Sizes added up; one that the store does not say counts nothing. */
int64_t kept_bytes(const Kept *kept);
