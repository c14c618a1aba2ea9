/* Rows of models. Status is not stored: it follows from the newest attempt's outcome, which changes
 * in the transaction that appends the closing event. */
#pragma once

#include "store/db.h"

#define PROJECT_DEFAULT "default"

typedef struct {
    char *id, *project, *name, *version;
    char *type; /* NULL until the config was read */
    char *description, *owner;
    int64_t created_at, deleted_at; /* deleted_at 0: it is there */
    char *deleted_by;               /* NULL: it is there, or that is not known */
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
 * with *error unset: no such model, or a deleted one. */
Model *model_find(Db *db, const char *project, const char *text, GError **error);
/* The same among those that were deleted; of several of one version the one deleted last. */
Model *model_find_deleted(Db *db, const char *project, const char *text, GError **error);
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
/* Those that were deleted, the last one first. */
GPtrArray *models_list_deleted(Db *db, const char *project, const char *name_part, GError **error);

bool model_set_description(Db *db, const char *id, const char *description, GError **error);
/* Marks it as deleted; its timeline stays. */
bool model_mark_deleted(Db *db, const char *id, const char *actor, GError **error);

/* Ids of models that were deleted before that time and whose rows nothing refers to. */
GPtrArray *models_deleted_before(Db *db, int64_t time, GError **error);
/* Removes every row of a deleted model, within the caller's transaction. */
bool model_remove(Db *db, const char *id, GError **error);
