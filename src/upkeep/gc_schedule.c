#include "upkeep/gc_schedule.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/size.h"
#include "store/audit.h"
#include "store/caller.h"

#define HOUR_MS (INT64_C(3600) * 1000)
#define DAY_MS  (24 * HOUR_MS)
#define DEAD_MS (6 * HOUR_MS) /* a run that has not ended by then ended with its process */
#define ACTOR   "gc.schedule"

/* -- when -- */

/* The first HH:MM after `last`. An hour that a day does not have, as clocks go forward, is the one
 * after it. */
static int64_t next_of_clock(int hour, int minute, int64_t last)
{
    g_autoptr(GDateTime) from = g_date_time_new_from_unix_local(last / 1000);
    for (int days = 0; from && days < 3; days++) {
        g_autoptr(GDateTime) day = g_date_time_add_days(from, days);
        g_autoptr(GDateTime) at =
            g_date_time_new_local(g_date_time_get_year(day), g_date_time_get_month(day),
                                  g_date_time_get_day_of_month(day), hour, minute, 0);
        int64_t ms = at ? g_date_time_to_unix(at) * 1000 : 0;
        if (ms > last)
            return ms;
    }
    return last + DAY_MS;
}

int64_t gc_schedule_next(const char *schedule, int64_t last)
{
    int hour, minute;
    if (sscanf(schedule, "%d:%d", &hour, &minute) == 2)
        return next_of_clock(hour, minute, last);
    if (strcmp(schedule, "hourly") == 0)
        return last + HOUR_MS;
    if (strcmp(schedule, "daily") == 0)
        return last + DAY_MS;
    return strcmp(schedule, "weekly") == 0 ? last + 7 * DAY_MS : 0;
}

int64_t gc_schedule_next_run(const char *schedule, const GcRun *run)
{
    int64_t next = gc_schedule_next(schedule, run->began_at);
    if (!next)
        return 0;
    if (strcmp(run->outcome, GC_RUN_RUNNING) == 0) /* another one may run it still */
        return MAX(next, run->began_at + DEAD_MS);
    bool again = strcmp(run->outcome, GC_RUN_BUSY) == 0 || strcmp(run->outcome, GC_RUN_FAILED) == 0;
    return again ? MIN(next, run->began_at + HOUR_MS) : next;
}

/* -- its turn -- */

bool gc_schedule_has(const Db *db, GcPart part)
{
    return part == GC_OF_STORE || db_engine(db) == DB_POSTGRES;
}

GcRun *gc_schedule_last(Db *db, const DataDirectory *data, GcPart part, GError **error)
{
    return part == GC_OF_DIRECTORY ? gc_run_load_here(data, error) : gc_run_load(db, error);
}

static bool put(Service *service, GcPart part, int64_t began, int64_t ended, const char *outcome,
                const char *result, GError **error)
{
    const GcRun run = {.began_at = began,
                       .ended_at = ended,
                       .outcome = (char *)outcome,
                       .worker = service->worker,
                       .result = (char *)result};
    return part == GC_OF_DIRECTORY ? gc_run_put_here(service->data, &run, error)
                                   : gc_run_put(service->db, &run, error);
}

/* *due: as was noted last; *known: something was. */
static bool look(Service *service, GcPart part, const char *schedule, int64_t now, bool *known,
                 bool *due, GError **error)
{
    g_autoptr(GError) failure = NULL;
    g_autoptr(GcRun) last = gc_schedule_last(service->db, service->data, part, &failure);
    *known = last != NULL;
    *due = last && gc_schedule_next_run(schedule, last) <= now;
    bool read = !failure;
    if (failure)
        g_propagate_error(error, g_steal_pointer(&failure));
    return read;
}

/* Nobody else reads or writes what was noted meanwhile. */
static bool take(Service *service, GcPart part, const char *schedule, int64_t now, bool *turn,
                 GError **error)
{
    bool known;
    if (!look(service, part, schedule, now, &known, turn, error))
        return false;
    return (known && !*turn) ||
           put(service, part, now, 0, *turn ? GC_RUN_RUNNING : GC_RUN_WAITS, "", error);
}

/* *turn: it is this process's, which has noted so. */
static bool take_turn(Service *service, GcPart part, const char *schedule, int64_t now, bool *turn,
                      GError **error)
{
    if (part == GC_OF_DIRECTORY) {
        autofd lock = data_lock_gc(service->data, error);
        return lock >= 0 && take(service, part, schedule, now, turn, error);
    }
    g_autoptr(DbTransaction) transaction = db_transaction(service->db, error);
    return transaction && take(service, part, schedule, now, turn, error) &&
           db_commit(service->db, error);
}

/* -- what became of it -- */

static void say_count(GString *text, int64_t count, const char *what)
{
    if (count)
        g_string_append_printf(text, "%s%" G_GINT64_FORMAT " %s", text->len ? ", " : "", count,
                               what);
}

