#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/progress.h"
#include "event/timeline_all.h"
#include "store/attempts.h"
#include "store/heartbeats.h"
#include "store/model_changes.h"
#include "store/models.h"
#include "store_fixture.h"

static void model_make(Db *db, const char *id)
{
    assert_true(db_begin(db, NULL));
    assert_true(model_insert(db, id, PROJECT_DEFAULT, id, "0.0.1", 1, NULL, "", "me", NULL));
    assert_true(attempt_insert(db, id, 1, "{}", NULL));
    assert_true(db_commit(db, NULL));
}

static void append(Db *db, const char *id, Event *event)
{
    assert_true(db_begin(db, NULL));
    assert_true(timeline_append(db, id, 1, "check", event, NULL, NULL));
    assert_true(db_commit(db, NULL));
    event_free(event);
}

/* -- changes -- */

static void every_change_has_a_later_number(void **state)
{
    Db *db = ((Scene *)*state)->db;
    int64_t before, after;
    model_make(db, "a");
    model_make(db, "b");
    assert_true(model_changes_last(db, &before, NULL));
    append(db, "a", event_import_started());
    assert_true(model_changes_last(db, &after, NULL));
    assert_true(after > before);
    g_autoptr(GPtrArray) changes =
        model_changes_after(db, PROJECT_DEFAULT, before, before, 10, NULL);
    assert_int_equal(changes->len, 1);
    const ModelChange *change = changes->pdata[0];
    assert_string_equal(change->model_id, "a");
    assert_string_equal(change->status, "publishing");
    assert_int_equal(change->number, after);
    assert_int_equal(change->last_seq, 1);
}

static void deleted_model_is_told_to_who_had_it_only(void **state)
{
    Db *db = ((Scene *)*state)->db;
    int64_t before, after;
    model_make(db, "a");
    assert_true(model_changes_last(db, &before, NULL));
    assert_true(db_begin(db, NULL));
    assert_true(model_mark_deleted(db, "a", "somebody", NULL));
    assert_true(db_commit(db, NULL));
    assert_true(model_changes_last(db, &after, NULL));
    g_autoptr(GPtrArray) told = model_changes_after(db, PROJECT_DEFAULT, before, before, 10, NULL);
    assert_int_equal(told->len, 1);
    assert_null(((ModelChange *)told->pdata[0])->status);
    g_autoptr(GPtrArray) begun = model_changes_after(db, PROJECT_DEFAULT, 0, after, 10, NULL);
    assert_int_equal(begun->len, 0);
}

static void epoch_stays_until_it_is_ended(void **state)
{
    Db *db = ((Scene *)*state)->db;
    g_autofree char *first = model_changes_epoch(db, NULL);
    g_autofree char *again = model_changes_epoch(db, NULL);
    assert_string_equal(first, again);
    assert_true(*first);
    assert_true(model_changes_end_epoch(db, NULL));
    g_autofree char *next = model_changes_epoch(db, NULL);
    assert_string_not_equal(first, next);
}

/* -- events of all models -- */

static void assert_plan(Db *db, const TimelineAll *search, const char *index)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *sql = g_strconcat("EXPLAIN QUERY PLAN ", timeline_all_page_sql(search), NULL);
    g_autoptr(GString) plan = g_string_new(NULL);
    g_autoptr(DbRows) rows =
        db_query(db, &error, sql, "siissisisii", "default", (int64_t)0, G_MAXINT64, "", "",
                 (int64_t)7, "", G_MAXINT64, "", (int64_t)0, (int64_t)10);
    while (rows && db_next(rows, &error))
        g_string_append_printf(plan, "%s\n", db_text(rows, 3));
    assert_null(error);
    if (!strstr(plan->str, index) || strstr(plan->str, "TEMP B-TREE"))
        fail_msg("expected %s and no sorting:\n%s", index, plan->str);
}

static void every_list_of_events_goes_by_an_index(void **state)
{
    Db *db = ((Scene *)*state)->db;
    assert_plan(db, &(TimelineAll){.project = "default"}, "INDEX events_by_time");
    assert_plan(db, &(TimelineAll){.reason = "ImportFailed"}, "INDEX events_by_reason");
    assert_plan(db, &(TimelineAll){.abnormal = true}, "INDEX events_of_problems");
}

/* -- heartbeats -- */

static Heartbeat beat_of(int64_t number, const char *file)
{
    return (Heartbeat){.worker = (char *)"host/1",
                       .job = number,
                       .model_id = (char *)"m",
                       .stage = (char *)"copy",
                       .bytes_done = number,
                       .bytes_total = number,
                       .rate = -1,
                       .file = (char *)file};
}

static void heartbeat_is_read_back_and_ends_with_its_worker(void **state)
{
    const Scene *scene = *state;
    Pulse *pulse = pulse_begin(scene->db, scene->data, true, NULL);
    Heartbeat beat = beat_of(7, "weights.bin");
    pulse_beat(pulse, scene->db, &beat);
    g_autoptr(GPtrArray) there = heartbeats_read(scene->db, scene->data);
    assert_int_equal(there->len, 1);
    const Heartbeat *read = there->pdata[0];
    assert_int_equal(read->bytes_done, 7);
    assert_string_equal(read->file, "weights.bin");
    assert_true(read->serves);
    assert_true(clock_monotonic_ms() - read->beaten < 10000);
    pulse_end(pulse, scene->db);
    g_autoptr(GPtrArray) gone = heartbeats_read(scene->db, scene->data);
    assert_int_equal(gone->len, 0);
}

