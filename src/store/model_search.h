/* The model list of the API: filters, order, a page, and how many there are (api.md, "GET
 * /v1/{project_id}/models"). */
#pragma once

#include "store/models.h"

typedef enum { MODELS_BY_TIME, MODELS_BY_VERSION, MODELS_BY_SIZE, MODELS_BY_NAME } ModelOrder;

typedef struct {
    const char *project;
    /* NULL: not asked for */
    const char *name, *version, *status, *description, *type, *not_type, *owner;
    bool deleted;    /* those that were deleted, and no others */
    bool newest;     /* of each name its newest version */
    bool name_exact; /* else any part of it; "_" and "%" are themselves */
    ModelOrder order;
    bool ascending;        /* ties by id */
    int64_t offset, limit; /* items */
} ModelSearch;

/* *total: without the page. */
GPtrArray *models_search(Db *db, const ModelSearch *search, int64_t *total, GError **error);
