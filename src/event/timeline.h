/* The timeline: the events of one model, in the order of their seq.
 *
 * An event is appended in the transaction that records what it says; its JSON is rendered once,
 * then. seq is dense from 1 and comes from the model's row, under its lock; occur_time never falls
 * within a model, whatever the clock does. */
#pragma once

#include "event/event.h"
#include "store/data.h"

/* Within the caller's transaction. `stage` is used where the event names none. *seq, when not NULL,
 * is set. The event stays the caller's. */
bool timeline_append(Db *db, const char *model_id, int attempt, const char *stage,
                     const Event *event, int64_t *seq, GError **error);

typedef struct {
    int64_t after;               /* only events with a larger seq */
    int attempt;                 /* 0: all */
    bool normal, abnormal, hint; /* none set: all types */
} TimelineFilter;

/* Called with each event's rendered JSON; false ends the reading. */
typedef bool (*TimelineFunc)(const char *json, int64_t seq, gpointer data);
bool timeline_each(Db *db, const char *model_id, const TimelineFilter *filter, TimelineFunc call,
                   gpointer data, GError **error);

/* One event's JSON; NULL with *error unset: there is none of that seq. */
char *timeline_event(Db *db, const char *model_id, int64_t seq, GError **error);
/* The newest event's JSON; NULL with *error unset: there is none. */
char *timeline_last(Db *db, const char *model_id, GError **error);
/* seq of the attempt's first event of that reason; 0: none. */
bool timeline_find(Db *db, const char *model_id, int attempt, const char *reason, int64_t *seq,
                   GError **error);

/* Sees the commits of other processes. Of SQLite by inotify on the write-ahead log and PRAGMA
 * data_version; of a server by its data version alone, at most 200 ms late, and at once by one that
 * listens. */
typedef struct TimelineWatch TimelineWatch;
TimelineWatch *timeline_watch_new(DataDirectory *data, Db *db);
/* Asks the server to be told of commits: one for each node. Of SQLite nothing. */
bool timeline_watch_listen(TimelineWatch *watch, GError **error);
void timeline_watch_free(TimelineWatch *watch);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TimelineWatch, timeline_watch_free)
/* Waits until something was committed, or for so long. False: nothing was, as far as is seen. */
bool timeline_watch_wait(TimelineWatch *watch, int timeout_ms);
/* Ends the wait at once, from any thread: who has committed itself need not wait to be seen. */
void timeline_watch_wake(TimelineWatch *watch);
