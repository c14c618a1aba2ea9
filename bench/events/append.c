/* bench-append HOW DIRECTORY IMPORTS GROUPING: appends the events of so many imports, each commit
 * durable; says how many seconds that took.
 *
 *   HOW       waybill: timeline_append, within the transactions of the pipeline
 *             bare:    the same rows, their JSON made beforehand, put into the same tables of a
 *                      store of its own by SQLite alone, with the same pragmas and commits
 *   GROUPING  import:  ten events in seven transactions, as the pipeline commits them
 *             one:     each event in a transaction of its own
 */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "event/timeline.h"
#include "sample.h"
#include "store/attempts.h"
#include "store/data.h"
#include "store/models.h"

#define MODEL "00000000-0000-4000-8000-000000000000"

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static bool commits(const SampleEvent *sample, bool each)
{
    return each || sample->commits;
}

static bool make_model(Db *db, GError **error)
{
    return db_begin(db, error) &&
           model_insert(db, MODEL, PROJECT_DEFAULT, "bench", "0.0.1", 1, "Custom", "", "bench",
                        error) &&
           attempt_insert(db, MODEL, 1, "{}", error) && db_commit(db, error);
}

static bool append_import(Db *db, const SampleEvent *samples, bool each, GError **error)
{
    bool open = false;
    for (int i = 0; i < SAMPLE_IMPORT_EVENTS; i++) {
        const SampleEvent *sample = &samples[i];
        if (!open && !db_begin(db, error))
            return false;
        if (!timeline_append(db, MODEL, 1, sample->stage, sample->event, NULL, error))
            return false;
        open = !commits(sample, each);
        if (!open && !db_commit(db, error))
            return false;
    }
    return true;
}

static bool append_waybill(Db *db, const SampleEvent *samples, int imports, bool each,
                           GError **error)
{
    for (int i = 0; i < imports; i++)
        if (!append_import(db, samples, each, error))
            return false;
    return true;
}

/* -- the peer: what SQLite itself takes -- */

typedef struct {
    sqlite3 *sqlite;
    sqlite3_stmt *begin, *change, *count, *insert, *commit;
} Bare;

static sqlite3_stmt *prepare(sqlite3 *sqlite, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v3(sqlite, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL)) {
        fprintf(stderr, "bench-append: %s\n", sqlite3_errmsg(sqlite));
        exit(1);
    }
    return statement;
}

static void step(sqlite3 *sqlite, sqlite3_stmt *statement)
{
    if (sqlite3_step(statement) != SQLITE_DONE) {
        fprintf(stderr, "bench-append: %s\n", sqlite3_errmsg(sqlite));
        exit(1);
    }
    sqlite3_reset(statement);
}

static Bare bare_open(const char *directory)
{
    Bare bare = {0};
    g_autofree char *path = g_build_filename(directory, DATA_STORE, NULL);
    sqlite3_open(path, &bare.sqlite);
    sqlite3_exec(bare.sqlite,
                 "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON",
                 NULL, NULL, NULL);
    bare.begin = prepare(bare.sqlite, "BEGIN IMMEDIATE");
    bare.change = prepare(bare.sqlite, "UPDATE model_changes SET number = ?");
    bare.count = prepare(bare.sqlite,
                         "UPDATE models SET last_seq = ?, last_time = ?, changed = ? WHERE id = ?");
    bare.insert =
        prepare(bare.sqlite, "INSERT INTO events(model_id, seq, attempt, occur_time, event_type, "
                             "reason, stage, event, kind, project) "
                             "VALUES (?, ?, 1, ?, ?, ?, ?, ?, ?, ?)");
    bare.commit = prepare(bare.sqlite, "COMMIT");
    return bare;
}

static void bare_close(Bare *bare)
{
    sqlite3_finalize(bare->begin);
    sqlite3_finalize(bare->change);
    sqlite3_finalize(bare->count);
    sqlite3_finalize(bare->insert);
    sqlite3_finalize(bare->commit);
    sqlite3_close(bare->sqlite);
}

