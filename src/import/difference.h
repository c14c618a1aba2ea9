/* What changed between two attempts, of one version, of two versions, or of two models: config by
 * lines, files by digest, dependencies, base, and what was asked for otherwise.
 *
 * Only what the store has kept is compared. An attempt that failed may have closed only some
 * stages: what is not known of a side is said (DifferenceUnknown), never guessed. The attempts
 * themselves are not changed. */
#pragma once

#include "base/line_diff.h"
#include "event/catalog.h"
#include "import/service.h"
#include "store/attempts.h"
#include "store/models.h"

/* Of arrays of two: the former attempt, the latter one. */
enum { DIFFERENCE_OLD, DIFFERENCE_NEW };

typedef struct {
    char *model_id, *name, *version;
    int attempt;
    bool is_newest;   /* of its version */
    char *outcome;    /* running, imported, failed */
    int64_t ended_at; /* 0: not yet */
    char *source;
} DifferenceSide;

typedef enum {
    FILE_ADDED,
    FILE_REMOVED,
    FILE_CHANGED,
    FILE_UNSURE /* of the same size, but written to since, and not hashed on both sides */
} FileChangeKind;

typedef struct {
    FileChangeKind kind;
    char *path;
    int64_t sizes[2];
    char *digests[2];       /* of its content; NULL: not hashed by itself */
    char *layer_digests[2]; /* of the layer that holds it alone; NULL: there is none */
} FileChange;

typedef struct {
    char *installer, *name;
    char *versions[2]; /* "==1.24", "" any; NULL: it is not among them */
} DependencyChange;

/* fact: "runtime", "base", "base_digest", "source_image", "source_digest", "type", "child",
 * "dereference", "description". */
typedef struct {
    const char *fact;
    char *values[2]; /* NULL: none */
} FactChange;

/* part: "config" (it was not read), "dependencies" (its config is no JSON), "files" (they were not
 * listed), "base" (the import did not reach it). */
typedef struct {
    int side;
    const char *part;
} DifferenceUnknown;

typedef struct {
    DifferenceSide sides[2];
    LineDiff *config;        /* NULL: it could not be compared */
    GPtrArray *dependencies; /* of DependencyChange, by name */
    GPtrArray *files;        /* of FileChange, by path; the config.json whose lines are compared is
                                not among them */
    int64_t files_same;
    GPtrArray *facts; /* of FactChange */
    GArray *unknown;  /* of DifferenceUnknown */
} Difference;

void difference_free(Difference *difference);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Difference, difference_free)

/* NULL: *error. */
Difference *difference_new(Service *service, const Model *old, int old_attempt, const Model *new,
                           int new_attempt, GError **error);
/* Nothing differs in what is known. */
bool difference_is_empty(const Difference *difference);

/* The newest imported attempt before this one: an earlier one of the same version, else of the
 * nearest earlier version. *found false: there is none. */
bool difference_baseline(Service *service, const Model *model, int attempt, bool *found,
                         Model **old, int *old_attempt, GError **error);

/* NAME:VERSION, with @ATTEMPT where it is not the version's newest, or always. The caller frees it.
 */
char *difference_side_name(const DifferenceSide *side, bool always);
/* As `waybill diff --json` prints it. */
json_t *difference_json(const Difference *difference);
/* What that wrote, back; what is missing there is empty. */
Difference *difference_of_json(json_t *object);
