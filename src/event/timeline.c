#include "event/timeline.h"

#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "store/model_changes.h"

#define WATCH_STEP_MS 200

#define COUNT_ON                                                                            \
    "UPDATE models SET last_seq = last_seq + 1, last_time = CASE WHEN last_time > $2 THEN " \
    "last_time ELSE $2 END, changed = "
#define OF_MODEL " WHERE id = $1"
#define PLACE    "last_seq, last_time, name, version"

/* Of a server each statement is a way there and back: one does it all. */
static DbRows *count_on_there(Db *db, const char *model_id, GError **error)
{
    return db_query(db, error, COUNT_ON MODEL_CHANGE_THERE OF_MODEL " RETURNING " PLACE, "si",
                    model_id, clock_now_ms());
}

/* Not by RETURNING: SQLite then keeps a journal for the one statement. */
static DbRows *count_on_here(Db *db, const char *model_id, GError **error)
{
    int64_t change;
    if (!model_changes_next(db, &change, error) ||
        !db_exec(db, error, COUNT_ON "$3" OF_MODEL, "sii", model_id, clock_now_ms(), change))
        return NULL;
    return db_query(db, error, "SELECT " PLACE " FROM models" OF_MODEL, "s", model_id);
}

/* The next place in the model's timeline, under the lock of its row, which the UPDATE takes.
 * *model: NAME:VERSION. */
static bool timeline_next(Db *db, const char *model_id, EventPlace *place, char **model,
                          GError **error)
{
    g_autoptr(DbRows) rows = db_engine(db) == DB_POSTGRES ? count_on_there(db, model_id, error)
                                                          : count_on_here(db, model_id, error);
    GError *failure = NULL;
    if (!rows || !db_next(rows, &failure)) {
        if (rows && !failure)
            g_set_error(error, DB_ERROR, DB_ERROR_FAILED, "there is no model %s", model_id);
        else if (failure)
            g_propagate_error(error, failure);
        return false;
    }
    place->seq = db_int(rows, 0);
    place->occur_time = db_int(rows, 1);
    place->model = *model = g_strconcat(db_text(rows, 2), ":", db_text(rows, 3), NULL);
    return true;
}

bool timeline_append(Db *db, const char *model_id, int attempt, const char *stage,
                     const Event *event, int64_t *seq, GError **error)
{
    g_autofree char *id = g_uuid_string_random(), *model = NULL;
    EventPlace place = {.event_id = id,
                        .stage = event->stage ? event->stage : stage,
                        .attempt = attempt};
    if (!timeline_next(db, model_id, &place, &model, error))
        return false;
    json_t *object = event_json(event, &place);
    char *json = json_dumps(object, JSON_COMPACT);
    json_decref(object);
    const CatalogRow *row = event_row(event);
    bool done = db_exec(
        db, error,
        "INSERT INTO events(model_id, seq, attempt, occur_time, event_type, reason, stage, event, "
        "kind, project) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, "
        "(SELECT project FROM models WHERE id = $1))",
        "siiisssss", model_id, place.seq, (int64_t)attempt, place.occur_time,
        event_type_name(row->type), row->reason, place.stage, json, event->kind);
    free(json);
    if (done && seq)
        *seq = place.seq;
    return done;
}

static bool filter_wants(const TimelineFilter *filter, const char *type)
{
    if (!filter->normal && !filter->abnormal && !filter->hint)
        return true;
    return (filter->normal && strcmp(type, "normal") == 0) ||
           (filter->abnormal && strcmp(type, "abnormal") == 0) ||
           (filter->hint && strcmp(type, "hint") == 0);
}

bool timeline_each(Db *db, const char *model_id, const TimelineFilter *filter, TimelineFunc call,
                   gpointer data, GError **error)
{
    g_autoptr(DbRows) rows =
        db_query(db, error,
                 "SELECT seq, event_type, event FROM events WHERE model_id = $1 AND seq > $2 "
                 "AND ($3 = 0 OR attempt = $3) ORDER BY seq",
                 "sii", model_id, filter->after, (int64_t)filter->attempt);
    GError *failure = NULL;
    while (rows && db_next(rows, &failure))
        if (filter_wants(filter, db_text(rows, 1)) &&
            !call(db_text(rows, 2), db_int(rows, 0), data))
            break;
    if (failure)
        g_propagate_error(error, failure);
    return rows && !failure;
}