static void bare_append(Bare *bare, const SampleEvent *sample, const char *json, int64_t seq)
{
    const CatalogRow *row = event_row(sample->event);
    int64_t time = clock_now_ms();
    sqlite3_bind_int64(bare->change, 1, seq);
    step(bare->sqlite, bare->change);
    sqlite3_bind_int64(bare->count, 1, seq);
    sqlite3_bind_int64(bare->count, 2, time);
    sqlite3_bind_int64(bare->count, 3, seq);
    sqlite3_bind_text(bare->count, 4, MODEL, -1, SQLITE_STATIC);
    step(bare->sqlite, bare->count);
    sqlite3_bind_text(bare->insert, 1, MODEL, -1, SQLITE_STATIC);
    sqlite3_bind_int64(bare->insert, 2, seq);
    sqlite3_bind_int64(bare->insert, 3, time);
    sqlite3_bind_text(bare->insert, 4, event_type_name(row->type), -1, SQLITE_STATIC);
    sqlite3_bind_text(bare->insert, 5, row->reason, -1, SQLITE_STATIC);
    sqlite3_bind_text(bare->insert, 6, sample->stage, -1, SQLITE_STATIC);
    sqlite3_bind_text(bare->insert, 7, json, -1, SQLITE_STATIC);
    sqlite3_bind_text(bare->insert, 8, sample->event->kind, -1, SQLITE_STATIC);
    sqlite3_bind_text(bare->insert, 9, PROJECT_DEFAULT, -1, SQLITE_STATIC);
    step(bare->sqlite, bare->insert);
}

static void append_bare(Bare *bare, const SampleEvent *samples, char *const *texts, int imports,
                        bool each)
{
    bool open = false;
    int64_t seq = 0;
    for (int i = 0; i < imports; i++)
        for (int at = 0; at < SAMPLE_IMPORT_EVENTS; at++) {
            if (!open)
                step(bare->sqlite, bare->begin);
            bare_append(bare, &samples[at], texts[at], ++seq);
            open = !commits(&samples[at], each);
            if (!open)
                step(bare->sqlite, bare->commit);
        }
}

static double time_bare(const char *directory, const SampleEvent *samples, int imports, bool each)
{
    char *texts[SAMPLE_IMPORT_EVENTS];
    for (int i = 0; i < SAMPLE_IMPORT_EVENTS; i++)
        texts[i] = sample_json(&samples[i], i + 1, clock_now_ms());
    Bare bare = bare_open(directory);
    double began = now();
    append_bare(&bare, samples, texts, imports, each);
    double took = now() - began;
    bare_close(&bare);
    for (int i = 0; i < SAMPLE_IMPORT_EVENTS; i++)
        free(texts[i]);
    return took;
}

/* The store is opened and has its model; negative: *error. */
static double time_waybill(Db *db, const SampleEvent *samples, int imports, bool each,
                           GError **error)
{
    double began = now();
    return append_waybill(db, samples, imports, each, error) ? now() - began : -1;
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: bench-append waybill|bare DIRECTORY IMPORTS import|one\n");
        return 2;
    }
    GError *error = NULL;
    bool bare = strcmp(argv[1], "bare") == 0, each = strcmp(argv[4], "one") == 0;
    int imports = atoi(argv[3]);
    const SampleEvent *samples = sample_timeline() + SAMPLE_IMPORT_FROM;
    DataDirectory *data = data_open(argv[2], true, 1000, &error);
    Db *db = data ? data_open_store(data, &error) : NULL;
    double took = -1;
    if (db && make_model(db, &error) && !bare)
        took = time_waybill(db, samples, imports, each, &error);
    db_free(db);
    if (!error && bare)
        took = time_bare(argv[2], samples, imports, each);
    if (error)
        fprintf(stderr, "bench-append: %s\n", error->message);
    else
        printf("%d %.6f\n", imports * SAMPLE_IMPORT_EVENTS, took);
    data_free(data);
    return error ? 1 : 0;
}
