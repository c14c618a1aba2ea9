/* Jobs: what workers take. Three kinds; an import that waits for a build is parked and holds no
 * worker.
 *
 *   queued --claim--> running --park--> parked --(the build's last transaction)--> queued
 *                        \--end--> done
 *
 * Claiming takes the lease (leases.h) inside the transaction that says "running". A running job
 * whose lease is free was interrupted: claiming it again is a resume. */
#pragma once

#include "store/leases.h"

typedef enum { JOB_IMPORT, JOB_IMAGE_BUILD, JOB_ENV_BUILD } JobKind;
const char *job_kind_name(JobKind kind); /* "import", "image-build", "env-build" */

typedef struct {
    int64_t id;
    JobKind kind;
    char *model_id;
    int attempt;
    char *state;
    int64_t waits_for; /* 0: nothing */
    int leases;        /* how often it was taken, before this time */
    char *worker;      /* who took it last, before a claim: the former one */
    char *cancelled_by;
    char *cache_key; /* of an env-build */
    int64_t created_at;
    bool served; /* a server's workers do it, whenever one runs */
    int64_t
        held_in;  /* the window of maintenance in which its timeline says that it waits; 0: none */
    int lost;     /* workers that died while they worked on it */
    char *home;   /* job_set_home's; NULL: any node can do it */
    Lease *lease; /* NULL: not held by us */
} Job;

void job_free(Job *job); /* gives the lease back */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Job, job_free)

/* Inserts a queued job within the caller's transaction. cache_key NULL: none. *id: its number. */
bool job_insert(Db *db, JobKind kind, const char *model_id, int attempt, const char *cache_key,
                int64_t *id, GError **error);
/* The open env-build of that key; 0: none. */
bool job_of_cache_key(Db *db, const char *cache_key, int64_t *id, GError **error);

/* Takes the job if it is open, not parked, and nobody works on it. NULL with *error unset: it
 * cannot be had now. job->worker is the former worker when the job was interrupted (state was
 * running), else NULL. *held (NULL: it was begun already) is set when it could be had, but
 * maintenance is on: it must not begin, unless it is to be cancelled. */
Job *job_claim(Db *db, DataDirectory *data, int64_t id, const char *worker, bool *held,
               GError **error);
/* Within the caller's transaction: an open build that nobody works on. Its lease is held as long as
 * the Job is, so that nobody takes it meanwhile. NULL with *error unset: somebody has it, or it has
 * ended. */
Job *job_seize(Db *db, DataDirectory *data, int64_t id, GError **error);
/* Its worker was lost, and nobody takes it again. Within the caller's transaction. */
bool job_note_lost(Db *db, int64_t id, GError **error);
/* Of an attempt that was interrupted and is not to go on: whoever worked on it, and only sleeps,
 * can write nothing more. */
bool jobs_take_away(Db *db, const char *model_id, int attempt, GError **error);
/* Its timeline says, in the same transaction, that it waits in that window. */
bool job_set_held(Db *db, int64_t id, int64_t window, GError **error);
Job *job_load(Db *db, int64_t id, GError **error);
/* The newest attempt's open import job; NULL with *error unset: none. */
Job *job_of_model(Db *db, const char *model_id, GError **error);

bool job_park(Db *db, int64_t id, int64_t waits_for, GError **error);
bool job_end(Db *db, int64_t id, GError **error);
/* Hands it back to the queue, as it was before it was taken. */
/* Only workers of that data directory (data_home) can do it: what it imports from lies there. NULL:
 * any can. */
bool job_set_home(Db *db, int64_t id, const char *home, GError **error);
bool job_give_back(Db *db, int64_t id, GError **error);
/* Wakes every import that waits for this build. */
bool job_wake_waiting(Db *db, int64_t build, GError **error);
/* Imports that wait for this build, as Job without a lease. */
GPtrArray *jobs_waiting(Db *db, int64_t build, GError **error);
/* Whose the job is: a server's, or (false) the process's that asked for it. */
bool job_set_served(Db *db, int64_t id, bool served, GError **error);
/* Which turn of its project an open import job j of a model m has: each project's first ones come
 * before anybody's second ones, so that one with many imports lets the others through. */
#define JOBS_TURN                                                                           \
    "row_number() OVER (PARTITION BY m.project ORDER BY CASE j.state WHEN 'queued' THEN 1 " \
    "ELSE 0 END, j.id)"
/* Import jobs that a server's worker could go on with, in the order of their turns: nobody works on
 * them nor on the build that they wait for, and they were not told to wait for the end of
 * maintenance. home_only: of these those that nobody else can do; else, too, those of a home that
 * was not seen for given_up_ms: somebody has to say so. Array of int64_t. */
GArray *jobs_to_serve(Db *db, DataDirectory *data, bool home_only, int64_t given_up_ms,
                      GError **error);
/* Builds that an import of a server waits for and nobody works on: queued ones, and those whose
 * worker was lost. None while maintenance is on. Array of Job without a lease. */
GPtrArray *builds_to_serve(Db *db, DataDirectory *data, GError **error);
/* Asks for the end of the attempt's open jobs, but for an env-build's, which others may wait for
 * too. The worker sees it within a moment. */
bool job_ask_cancel(Db *db, const char *model_id, const char *actor, GError **error);
/* Who asked for the cancel; NULL with *error unset: nobody. */
char *job_cancelled_by(Db *db, int64_t id, GError **error);
/* Jobs queued before this one. */
bool jobs_ahead(Db *db, int64_t id, int64_t *ahead, GError **error);
