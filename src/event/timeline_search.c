#include "event/timeline_search.h"

#include <jansson.h>
#include <string.h>

enum { NORMAL = 1, ABNORMAL = 2, HINT = 4 };

#define FILTERS                                                                             \
    "FROM events WHERE model_id = $1 AND seq > $2 AND ($3 = 0 OR attempt = $3) "            \
    "AND occur_time >= $4 AND ($5 = 0 OR occur_time <= $5) AND ($6 = '' OR reason = $6) "   \
    "AND ($7 = '' OR stage = $7) AND ($8 = 7 OR CASE event_type WHEN 'normal' THEN $8 & 1 " \
    "WHEN 'abnormal' THEN $8 & 2 ELSE $8 & 4 END <> 0) AND ($9 = 0 OR seq < $9) "

void timeline_head_clear(TimelineHead *head)
{
    g_clear_pointer(&head->model_name, g_free);
}

bool timeline_head(Db *db, const char *project, const char *model_id, TimelineHead *head,
                   GError **error)
{
    g_autoptr(DbRows) rows = db_query(db, error,
                                      "SELECT name, last_seq, coalesce(deleted_at, 0) FROM models "
                                      "WHERE id = $1 AND project = $2",
                                      "ss", model_id, project);
    if (!rows || !db_next(rows, error))
        return false;
    timeline_head_clear(head);
    *head = (TimelineHead){g_strdup(db_text(rows, 0)), db_int(rows, 1), db_int(rows, 2) != 0};
    return true;
}

static int64_t types_of(const TimelineSearch *search)
{
    int64_t types = (search->normal ? NORMAL : 0) | (search->abnormal ? ABNORMAL : 0) |
                    (search->hint ? HINT : 0);
    return types ? types : NORMAL | ABNORMAL | HINT;
}

static bool contains(const json_t *event, const char *key, const char *info)
{
    const char *text = json_string_value(json_object_get(event, key));
    return text && strstr(text, info);
}

static bool info_fits(const char *text, const char *info)
{
    if (!info)
        return true;
    json_t *event = json_loads(text, 0, NULL);
    bool fits = contains(event, "event_info", info) || contains(event, "event_info_cn", info);
    json_decref(event);
    return fits;
}

/* Most ask for the whole timeline: nothing is looked at but its rows. */
static bool is_whole(const TimelineSearch *search)
{
    return !search->attempt && !search->start_time && !search->end_time && !search->reason &&
           !search->stage && !search->before && types_of(search) == (NORMAL | ABNORMAL | HINT) &&
           !search->descending;
}

static DbRows *search_start(Db *db, const TimelineSearch *search, GError **error)
{
    if (is_whole(search))
        return db_query(db, error,
                        "SELECT event FROM events WHERE model_id = $1 AND seq > $2 ORDER BY seq",
                        "si", search->model_id, search->after);
    return db_query(db, error,
                    search->descending ? "SELECT event " FILTERS "ORDER BY seq DESC"
                                       : "SELECT event " FILTERS "ORDER BY seq",
                    "siiiissii", search->model_id, search->after, (int64_t)search->attempt,
                    search->start_time, search->end_time, search->reason ? search->reason : "",
                    search->stage ? search->stage : "", types_of(search), search->before);
}

/* The messages are in the rendered events only: whoever asks for a part of one pays for reading
 * them all. */
bool timeline_search(Db *db, const TimelineSearch *search, GString *json, TimelineFound *found,
                     GError **error)
{
    g_autoptr(DbRows) rows = search_start(db, search, error);
    GError *failure = NULL;
    *found = (TimelineFound){0};
    while (rows && db_next(rows, &failure)) {
        const char *event = db_text(rows, 0);
        if (!info_fits(event, search->info))
            continue;
        if (found->total++ < search->offset || found->count == search->limit)
            continue;
        if (found->count++)
            g_string_append_c(json, ',');
        g_string_append(json, event);
    }
    if (failure)
        g_propagate_error(error, failure);
    return rows && !failure;
}
