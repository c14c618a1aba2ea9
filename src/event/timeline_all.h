/* The events of all models of a project, the newest first (api.md, "GET /v1/{project_id}/events").
 * What was deleted is left out. */
#pragma once

#include "event/timeline.h"

typedef struct {
    const char *project;
    const char *reason, *kind, *stage; /* NULL: any */
    bool normal, abnormal, hint;       /* none set: all types */
    int64_t since, until;              /* ms since 1970, both included; until 0: no end */
    int64_t limit;
    /* Behind this event, the last one of the page before; model_id NULL: from the newest. */
    int64_t behind_time, behind_seq;
    const char *behind_model;
} TimelineAll;

typedef struct {
    const char *model_id, *name, *version;
    int64_t time, seq;
    const char *json; /* the event, as it was rendered */
} TimelineAllRow;
typedef void (*TimelineAllFunc)(const TimelineAllRow *row, gpointer data);

/* *more: there are further ones behind the last. */
bool timeline_all_each(Db *db, const TimelineAll *search, TimelineAllFunc call, gpointer data,
                       bool *more, GError **error);
/* How many there are, and of how many models, without the page. */
bool timeline_all_count(Db *db, const TimelineAll *search, int64_t *events, int64_t *models,
                        GError **error);

/* The statement of a page, for a test that asks which index it takes. */
const char *timeline_all_page_sql(const TimelineAll *search);

/* The event's object with its model: {model_id, model_name, model_version, …}. The caller frees
 * it. */
char *timeline_all_json(const TimelineAllRow *row);
