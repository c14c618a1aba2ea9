/* Rows of attempts and of what belongs to one: the stages that it closed, the layers of its image,
 * its build log. */
#pragma once

#include "store/db.h"

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

/* The attempts whose layers are kept (a), with their models (m), of models that are not deleted:
 * the newest one and the newest imported one; a running attempt may take over what the one before
 * it packed. */
#define ATTEMPTS_KEPT                                                                             \
    "FROM models m JOIN attempts n ON n.model_id = m.id AND n.attempt = m.attempt "               \
    "JOIN attempts a ON a.model_id = m.id WHERE m.deleted_at IS NULL AND (a.attempt = m.attempt " \
    "OR (n.outcome = 'running' AND a.attempt = m.attempt - 1) "                                   \
    "OR a.attempt = (SELECT max(i.attempt) FROM attempts i WHERE i.model_id = m.id AND i.outcome" \
    " = 'imported')) "

typedef struct {
    char *origin; /* base, environment, model, config */
    int position;
    char *digest, *media_type, *diff_id;
    int64_t size, files;
    char *file, *recipe; /* or NULL */
} LayerRow;
void layer_row_free(LayerRow *row);
bool layer_insert(Db *db, const char *model_id, int attempt, const LayerRow *row, GError **error);
/* A file of a dynamic model, which is a blob beside the image: a row that is no layer of it. */
#define LAYER_ORIGIN_BLOB "blob"
/* Of LayerRow, by path. */
GPtrArray *blobs_of(Db *db, const char *model_id, int attempt, GError **error);
/* In the image's order: base, environment, model. */
GPtrArray *layers_of(Db *db, const char *model_id, int attempt, GError **error);
/* A layer that was packed by the same recipe before. NULL with *error unset: none. */
LayerRow *layer_of_recipe(Db *db, const char *recipe, GError **error);

/* Attempt `to` takes over the rows of the model's layers of attempt `from`. */
bool attempt_inherit_layers(Db *db, const char *model_id, int from, int to, GError **error);
/* Attempt `to` takes over what attempt `from` saw of the package: size, listing, config, runtime,
 * files. */
bool attempt_inherit_package(Db *db, const char *model_id, int from, int to, GError **error);
/* Attempt `to` takes over what attempt `from` did in a stage, where it closed it: the stage's row
 * and, of `copy`, the model's layers and its files' digests. */
bool attempt_inherit(Db *db, const char *model_id, int from, int to, const char *stage,
                     GError **error);

bool build_log_append(Db *db, const char *model_id, int attempt, const char *stream,
                      const char *text, GError **error);
