/* The event list of the API: filters, order and a page over one model's timeline (api.md, "GET
 * …/events"). */
#pragma once

#include "event/timeline.h"

/* What is said of the model beside its events. */
typedef struct {
    char *model_name;
    int64_t last_seq;
    bool deleted;
} TimelineHead;

void timeline_head_clear(TimelineHead *head);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(TimelineHead, timeline_head_clear)
/* Replaces what *head held. False with *error unset: the project has no such model, nor a
 * deleted one. */
bool timeline_head(Db *db, const char *project, const char *model_id, TimelineHead *head,
                   GError **error);

typedef struct {
    const char *model_id;
    bool normal, abnormal, hint;  /* none set: all types */
    const char *info;             /* part of the message in either language, or NULL */
    const char *reason, *stage;   /* or NULL */
    int attempt;                  /* 0: all */
    int64_t after, before;        /* of their seq, neither of them listed; before 0: no end */
    int64_t start_time, end_time; /* end_time 0: no end */
    bool descending;
    int64_t offset, limit;
} TimelineSearch;

typedef struct {
    int64_t total, count; /* total: without the page */
} TimelineFound;

/* Appends the events to `json`, comma-separated, as they were rendered when they were appended. */
bool timeline_search(Db *db, const TimelineSearch *search, GString *json, TimelineFound *found,
                     GError **error);