/* What the turn of that part removed. */
static GcResult result_of(const GcResult *whole, GcPart part)
{
    GcResult result = *whole;
    if (!(part & GC_OF_STORE)) {
        result.images = result.copies = result.models = result.attempts = 0;
        result.copy_bytes = 0;
    }
    if (!(part & GC_OF_DIRECTORY)) {
        result.blobs = result.temporary = result.uploads = 0;
        result.blob_bytes = result.temporary_bytes = result.upload_bytes = 0;
    }
    return result;
}

/* "removed 3 blobs, 1 uploads: 1.0 GiB" */
static char *result_text(const GcResult *result)
{
    const int64_t bytes =
        result->blob_bytes + result->temporary_bytes + result->upload_bytes + result->copy_bytes;
    g_autofree char *size = size_text(bytes);
    GString *text = g_string_new(NULL);
    say_count(text, result->blobs, "blobs");
    say_count(text, result->temporary, "left-over files");
    say_count(text, result->uploads, "uploads");
    say_count(text, result->images, "images in the registry");
    say_count(text, result->copies, "copies in the bucket");
    say_count(text, result->models, "timelines of deleted versions");
    say_count(text, result->attempts, "attempts' old events");
    if (!text->len)
        g_string_append(text, result->busy ? "nothing yet" : "nothing");
    g_string_prepend(text, "removed ");
    if (bytes)
        g_string_append_printf(text, ": %s", size);
    if (result->busy)
        g_string_append(text, "; somebody works in the images");
    return g_string_free(text, FALSE);
}

static bool audit(Service *service, const char *outcome, GError **error)
{
    const bool failed = strcmp(outcome, GC_RUN_FAILED) == 0;
    const AuditRow row = {.actor = ACTOR,
                          .project = CALLER_EVERY_PROJECT,
                          .action = "gc",
                          .object = service->worker,
                          .outcome = failed ? AUDIT_FAILED : AUDIT_DONE};
    return audit_add(service->db, &row, error);
}

/* The audit list says what was done to what is everybody's: a node's own left-overs are not. */
static bool end_turn(Service *service, GcPart part, int64_t began, const char *outcome,
                     const char *result, GError **error)
{
    if (part == GC_OF_DIRECTORY)
        return put(service, part, began, clock_now_ms(), outcome, result, error);
    g_autoptr(DbTransaction) transaction = service_transaction(service, error);
    return transaction && put(service, part, began, clock_now_ms(), outcome, result, error) &&
           audit(service, outcome, error) && db_commit(service->db, error);
}

/* What is to be done in that turn. */
static GcPart parts_of(const Service *service, GcPart turn)
{
    return gc_schedule_has(service->db, GC_OF_DIRECTORY) ? turn : GC_OF_BOTH;
}

static bool run_turn(Service *service, GcPart part, int64_t began, GError **error)
{
    GcResult result;
    g_autoptr(GError) failure = NULL;
    bool ran = gc_try(service, parts_of(service, part), &result, &failure);
    g_autofree char *text = ran ? result_text(&result) : g_strdup(failure->message);
    const char *outcome = !ran ? GC_RUN_FAILED : result.busy ? GC_RUN_BUSY : GC_RUN_DONE;
    return end_turn(service, part, began, outcome, text, error);
}

bool gc_schedule_look(Service *service, GcPart part, GcRun **run, GError **error)
{
    bool known, due = false;
    const char *schedule = settings_text(service->settings, "gc.schedule");
    const int64_t now = clock_now_ms();
    *run = NULL;
    if (!gc_schedule_next(schedule, now) || !gc_schedule_has(service->db, part))
        return true;
    /* Without keeping others out first: most of the time there is nothing to do. */
    if (!look(service, part, schedule, now, &known, &due, error))
        return false;
    if (known && !due)
        return true;
    if (!take_turn(service, part, schedule, now, &due, error))
        return false;
    if (!due)
        return true;
    if (!run_turn(service, part, now, error))
        return false;
    *run = gc_schedule_last(service->db, service->data, part, error);
    return *run != NULL;
}

static bool note(Service *service, GcPart turn, int64_t began_at, const GcResult *whole,
                 GError **error)
{
    const GcResult result = result_of(whole, parts_of(service, turn));
    g_autofree char *text = result_text(&result);
    return put(service, turn, began_at, clock_now_ms(), result.busy ? GC_RUN_BUSY : GC_RUN_DONE,
               text, error);
}

bool gc_schedule_note(Service *service, int64_t began_at, const GcResult *result, GError **error)
{
    g_autoptr(DbTransaction) transaction = service_transaction(service, error);
    return transaction && note(service, GC_OF_STORE, began_at, result, error) &&
           db_commit(service->db, error) &&
           (!gc_schedule_has(service->db, GC_OF_DIRECTORY) ||
            note(service, GC_OF_DIRECTORY, began_at, result, error));
}
