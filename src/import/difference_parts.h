/* Inside of the difference: what is known of an attempt, and how its parts are compared. */
#pragma once

#include "import/difference.h"
#include "import/request.h"

typedef struct {
    const Model *model;
    Attempt *attempt;
    ImportRequest *request;
    char *config;        /* the text; "" where there is none; NULL: it is not known */
    json_t *config_json; /* NULL: it is no JSON, or not known */
    json_t *installed;   /* name -> version of what was really installed; NULL: not known */
    bool files_known, base_known;
    char *base, *base_digest;           /* of a package; NULL: not known */
    char *source_image, *source_digest; /* of a custom image */
} Side;

/* An empty one. */
Difference *difference_begin(void);
/* The kind that difference_json calls so. */
FileChangeKind file_change_kind(const char *name);

void side_clear(Side *side);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Side, side_clear)
bool side_read(Side *side, Db *db, const Model *model, int attempt, GError **error);

void dependencies_compare(const Side *sides, GPtrArray *changes);
bool files_compare(Db *db, const Side *sides, GPtrArray *changes, int64_t *same, GError **error);

void file_change_free(FileChange *change);
void dependency_change_free(DependencyChange *change);
