#include "event/timeline_all.h"

#include <string.h>

enum { NORMAL = 1, ABNORMAL = 2, HINT = 4 };

#define FROM                                                                     \
    "FROM events e JOIN models m ON m.id = e.model_id AND m.deleted_at IS NULL " \
    "WHERE e.project = $1 AND ($5 = '' OR e.kind = $5) "                         \
    "AND ($7 = '' OR e.stage = $7) "                                             \
    "AND ($6 = 7 OR CASE e.event_type WHEN 'normal' THEN $6 & 1 "                \
    "WHEN 'abnormal' THEN $6 & 2 ELSE $6 & 4 END <> 0) "

/* How the times are put picks the index: events_by_reason, where both ends name the reason, which
 * so is that one; events_of_problems; events_by_time. */
#define OF_REASON \
    "AND (e.reason, e.occur_time) >= ($4, $2) AND (e.reason, e.occur_time) <= ($4, $3) "
#define OF_TIME     "AND $4 = '' AND e.occur_time >= $2 AND e.occur_time <= $3 "
#define OF_PROBLEMS OF_TIME "AND e.event_type <> 'normal' "

#define COUNT "SELECT count(*), count(DISTINCT e.model_id) " FROM
#define PAGE  "SELECT e.model_id, m.name, m.version, e.occur_time, e.seq, e.event " FROM
#define BEHIND                                               \
    "AND (e.occur_time, e.model_id, e.seq) < ($8, $9, $10) " \
    "ORDER BY e.occur_time DESC, e.model_id DESC, e.seq DESC LIMIT $11"
#define BEHIND_OF_REASON                                                   \
    "AND (e.reason, e.occur_time, e.model_id, e.seq) < ($4, $8, $9, $10) " \
    "ORDER BY e.reason DESC, e.occur_time DESC, e.model_id DESC, e.seq DESC LIMIT $11"

#define TYPES "siissis"

typedef struct {
    const char *count, *page;
} Queries;

static int64_t types_of(const TimelineAll *search)
{
    int64_t types = (search->normal ? NORMAL : 0) | (search->abnormal ? ABNORMAL : 0) |
                    (search->hint ? HINT : 0);
    return types ? types : NORMAL | ABNORMAL | HINT;
}

static const Queries *queries_of(const TimelineAll *search)
{
    static const Queries REASON = {COUNT OF_REASON, PAGE OF_REASON BEHIND_OF_REASON},
                         PROBLEMS = {COUNT OF_PROBLEMS, PAGE OF_PROBLEMS BEHIND},
                         ALL = {COUNT OF_TIME, PAGE OF_TIME BEHIND};
    if (search->reason)
        return &REASON;
    return types_of(search) & NORMAL ? &ALL : &PROBLEMS;
}

static const char *text(const char *value)
{
    return value ? value : "";
}

#define VALUES(search)                                                                  \
    (search)->project, (search)->since, (search)->until ? (search)->until : G_MAXINT64, \
        text((search)->reason), text((search)->kind), types_of(search), text((search)->stage)

const char *timeline_all_page_sql(const TimelineAll *search)
{
    return queries_of(search)->page;
}

bool timeline_all_count(Db *db, const TimelineAll *search, int64_t *events, int64_t *models,
                        GError **error)
{
    g_autoptr(DbRows) rows = db_query(db, error, queries_of(search)->count, TYPES, VALUES(search));
    if (!rows || !db_next(rows, error))
        return false;
    *events = db_int(rows, 0);
    *models = db_int(rows, 1);
    return true;
}

bool timeline_all_each(Db *db, const TimelineAll *search, TimelineAllFunc call, gpointer data,
                       bool *more, GError **error)
{
    GError *failure = NULL;
    const bool first = !search->behind_model;
    g_autoptr(DbRows) rows =
        db_query(db, error, queries_of(search)->page, TYPES "isii", VALUES(search),
                 first ? G_MAXINT64 : search->behind_time, text(search->behind_model),
                 search->behind_seq, search->limit + 1);
    *more = false;
    for (int64_t count = 0; rows && db_next(rows, &failure); count++) {
        *more = count == search->limit;
        if (*more)
            break;
        const TimelineAllRow row = {db_text(rows, 0), db_text(rows, 1), db_text(rows, 2),
                                    db_int(rows, 3),  db_int(rows, 4),  db_text(rows, 5)};
        call(&row, data);
    }
    if (failure)
        g_propagate_error(error, failure);
    return rows && !failure;
}

char *timeline_all_json(const TimelineAllRow *row)
{
    json_t *model = json_pack("{s:s, s:s, s:s}", "model_id", row->model_id, "model_name", row->name,
                              "model_version", row->version);
    char *head = json_dumps(model, JSON_COMPACT);
    json_decref(model);
    char *whole = g_strdup_printf("%.*s,%s", (int)strlen(head) - 1, head, row->json + 1);
    free(head);
    return whole;
}
