#include "import/progress_board.h"

#include <string.h>

#include "base/clock.h"
#include "store/jobs.h"
#include "store/leases.h"

#define SILENT_MS 10000 /* a worker that is not heard of for so long may be stopped or stuck */

/* An open import. */
typedef struct {
    int64_t job;
    char *model_id, *project, *name, *version;
    char *state;       /* of the job */
    char *worker;      /* who took it last, or NULL */
    char *build;       /* the kind of the build that it waits for, or NULL */
    char *build_state; /* of that */
    char *builder;     /* who took that last, or NULL */
    bool served;
    bool worked_on; /* somebody holds its lease or its build's, or will go on with it */
    int64_t ahead;  /* of a queued one that is served */
} Place;

struct ProgressBoard {
    GPtrArray *workers;  /* Heartbeat */
    GHashTable *places;  /* model id -> Place */
    GHashTable *working; /* job -> Heartbeat, of workers */
    ProgressCounts counts;
    int64_t now; /* monotonic ms */
};

static void place_free(Place *place)
{
    g_free(place->model_id);
    g_free(place->project);
    g_free(place->name);
    g_free(place->version);
    g_free(place->state);
    g_free(place->worker);
    g_free(place->build);
    g_free(place->build_state);
    g_free(place->builder);
    g_free(place);
}

void progress_board_free(ProgressBoard *board)
{
    if (!board)
        return;
    g_hash_table_unref(board->working);
    g_hash_table_unref(board->places);
    g_ptr_array_unref(board->workers);
    g_free(board);
}

/* -- reading -- */

static void board_read_workers(ProgressBoard *board, Service *service)
{
    board->workers = heartbeats_read(service->db, service->data);
    for (guint i = 0; i < board->workers->len; i++) {
        Heartbeat *worker = board->workers->pdata[i];
        board->counts.alive += worker->serves;
        board->counts.busy += worker->serves && worker->job;
        if (worker->job)
            g_hash_table_insert(board->working, &worker->job, worker);
    }
}

static Place *place_of_row(DbRows *rows)
{
    Place *place = g_new0(Place, 1);
    place->job = db_int(rows, 0);
    place->model_id = g_strdup(db_text(rows, 1));
    place->state = g_strdup(db_text(rows, 2));
    place->worker = g_strdup(db_text(rows, 3));
    place->served = db_int(rows, 4) != 0;
    place->build = g_strdup(db_text(rows, 5));
    place->build_state = g_strdup(db_text(rows, 6));
    place->builder = g_strdup(db_text(rows, 7));
    place->project = g_strdup(db_text(rows, 9));
    place->name = g_strdup(db_text(rows, 10));
    place->version = g_strdup(db_text(rows, 11));
    return place;
}

/* A worker says so itself; before its first word, and of one that says nothing, its locks tell. */
static bool is_worked_on(const ProgressBoard *board, Service *service, const Place *place,
                         int64_t build)
{
    return g_hash_table_contains(board->working, &place->job) ||
           attendance_is_held(service->db, service->data, place->job) ||
           lease_is_held(service->db, service->data, place->job) ||
           (build && lease_is_held(service->db, service->data, build));
}

static bool board_read_places(ProgressBoard *board, Service *service, GError **error)
{
    g_autoptr(DbRows) rows =
        db_query(service->db, error,
                 "SELECT j.id, j.model_id, j.state, j.worker, j.served, b.kind, b.state, b.worker, "
                 "coalesce(b.id, 0), m.project, m.name, m.version, " JOBS_TURN
                 " AS turn FROM jobs j "
                 "JOIN models m ON m.id = j.model_id LEFT JOIN jobs b ON b.id = j.waits_for "
                 "WHERE j.state <> 'done' AND j.kind = 'import' ORDER BY turn, j.id",
                 "");
    GError *failure = NULL;
    while (rows && db_next(rows, &failure)) {
        Place *place = place_of_row(rows);
        bool waits_for_worker = place->served && strcmp(place->state, "queued") == 0;
        place->worked_on =
            !waits_for_worker && is_worked_on(board, service, place, db_int(rows, 8));
        if (place->served && strcmp(place->state, "parked") != 0 && !place->worked_on)
            place->ahead = board->counts.queued++;
        g_hash_table_replace(board->places, place->model_id, place);
    }
    if (failure)
        g_propagate_error(error, failure);
    return rows && !failure;
}

ProgressBoard *progress_board_read(Service *service, GError **error)
{
    g_autoptr(ProgressBoard) board = g_new0(ProgressBoard, 1);
    board->places =
        g_hash_table_new_full(g_str_hash, g_str_equal, NULL, (GDestroyNotify)place_free);
    board->working = g_hash_table_new(g_int64_hash, g_int64_equal);
    board->now = clock_monotonic_ms();
    board_read_workers(board, service);
    return board_read_places(board, service, error) ? g_steal_pointer(&board) : NULL;
}

/* -- one import -- */

static void set_text(json_t *object, const char *key, const char *text)
{
    if (text)
        json_object_set_new(object, key, json_string(text));
}

