#include "store/model_search.h"

#include "store/model_rows.h"

/* As model_status() says it. */
#define STATUS                                                             \
    "CASE a.outcome WHEN 'imported' THEN 'published' WHEN 'failed' THEN "  \
    "CASE WHEN " WAS_IMPORTED " THEN 'building_failed' ELSE 'failed' END " \
    "ELSE CASE WHEN " WAS_IMPORTED " THEN 'building' ELSE 'publishing' END END"
#define WAS_IMPORTED                                                                          \
    "EXISTS (SELECT 1 FROM attempts w WHERE w.model_id = m.id AND w.attempt < m.attempt AND " \
    "w.outcome = 'imported')"

/* replace() because LIKE folds case in one engine and not in the other, and has wildcards. */
#define WHERE(there)                                                                            \
    "WHERE m.project = $1 AND m.deleted_at IS " there " "                                       \
    "AND ($2 = '' OR m.name = $2) AND ($3 = '' OR replace(m.name, $3, '') <> m.name) "          \
    "AND ($4 = '' OR m.version = $4) AND ($5 = '' OR " STATUS " = $5) "                         \
    "AND ($6 = '' OR replace(m.description, $6, '') <> m.description) "                         \
    "AND ($7 = '' OR m.type = $7 OR ($7 = 'Template' AND " BY_TEMPLATE ")) "                    \
    "AND ($8 = '' OR m.type IS NULL OR (m.type <> $8 AND NOT ($8 = 'Template' AND " BY_TEMPLATE \
    "))) "                                                                                      \
    "AND ($9 = '' OR m.owner = $9) AND ($10 = 0 OR NOT EXISTS (SELECT 1 FROM models n "         \
    "WHERE n.project = m.project AND n.name = m.name AND n.deleted_at IS NULL AND "             \
    "n.version_number > m.version_number)) "

#define TYPES "sssssssssi"
#define VALUES(search)                                                         \
    (search)->project, text(search->name_exact ? search->name : NULL),         \
        text(search->name_exact ? NULL : search->name), text(search->version), \
        text(search->status), text(search->description), text(search->type),   \
        text(search->not_type), text(search->owner), (int64_t)(search)->newest

static const char *text(const char *value)
{
    return value ? value : "";
}

#define PAGE " LIMIT $11 OFFSET $12"

/* Of one order: those that are there and those that were deleted, descending and ascending. */
#define ORDER(by, id) \
    MODEL_COLUMNS WHERE("NULL") by id PAGE, MODEL_COLUMNS WHERE("NOT NULL") by id PAGE
#define ORDERS(by)                                                                    \
    {                                                                                 \
        ORDER("ORDER BY " by " DESC", ", m.id DESC"), ORDER("ORDER BY " by, ", m.id") \
    }

static const char *query_of(const ModelSearch *search)
{
    static const char *const QUERIES[][4] = {
        [MODELS_BY_TIME] = ORDERS("m.created_at"),
        [MODELS_BY_VERSION] = ORDERS("m.version_number"),
        [MODELS_BY_SIZE] = ORDERS("coalesce(a.size, 0)"),
        [MODELS_BY_NAME] = ORDERS("m.name"),
    };
    return QUERIES[search->order][2 * search->ascending + search->deleted];
}

#define COUNT                                                                 \
    "SELECT count(*) FROM models m JOIN attempts a ON a.model_id = m.id AND " \
    "a.attempt = m.attempt "

GPtrArray *models_search(Db *db, const ModelSearch *search, int64_t *total, GError **error)
{
    if (!db_query_int(db, total, 0, error,
                      search->deleted ? COUNT WHERE("NOT NULL") : COUNT WHERE("NULL"), TYPES,
                      VALUES(search)))
        return NULL;
    g_autoptr(DbRows) rows = db_query(db, error, query_of(search), TYPES "ii", VALUES(search),
                                      search->limit, search->offset);
    return models_of_rows(rows, error);
}
