/* Builds that no worker takes: whose time is over, and who may not be ended. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "event/timeline.h"
#include "import/unscheduled.h"
#include "store/attempts.h"
#include "store/jobs.h"
#include "store/maintenance.h"
#include "store/models.h"
#include "store/projects.h"
#include "store_fixture.h"

#define TIMEOUT_S 1

typedef struct {
    char *path;
    Settings *settings;
    Service *service;
    Unscheduled *unscheduled;
    int64_t import, build;
} Bench;

/* An import that waits for a build of its own. */
static void bench_submit(Bench *bench, const char *id, bool served)
{
    Db *db = bench->service->db;
    assert_true(db_begin(db, NULL));
    assert_true(model_insert(db, id, PROJECT_DEFAULT, id, "0.0.1", 1, NULL, "", "me", NULL));
    assert_true(attempt_insert(db, id, 1, "{}", NULL));
    assert_true(job_insert(db, JOB_IMPORT, id, 1, NULL, &bench->import, NULL));
    assert_true(job_insert(db, JOB_ENV_BUILD, id, 1, id, &bench->build, NULL));
    assert_true(job_park(db, bench->import, bench->build, NULL));
    assert_true(job_set_served(db, bench->import, served, NULL));
    assert_true(db_commit(db, NULL));
}

static int bench_up(void **state)
{
    static const char *const SETS[] = {"build.schedule_timeout_seconds=1", NULL};
    Bench *bench = g_new0(Bench, 1);
    bench->path = g_dir_make_tmp("waybill-unscheduled-XXXXXX", NULL);
    bench->settings = settings_load("/dev/null", SETS, NULL);
    bench->service = service_open(bench->path, true, bench->settings, NULL);
    bench->unscheduled = unscheduled_new();
    *state = bench;
    return bench->service ? 0 : -1;
}

static int bench_down(void **state)
{
    Bench *bench = *state;
    unscheduled_free(bench->unscheduled);
    service_free(bench->service);
    settings_free(bench->settings);
    directory_remove(bench->path);
    g_free(bench->path);
    g_free(bench);
    return 0;
}

static void look(Bench *bench)
{
    assert_true(unscheduled_look(bench->unscheduled, bench->service, NULL));
}

static void look_for(Bench *bench, int ms)
{
    look(bench);
    g_usleep((gulong)ms * 1000);
    look(bench);
}

static void assert_state(const Bench *bench, int64_t job, const char *state)
{
    g_autoptr(Job) now = job_load(bench->service->db, job, NULL);
    assert_string_equal(now->state, state);
}

static void assert_reasons(const Bench *bench, const char *model_id, const char *expected)
{
    g_autoptr(DbRows) rows =
        db_query(bench->service->db, NULL,
                 "SELECT coalesce(group_concat(reason, ' '), '') FROM (SELECT reason "
                 "FROM events WHERE model_id = $1 ORDER BY seq)",
                 "s", model_id);
    assert_true(db_next(rows, NULL));
    assert_string_equal(db_text(rows, 0), expected);
}

#define ENDED "BuildSchedulingFailed ImageBuildStatus ImportFailed"

static json_t *event_load(const Bench *bench, const char *model_id, int64_t seq)
{
    g_autofree char *text = timeline_event(bench->service->db, model_id, seq, NULL);
    return json_loads(text, 0, NULL);
}

static void a_build_that_nobody_takes_ends_with_every_import_that_waits(void **state)
{
    Bench *bench = *state;
    bench_submit(bench, "first", true);
    int64_t build = bench->build, first = bench->import;
    bench_submit(bench, "second", false);
    assert_true(job_end(bench->service->db, bench->build, NULL));
    assert_true(job_park(bench->service->db, bench->import, build, NULL));
    look(bench);
    assert_state(bench, build, "queued");
    look_for(bench, TIMEOUT_S * 1000 + 50);
    assert_state(bench, build, "done");
    assert_state(bench, first, "done");
    assert_state(bench, bench->import, "done");
    assert_reasons(bench, "first", ENDED);
    assert_reasons(bench, "second", ENDED);
    json_t *told = event_load(bench, "second", 1), *last = event_load(bench, "second", 3);
    assert_string_equal(json_string_value(json_object_get(told, "kind")), "no_worker");
    assert_string_equal(json_string_value(json_object_get(told, "summary")),
                        "No worker took it in 1 s: 0 alive, 0 busy.");
    assert_string_equal(json_string_value(json_object_get(told, "summary_cn")),
                        "1 秒内没有 worker 接手:在线 0,忙碌 0。");
    assert_int_equal(json_integer_value(json_object_get(last, "cause")), 1);
    json_decref(told);
    json_decref(last);
}

