/* Rows of models, attempts and closed stages. Status is not stored: it follows from the newest
 * attempt's outcome, which changes in the transaction that appends the closing event. */
#pragma once

#include "store/db.h"

#define PROJECT_DEFAULT "default"

typedef struct {
    char *id, *project, *name, *version;
    char *type; /* NULL until the config was read */
    char *description, *owner;
    int64_t created_at, deleted_at; /* deleted_at 0: it is there */
    int attempt;
    int64_t last_seq;
    char *outcome;      /* of the newest attempt: running, imported, failed */
    bool was_imported;  /* an earlier attempt succeeded: this one is a rebuild */
    char *image_digest; /* of the newest imported attempt, or NULL */
    int64_t size;       /* bytes of the package or source image; -1: not known yet */
} Model;

void model_free(Model *model);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Model, model_free)

/* publishing, published, failed, building, building_failed (api.md, model_status). */
const char *model_status(const Model *model);

/* MODEL as the command line takes it: a name (its newest version), name:version, or an id. NULL
 * with *error unset: no such model. */
Model *model_find(Db *db, const char *project, const char *text, GError **error);
Model *model_load(Db *db, const char *id, GError **error);
/* Of that name and version, not deleted. NULL with *error unset: none. */
Model *model_of_version(Db *db, const char *project, const char *name, const char *version,
                        GError **error);
/* Sorted by name and version; name and status NULL: all. */
GPtrArray *models_list(Db *db, const char *project, const char *name_part, GError **error);

bool model_insert(Db *db, const char *id, const char *project, const char *name,
                  const char *version, int64_t version_number, const char *type,
                  const char *description, const char *owner, GError **error);
bool model_set_type(Db *db, const char *id, const char *type, GError **error);
/* Marks it as deleted; its timeline stays. */
bool model_mark_deleted(Db *db, const char *id, GError **error);

typedef struct {
    char *model_id;
    int attempt;
    char *request, *outcome;
    int64_t created_at, started_at, ended_at; /* 0: not yet */
    int64_t size;                             /* -1: not known yet */
    char *listing, *config, *runtime;
    char *image_digest, *image_media_type, *config_digest;
    int64_t image_manifest_size, image_size;
} Attempt;

void attempt_free(Attempt *attempt);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Attempt, attempt_free)

Attempt *attempt_load(Db *db, const char *model_id, int attempt, GError **error);
/* Inserts it and makes it the model's newest. */
bool attempt_insert(Db *db, const char *model_id, int attempt, const char *request, GError **error);
bool attempt_start(Db *db, const char *model_id, int attempt, GError **error);
/* outcome: imported, failed. */
bool attempt_end(Db *db, const char *model_id, int attempt, const char *outcome, GError **error);
bool attempt_set_package(Db *db, const char *model_id, int attempt, int64_t size,
                         const char *listing, const char *config, const char *runtime,
                         GError **error);
bool attempt_set_image(Db *db, const char *model_id, int attempt, const char *digest,
                       const char *media_type, int64_t manifest_size, const char *config_digest,
                       int64_t image_size, GError **error);

/* The result (JSON) of a closed stage; NULL with *error unset: it is not closed. */
char *stage_result(Db *db, const char *model_id, int attempt, const char *stage, GError **error);
bool stage_close(Db *db, const char *model_id, int attempt, const char *stage, const char *result,
                 GError **error);

typedef struct {
    char *origin; /* base, environment, model */
    int position;
    char *digest, *media_type, *diff_id;
    int64_t size, files;
    char *file, *recipe; /* or NULL */
} LayerRow;
void layer_row_free(LayerRow *row);
bool layer_insert(Db *db, const char *model_id, int attempt, const LayerRow *row, GError **error);
/* In the image's order: base, environment, model. */
GPtrArray *layers_of(Db *db, const char *model_id, int attempt, GError **error);
/* A layer that was packed by the same recipe before. NULL with *error unset: none. */
LayerRow *layer_of_recipe(Db *db, const char *recipe, GError **error);

/* Attempt `to` takes over what attempt `from` did in a stage, where it closed it: the stage's row
 * and, of `copy`, the model's layers. */
bool attempt_inherit(Db *db, const char *model_id, int from, int to, const char *stage,
                     GError **error);

bool build_log_append(Db *db, const char *model_id, int attempt, const char *stream,
                      const char *text, GError **error);
