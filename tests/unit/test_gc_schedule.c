#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "event/timeline_old.h"
#include "store/attempts.h"
#include "store/models.h"
#include "store_fixture.h"
#include "upkeep/gc_schedule.h"

#define HOUR INT64_C(3600000)
#define DAY  (24 * HOUR)
#define NOON (INT64_C(20000) * DAY + 12 * HOUR) /* of some day, UTC */

static void zone(const char *name)
{
    g_setenv("TZ", name, TRUE);
    tzset();
}

static void turns_come_after_their_interval(void **state)
{
    assert_int_equal(gc_schedule_next("off", NOON), 0);
    assert_int_equal(gc_schedule_next("hourly", NOON), NOON + HOUR);
    assert_int_equal(gc_schedule_next("daily", NOON), NOON + DAY);
    assert_int_equal(gc_schedule_next("weekly", NOON), NOON + 7 * DAY);
}

static void a_time_of_the_day_is_the_next_one(void **state)
{
    zone("UTC");
    assert_int_equal(gc_schedule_next("12:30", NOON), NOON + HOUR / 2);
    assert_int_equal(gc_schedule_next("12:00", NOON), NOON + DAY);
    assert_int_equal(gc_schedule_next("11:59", NOON), NOON + DAY - HOUR / 60);
    assert_int_equal(gc_schedule_next("00:00", NOON), NOON + DAY / 2);
}

static void what_went_wrong_is_done_again_sooner(void **state)
{
    GcRun run = {.began_at = NOON, .outcome = (char *)GC_RUN_DONE};
    assert_int_equal(gc_schedule_next_run("daily", &run), NOON + DAY);
    run.outcome = (char *)GC_RUN_FAILED;
    assert_int_equal(gc_schedule_next_run("daily", &run), NOON + HOUR);
    run.outcome = (char *)GC_RUN_BUSY;
    assert_int_equal(gc_schedule_next_run("hourly", &run), NOON + HOUR);
    assert_int_equal(gc_schedule_next_run("off", &run), 0);
    run.outcome = (char *)GC_RUN_RUNNING; /* nobody takes it from who runs it */
    assert_int_equal(gc_schedule_next_run("hourly", &run), NOON + 6 * HOUR);
    assert_int_equal(gc_schedule_next_run("daily", &run), NOON + DAY);
}

static void a_run_is_one_row(void **state)
{
    const Scene *scene = *state;
    g_autoptr(GError) error = NULL;
    assert_null(gc_run_load(scene->db, &error));
    assert_null(error);
    GcRun run = {NOON, 0, (char *)GC_RUN_RUNNING, (char *)"node/1", (char *)""};
    assert_true(db_begin(scene->db, NULL) && gc_run_put(scene->db, &run, NULL));
    run.ended_at = NOON + 5;
    run.outcome = (char *)GC_RUN_DONE;
    run.result = (char *)"removed nothing";
    assert_true(gc_run_put(scene->db, &run, NULL) && db_commit(scene->db, NULL));
    g_autoptr(GcRun) found = gc_run_load(scene->db, NULL);
    assert_int_equal(found->began_at, NOON);
    assert_int_equal(found->ended_at, NOON + 5);
    assert_string_equal(found->outcome, GC_RUN_DONE);
    assert_string_equal(found->worker, "node/1");
    assert_string_equal(found->result, "removed nothing");
}

/* -- of a data directory -- */

static void a_run_of_a_directory_is_a_file(void **state)
{
    const Scene *scene = *state;
    g_autoptr(GError) error = NULL;
    g_autofree char *path = data_path(scene->data, "gc.json");
    assert_null(gc_run_load_here(scene->data, &error));
    assert_null(error);
    const GcRun run = {NOON, NOON + 5, (char *)GC_RUN_FAILED, (char *)"node/1",
                       (char *)"\xff lost"};
    assert_true(gc_run_put_here(scene->data, &run, NULL));
    g_autoptr(GcRun) found = gc_run_load_here(scene->data, NULL);
    assert_int_equal(found->began_at, NOON);
    assert_int_equal(found->ended_at, NOON + 5);
    assert_string_equal(found->outcome, GC_RUN_FAILED);
    assert_string_equal(found->worker, "node/1");
    assert_string_equal(found->result, "\xef\xbf\xbd lost"); /* no UTF-8: a sign for that */
    static const char *const DAMAGED[] = {"", "{", "[]", "{\"began_at\": \"x\"}"};
    for (size_t i = 0; i < G_N_ELEMENTS(DAMAGED); i++) {
        assert_true(g_file_set_contents(path, DAMAGED[i], -1, NULL));
        assert_null(gc_run_load_here(scene->data, &error));
        assert_null(error);
    }
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_null(gc_run_load_here(scene->data, &error));
    assert_non_null(error);
}

#define ROUNDS  20
#define LOOKERS 4

/* Processes of a node, here threads. */
typedef struct {
    Scene *scene;
    const Settings *settings;
    pthread_barrier_t together;
    int faults, ran;
} Node;

static void look(Node *node, Service *own)
{
    g_autoptr(GcRun) run = NULL;
    if (!own || !gc_schedule_look(own, GC_OF_DIRECTORY, &run, NULL))
        g_atomic_int_inc(&node->faults);
    if (run)
        g_atomic_int_inc(&node->ran);
}

static void a_day_passes(const Scene *scene)
{
    g_autoptr(GcRun) run = gc_run_load_here(scene->data, NULL);
    run->began_at -= DAY;
    assert_true(gc_run_put_here(scene->data, run, NULL));
}