static void set_hint(json_t *object, char *en, char *zh)
{
    json_object_set_new(object, "hint", json_string(en));
    json_object_set_new(object, "hint_cn", json_string(zh));
    g_free(en);
    g_free(zh);
}

static json_t *working_json(const ProgressBoard *board, const Heartbeat *worker)
{
    json_t *object = json_object();
    int64_t age = MAX(board->now - worker->beaten, 0);
    int64_t left = progress_time_left(worker->bytes_done, worker->bytes_total, worker->rate);
    set_text(object, "stage", worker->stage);
    json_object_set_new(object, "since", json_integer(worker->since));
    if (worker->bytes_total) {
        json_object_set_new(object, "bytes_done", json_integer(worker->bytes_done));
        json_object_set_new(object, "bytes_total", json_integer(worker->bytes_total));
        set_text(object, "file", worker->file);
    }
    if (worker->rate >= 0)
        json_object_set_new(object, "rate", json_integer(worker->rate));
    if (left >= 0)
        json_object_set_new(object, "eta_ms", json_integer(left));
    set_text(object, "worker", worker->worker);
    json_object_set_new(object, "heartbeat_age_ms", json_integer(age));
    if (age >= SILENT_MS)
        set_hint(object,
                 g_strdup_printf("the worker %s was last heard of %d s ago: it is stopped, or its "
                                 "machine is overloaded",
                                 worker->worker, (int)(age / 1000)),
                 g_strdup_printf("工作进程 %s 已有 %d 秒没有响应:它被暂停,或所在机器过载",
                                 worker->worker, (int)(age / 1000)));
    return object;
}

static void hint_of_queue(const ProgressBoard *board, json_t *object)
{
    const ProgressCounts *counts = &board->counts;
    if (!counts->alive)
        set_hint(object, g_strdup("no worker is alive: start the server, `waybill serve`"),
                 g_strdup("没有存活的工作进程:请启动服务 `waybill serve`"));
    else if (counts->busy >= counts->alive)
        set_hint(object,
                 counts->alive == 1
                     ? g_strdup("the only worker is busy (server.workers)")
                     : g_strdup_printf("all %d workers are busy (server.workers)", counts->alive),
                 g_strdup_printf("%d 个工作进程都在忙(server.workers)", counts->alive));
}

/* In the queue of a server. */
static json_t *queued_json(const ProgressBoard *board, const Place *place)
{
    json_t *object =
        json_pack("{s:s, s:{s:I, s:I, s:i, s:i}}", "stage", "queue", "queue", "position",
                  (json_int_t)(place->ahead + 1), "ahead", (json_int_t)place->ahead,
                  "workers_alive", board->counts.alive, "workers_busy", board->counts.busy);
    hint_of_queue(board, object);
    return object;
}

/* Nobody goes on with it by himself. */
static json_t *interrupted_json(const Place *place)
{
    json_t *object = json_pack("{s:s}", "stage", "queue");
    set_hint(object,
             g_strdup_printf("nobody works on it: `waybill retry %s:%s`", place->name,
                             place->version),
             g_strdup_printf("没有进程在处理它:`waybill retry %s:%s`", place->name,
                             place->version));
    return object;
}

/* For a build, which may be another import's too. */
static json_t *parked_json(const Place *place)
{
    json_t *object = json_pack("{s:s, s:{s:s, s:s}}", "stage",
                               strcmp(place->build, "env-build") == 0 ? "environment" : "build",
                               "waits_for", "kind", place->build, "state", place->build_state);
    if (strcmp(place->build_state, "running") == 0 && place->builder)
        set_hint(object, g_strdup_printf("it waits for a build that %s works on", place->builder),
                 g_strdup_printf("正在等待 %s 执行的构建", place->builder));
    else
        set_hint(object, g_strdup("it waits for a build that is in the queue"),
                 g_strdup("正在等待队列中的构建"));
    return object;
}

json_t *progress_board_json(const ProgressBoard *board, const char *model_id)
{
    const Place *place = g_hash_table_lookup(board->places, model_id);
    const Heartbeat *worker = place ? g_hash_table_lookup(board->working, &place->job) : NULL;
    if (!place)
        return NULL;
    if (worker)
        return working_json(board, worker);
    if (strcmp(place->state, "parked") == 0 && place->build)
        return parked_json(place);
    if (place->worked_on) {
        json_t *object = json_object(); /* it says more in a moment */
        set_text(object, "worker", place->worker);
        return object;
    }
    return place->served ? queued_json(board, place) : interrupted_json(place);
}

/* -- the workers -- */

ProgressCounts progress_board_counts(const ProgressBoard *board)
{
    return board->counts;
}

const GPtrArray *progress_board_workers(const ProgressBoard *board)
{
    return board->workers;
}

bool progress_board_model(const ProgressBoard *board, const char *model_id, const char **project,
                          const char **name, const char **version)
{
    const Place *place = model_id ? g_hash_table_lookup(board->places, model_id) : NULL;
    if (!place)
        return false;
    *project = place->project;
    *name = place->name;
    *version = place->version;
    return true;
}
