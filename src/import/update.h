/* Updates of a model that is there: its description, its dependencies (api.md, "PUT
 * …/models/{model_id}").
 *
 * Other dependencies begin a rebuild: the next attempt, which packs nothing and builds the image
 * anew of the layers that a former attempt packed. Until it has worked, the former image stays. */
#pragma once

#include "import/import.h"

typedef struct {
    const char *description;       /* NULL: it stays */
    const char *dependencies;      /* JSON, an array as config.json's; NULL: they stay */
    const char *dependencies_file; /* their name in findings */
    const char *actor;
} ImportUpdate;

typedef enum { UPDATE_NOT_ASKED, UPDATE_SAME, UPDATE_CHANGED } UpdateOutcome;

/* Submission: job 0 where nothing is rebuilt; appended in any case. */
typedef struct {
    UpdateOutcome description, dependencies;
    Submission submission;
} UpdateResult;
#define UPDATE_RESULT_NONE ((UpdateResult){.submission = SUBMISSION_NONE})

/* What breaks a rule in the update itself: faults (of RequestFault) of the description, findings of
 * the dependencies. Nothing is recorded. */
bool import_update_check(Service *service, const Model *model, const ImportUpdate *update,
                         GPtrArray *faults, Findings *findings, GError **error);

/* One transaction: the model's row, the events DescriptionUpdated, DependenciesUnchanged or
 * DependenciesUpdated, and for a rebuild the next attempt with its job. What was asked for must
 * have been checked. Dependencies while an attempt runs: IMPORT_ERROR_BUILDING; of a model that was
 * never imported: IMPORT_ERROR_CONFLICT; then nothing of the update was done. */
bool import_update(Service *service, const Model *model, const ImportUpdate *update,
                   UpdateResult *result, GError **error);
