/* The columns of a Model, for the queries of this floor. */
#pragma once

#include "store/models.h"

#define MODEL_COLUMNS                                                                            \
    "SELECT m.id, m.project, m.name, m.version, m.type, m.description, m.owner, m.created_at, "  \
    "m.deleted_at, "                                                                             \
    "m.attempt, m.last_seq, a.outcome, "                                                         \
    "EXISTS (SELECT 1 FROM attempts e WHERE e.model_id = m.id AND e.attempt < m.attempt AND "    \
    "e.outcome = 'imported'), "                                                                  \
    "(SELECT i.image_digest FROM attempts i WHERE i.model_id = m.id AND i.outcome = 'imported' " \
    "ORDER BY i.attempt DESC LIMIT 1), "                                                         \
    "coalesce(a.size, -1), m.deleted_by "                                                        \
    "FROM models m JOIN attempts a ON a.model_id = m.id AND a.attempt = m.attempt "

/* Of the rows m and a. A request is kept as JSON: quotes within its texts are escaped. */
#define BY_TEMPLATE "replace(a.request, '\"template\":', '') <> a.request"

Model *model_of_row(DbRows *rows);
/* Every row; rows NULL: the query failed, *error says so. */
GPtrArray *models_of_rows(DbRows *rows, GError **error);