char *timeline_event(Db *db, const char *model_id, int64_t seq, GError **error)
{
    g_autoptr(DbRows) rows =
        db_query(db, error, "SELECT event FROM events WHERE model_id = $1 AND seq = $2", "si",
                 model_id, seq);
    return rows && db_next(rows, error) ? g_strdup(db_text(rows, 0)) : NULL;
}

char *timeline_last(Db *db, const char *model_id, GError **error)
{
    g_autoptr(DbRows) rows =
        db_query(db, error,
                 "SELECT event FROM events WHERE model_id = $1 ORDER BY seq DESC LIMIT 1", "s",
                 model_id);
    return rows && db_next(rows, error) ? g_strdup(db_text(rows, 0)) : NULL;
}

bool timeline_find(Db *db, const char *model_id, int attempt, const char *reason, int64_t *seq,
                   GError **error)
{
    return db_query_int(
        db, seq, 0, error,
        "SELECT min(seq) FROM events WHERE model_id = $1 AND attempt = $2 AND reason = $3", "sis",
        model_id, (int64_t)attempt, reason);
}

struct TimelineWatch {
    Db *db;
    char *log; /* the store's write-ahead log */
    bool listens;
    int inotify; /* -1 before the first wait, and where there are no more to be had */
    int wake;    /* an eventfd */
    bool waited;
    int64_t version;
};

TimelineWatch *timeline_watch_new(DataDirectory *data, Db *db)
{
    TimelineWatch *watch = g_new0(TimelineWatch, 1);
    watch->db = db;
    watch->version = db_data_version(db);
    watch->log = data_path(data, "waybill.db-wal");
    watch->inotify = -1;
    watch->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return watch;
}

void timeline_watch_free(TimelineWatch *watch)
{
    if (!watch)
        return;
    io_close(&watch->inotify);
    io_close(&watch->wake);
    g_free(watch->log);
    g_free(watch);
}

/* Only for who waits: closing an inotify costs some 10 ms, more than all else that a short command
 * does. Where there are no more to be had, the version alone is looked at. */
static void watch_begin(TimelineWatch *watch)
{
    if (watch->waited)
        return;
    watch->waited = true;
    if (db_engine(watch->db) != DB_SQLITE)
        return;
    watch->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (watch->inotify >= 0)
        inotify_add_watch(watch->inotify, watch->log, IN_MODIFY);
}

static bool watch_is_new(TimelineWatch *watch)
{
    int64_t version = db_data_version(watch->db);
    bool is_new = version != watch->version;
    watch->version = version;
    return is_new;
}

bool timeline_watch_listen(TimelineWatch *watch, GError **error)
{
    watch->listens = db_engine(watch->db) != DB_SQLITE;
    return !watch->listens || db_listen(watch->db, error);
}

void timeline_watch_wake(TimelineWatch *watch)
{
    eventfd_write(watch->wake, 1);
}

/* The log is written before its commit is to be seen, by an fsync or so: who looked at once would
 * find nothing and wait the whole step. So the steps begin small then, and double. */
bool timeline_watch_wait(TimelineWatch *watch, int timeout_ms)
{
    int64_t end = clock_monotonic_ms() + timeout_ms;
    int step = WATCH_STEP_MS;
    char dropped[4096];
    eventfd_t wakes;
    watch_begin(watch);
    while (!watch_is_new(watch)) {
        int64_t left = end - clock_monotonic_ms();
        if (left <= 0)
            return false;
        if (watch->listens && db_heard(watch->db))
            continue;
        const int told = watch->listens ? db_socket(watch->db) : watch->inotify;
        struct pollfd poll_for[] = {{.fd = told, .events = POLLIN},
                                    {.fd = watch->wake, .events = POLLIN}};
        poll(poll_for, G_N_ELEMENTS(poll_for), (int)MIN(left, step));
        step = MIN(2 * step, WATCH_STEP_MS);
        while (watch->inotify >= 0 && read(watch->inotify, dropped, sizeof dropped) > 0)
            step = 1;
        if (eventfd_read(watch->wake, &wakes) == 0)
            break;
    }
    return true;
}