static gpointer look_again_and_again(gpointer data)
{
    Node *node = data;
    g_autoptr(Service) own = service_open(node->scene->path, true, node->settings, NULL);
    for (int i = 0; i < ROUNDS; i++) {
        if (pthread_barrier_wait(&node->together) == PTHREAD_BARRIER_SERIAL_THREAD)
            a_day_passes(node->scene);
        pthread_barrier_wait(&node->together);
        look(node, own);
    }
    return NULL;
}

/* Of four that look at the same moment. The turn of the store is another one. */
static void one_of_several_takes_the_turn_of_their_directory(void **state)
{
    Scene *scene = *state;
    const char *url = getenv(STORE_OF_TESTS);
    if (!url)
        skip();
    g_autofree char *set = g_strconcat("store.url=", url, NULL);
    const char *const sets[] = {set, NULL};
    g_autoptr(Settings) settings = settings_load("/dev/null", sets, NULL);
    Node node = {.scene = scene, .settings = settings};
    g_autoptr(Service) first = service_open(scene->path, true, settings, NULL);
    look(&node, first);
    g_autoptr(GcRun) waits = gc_run_load_here(scene->data, NULL);
    assert_string_equal(waits->outcome, GC_RUN_WAITS); /* a day from now on */
    pthread_barrier_init(&node.together, NULL, LOOKERS);
    GThread *threads[LOOKERS];
    for (size_t i = 0; i < LOOKERS; i++)
        threads[i] = g_thread_new("look", look_again_and_again, &node);
    for (size_t i = 0; i < LOOKERS; i++)
        g_thread_join(threads[i]);
    pthread_barrier_destroy(&node.together);
    assert_int_equal(node.faults, 0);
    assert_int_equal(node.ran, ROUNDS);
    g_autoptr(GcRun) run = gc_run_load_here(scene->data, NULL);
    assert_string_equal(run->outcome, GC_RUN_DONE);
    assert_string_equal(run->result, "removed nothing");
    assert_null(gc_run_load(scene->db, NULL));
}

static void a_store_of_its_own_has_no_turn_of_its_directory(void **state)
{
    Scene *scene = *state;
    if (getenv(STORE_OF_TESTS))
        skip();
    g_autoptr(Settings) settings = settings_load("/dev/null", NULL, NULL);
    Node node = {.scene = scene, .settings = settings};
    g_autoptr(Service) own = service_open(scene->path, true, settings, NULL);
    look(&node, own);
    assert_int_equal(node.faults + node.ran, 0);
    assert_null(gc_run_load_here(scene->data, NULL));
}

/* -- old events -- */

static void add_event(Db *db, int attempt, int64_t seq, int64_t time)
{
    assert_true(db_exec(db, NULL,
                        "INSERT INTO events(model_id, seq, attempt, occur_time, event_type, "
                        "reason, stage, event, project) VALUES ('m', $1, $2, $3, 'normal', 'x', "
                        "'check', '{}', 'default')",
                        "iii", seq, (int64_t)attempt, time));
}

static void attempts_that_others_followed_grow_too_old(void **state)
{
    const Scene *scene = *state;
    Db *db = scene->db;
    static const char *const OUTCOMES[] = {"failed", "imported", "failed", "failed", "failed"};
    assert_true(db_begin(db, NULL));
    assert_true(model_insert(db, "m", PROJECT_DEFAULT, "m", "0.0.1", 1, NULL, "", "", NULL));
    add_event(db, 0, 1, 10); /* of an update */
    for (int attempt = 1; attempt <= 5; attempt++) {
        assert_true(attempt_insert(db, "m", attempt, "{}", NULL));
        assert_true(attempt_end(db, "m", attempt, OUTCOMES[attempt - 1], NULL));
        add_event(db, attempt, attempt * 2, 10);
        add_event(db, attempt, attempt * 2 + 1, attempt == 3 ? 30 : 11);
    }
    assert_true(build_log_append(db, "m", 1, "stdout", "line", NULL));
    g_autoptr(GPtrArray) old = timeline_attempts_before(db, 20, NULL);
    /* Not the image's, 2; not 3, which has a young one; not the newest, 5. */
    static const int WANTED[] = {0, 1, 4};
    assert_int_equal(old->len, G_N_ELEMENTS(WANTED));
    for (guint i = 0; i < old->len; i++)
        assert_int_equal(((TimelineAttempt *)old->pdata[i])->attempt, WANTED[i]);
    assert_true(timeline_forget(db, "m", 1, NULL));
    int64_t left, lines;
    assert_true(db_query_int(db, &left, 0, NULL, "SELECT count(*) FROM events", ""));
    assert_true(db_query_int(db, &lines, 0, NULL, "SELECT count(*) FROM build_log", ""));
    assert_int_equal(left, 9);
    assert_int_equal(lines, 0);
    assert_true(model_mark_deleted(db, "m", "anna", NULL));
    g_autoptr(GPtrArray) none = timeline_attempts_before(db, 20, NULL);
    assert_int_equal(none->len, 0); /* its timeline goes as a whole */
    assert_true(db_commit(db, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(turns_come_after_their_interval),
        cmocka_unit_test(a_time_of_the_day_is_the_next_one),
        cmocka_unit_test(what_went_wrong_is_done_again_sooner),
        cmocka_unit_test_setup_teardown(a_run_is_one_row, scene_up, scene_down),
        cmocka_unit_test_setup_teardown(a_run_of_a_directory_is_a_file, scene_up, scene_down),
        cmocka_unit_test_setup_teardown(one_of_several_takes_the_turn_of_their_directory, scene_up,
                                        scene_down),
        cmocka_unit_test_setup_teardown(a_store_of_its_own_has_no_turn_of_its_directory, scene_up,
                                        scene_down),
        cmocka_unit_test_setup_teardown(attempts_that_others_followed_grow_too_old, scene_up,
                                        scene_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