/* Its worker died, and nobody goes on. */
static void a_lost_build_waits_too(void **state)
{
    Bench *bench = *state;
    bench_submit(bench, "m", true);
    job_free(job_claim(bench->service->db, bench->service->data, bench->build, "w", NULL, NULL));
    assert_state(bench, bench->build, "running");
    look_for(bench, TIMEOUT_S * 1000 + 50);
    assert_state(bench, bench->build, "done");
    assert_reasons(bench, "m", ENDED);
}

static void a_build_that_somebody_has_is_left_alone(void **state)
{
    Bench *bench = *state;
    Service *service = bench->service;
    bench_submit(bench, "m", true);
    look(bench);
    g_autoptr(Job) job = job_claim(service->db, service->data, bench->build, "w", NULL, NULL);
    assert_non_null(job);
    look_for(bench, TIMEOUT_S * 1000 + 50);
    assert_state(bench, bench->build, "running");
    /* Its time begins anew, whether a look saw that somebody had it or not. */
    assert_true(job_give_back(service->db, bench->build, NULL));
    g_clear_pointer(&job, job_free);
    look_for(bench, TIMEOUT_S * 600);
    job_free(job_claim(service->db, service->data, bench->build, "w", NULL, NULL));
    assert_true(job_give_back(service->db, bench->build, NULL));
    look_for(bench, TIMEOUT_S * 600);
    assert_state(bench, bench->build, "queued");
    assert_reasons(bench, "m", "");
}

static void maintenance_does_not_count(void **state)
{
    Bench *bench = *state;
    Db *db = bench->service->db;
    bench_submit(bench, "m", true);
    look_for(bench, TIMEOUT_S * 600);
    assert_true(maintenance_begin(db, "me", NULL, 0, NULL));
    look_for(bench, TIMEOUT_S * 1000 + 50);
    assert_true(maintenance_end(db, NULL));
    look_for(bench, TIMEOUT_S * 600);
    assert_state(bench, bench->build, "queued");
    g_usleep(TIMEOUT_S * 500000);
    look(bench);
    assert_state(bench, bench->build, "done");
}

static void what_the_command_line_asked_for_is_left_alone_until_a_server_needs_it(void **state)
{
    Bench *bench = *state;
    Db *db = bench->service->db;
    bench_submit(bench, "own", false);
    int64_t build = bench->build;
    look_for(bench, TIMEOUT_S * 1000 + 50);
    assert_state(bench, build, "queued");
    bench_submit(bench, "joins", true);
    assert_true(job_end(db, bench->build, NULL));
    assert_true(job_park(db, bench->import, build, NULL));
    look(bench);
    assert_state(bench, build, "queued");
    look_for(bench, TIMEOUT_S * 1000 + 50);
    assert_state(bench, build, "done");
    assert_reasons(bench, "own", ENDED);
}

static void what_was_to_be_cancelled_is_cancelled(void **state)
{
    Bench *bench = *state;
    bench_submit(bench, "m", true);
    assert_true(job_ask_cancel(bench->service->db, "m", "me", NULL));
    look_for(bench, TIMEOUT_S * 1000 + 50);
    assert_reasons(bench, "m", "ImportCancelled ImageBuildStatus ImportFailed");
}

/* Two connections: who has the lease in a transaction, has the job. */
static void claiming_and_seizing_exclude_each_other(void **state)
{
    Bench *bench = *state;
    Service *service = bench->service;
    bench_submit(bench, "m", true);
    g_autoptr(Job) seized = job_seize(service->db, service->data, bench->build, NULL);
    assert_non_null(seized);
    assert_null(job_claim(service->db, service->data, bench->build, "w", NULL, NULL));
    g_clear_pointer(&seized, job_free);
    g_autoptr(Job) claimed = job_claim(service->db, service->data, bench->build, "w", NULL, NULL);
    assert_non_null(claimed);
    assert_null(job_seize(service->db, service->data, bench->build, NULL));
    assert_true(job_end(service->db, bench->build, NULL));
    g_clear_pointer(&claimed, job_free);
    assert_null(job_seize(service->db, service->data, bench->build, NULL));
}

int main(void)
{
#define BENCH_TEST(test) cmocka_unit_test_setup_teardown(test, bench_up, bench_down)
    const struct CMUnitTest tests[] = {
        BENCH_TEST(a_build_that_nobody_takes_ends_with_every_import_that_waits),
        BENCH_TEST(a_lost_build_waits_too),
        BENCH_TEST(a_build_that_somebody_has_is_left_alone),
        BENCH_TEST(maintenance_does_not_count),
        BENCH_TEST(what_the_command_line_asked_for_is_left_alone_until_a_server_needs_it),
        BENCH_TEST(what_was_to_be_cancelled_is_cancelled),
        BENCH_TEST(claiming_and_seizing_exclude_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
