/* Events that are too old: what gc forgets of models that are not deleted (store.events_days). */
#pragma once

#include "store/db.h"

typedef struct {
    char *model_id;
    int attempt; /* 0: updates that belong to none */
} TimelineAttempt;

/* Attempts all of whose events are from before `time`, and that others followed; the one whose
 * image the model has, the newest imported one, is not among them. Of TimelineAttempt. */
GPtrArray *timeline_attempts_before(Db *db, int64_t time, GError **error);
/* Within the caller's transaction: the events and the build log of one attempt go. The others keep
 * their seq. */
bool timeline_forget(Db *db, const char *model_id, int attempt, GError **error);