static void killed_worker_counts_no_longer_and_is_swept(void **state)
{
    const Scene *scene = *state;
    pid_t child = fork();
    if (child == 0) {
        Heartbeat beat = beat_of(1, NULL);
        pulse_beat(pulse_begin(scene->db, scene->data, false, NULL), scene->db, &beat);
        _exit(0);
    }
    assert_int_equal(waitpid(child, NULL, 0), child);
    g_autoptr(GPtrArray) dead = heartbeats_read(scene->db, scene->data);
    assert_int_equal(dead->len, 0);
    g_autofree char *folder = data_path(scene->data, "run");
    Pulse *pulse = pulse_begin(scene->db, scene->data, false, NULL);
    g_autoptr(GDir) left = g_dir_open(folder, 0, NULL);
    assert_non_null(g_dir_read_name(left)); /* its own */
    assert_null(g_dir_read_name(left));
    pulse_end(pulse, scene->db);
}

typedef struct {
    Db *db;
    Pulse *pulse;
    atomic_bool over;
} Writing;

static void *write_beats(void *data)
{
    Writing *writing = data;
    char names[2][200];
    memset(names[0], 'a', sizeof names[0] - 1);
    names[0][sizeof names[0] - 1] = '\0';
    g_strlcpy(names[1], "b", sizeof names[1]);
    for (int64_t i = 1; !writing->over; i++) {
        Heartbeat beat = beat_of(i, names[i % 2]);
        pulse_beat(writing->pulse, writing->db, &beat);
    }
    return NULL;
}

static void torn_records_are_told_from_whole_ones(void **state)
{
    const Scene *scene = *state;
    pthread_t thread;
    Writing writing = {.db = scene->db, .pulse = pulse_begin(scene->db, scene->data, false, NULL)};
    assert_int_equal(pthread_create(&thread, NULL, write_beats, &writing), 0);
    int whole = 0;
    for (int i = 0; i < 2000; i++) {
        g_autoptr(GPtrArray) read = heartbeats_read(scene->db, scene->data);
        const Heartbeat *beat = read->len ? read->pdata[0] : NULL;
        whole += beat != NULL;
        if (beat)
            assert_int_equal(beat->bytes_done, beat->job);
        if (beat)
            assert_true(*beat->file == (beat->job % 2 ? 'b' : 'a'));
    }
    writing.over = true;
    pthread_join(thread, NULL);
    pulse_end(writing.pulse, scene->db);
    assert_true(whole > 0);
}

/* -- rates -- */

static void rate_is_of_the_last_ten_seconds(void **state)
{
    Progress progress = {0};
    ProgressRate rate = {0};
    progress_begin(&progress, 1000000);
    assert_int_equal(progress_rate(&rate, &progress, 0), -1);
    int64_t now = 0;
    for (; now < 20000; now += 1000) { /* fast first, */
        progress_add(&progress, 10000);
        progress_rate(&rate, &progress, now);
    }
    assert_true(progress_rate(&rate, &progress, now) >= 9000);
    for (; now < 40000; now += 1000) { /* then slow: what was fast is forgotten */
        progress_add(&progress, 100);
        progress_rate(&rate, &progress, now);
    }
    int64_t slow = progress_rate(&rate, &progress, now);
    assert_true(slow > 50 && slow <= 110);
    assert_int_equal(progress_time_left(0, 1000, 100), 10000);
    assert_int_equal(progress_time_left(0, 1000, 0), -1);
    progress_begin(&progress, 5); /* another copy */
    assert_int_equal(progress_rate(&rate, &progress, now), -1);
}

static void long_file_name_keeps_its_end(void **state)
{
    Progress progress = {0};
    char name[PROGRESS_FILE_BYTES];
    GString *path = g_string_new(NULL);
    for (int i = 0; i < 100; i++)
        g_string_append(path, "目录/");
    g_string_append(path, "weights.bin");
    progress_file(&progress, path->str);
    progress_read_file(&progress, name);
    assert_true(g_utf8_validate(name, -1, NULL));
    assert_true(g_str_has_prefix(name, "…"));
    assert_true(g_str_has_suffix(name, "目录/weights.bin"));
    progress_end(&progress);
    progress_read_file(&progress, name);
    assert_string_equal(name, "");
    g_string_free(path, TRUE);
}

int main(void)
{
#define WITH_SCENE(name) cmocka_unit_test_setup_teardown(name, scene_up, scene_down)
    const struct CMUnitTest tests[] = {
        WITH_SCENE(every_change_has_a_later_number),
        WITH_SCENE(deleted_model_is_told_to_who_had_it_only),
        WITH_SCENE(epoch_stays_until_it_is_ended),
        WITH_SCENE(every_list_of_events_goes_by_an_index),
        WITH_SCENE(heartbeat_is_read_back_and_ends_with_its_worker),
        WITH_SCENE(killed_worker_counts_no_longer_and_is_swept),
        WITH_SCENE(torn_records_are_told_from_whole_ones),
        cmocka_unit_test(rate_is_of_the_last_ten_seconds),
        cmocka_unit_test(long_file_name_keeps_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
