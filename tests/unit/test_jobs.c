/* Jobs, who has the lease of one, and what goes on beside each other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "event/timeline.h"
#include "store/attempts.h"
#include "store/audit.h"
#include "store/data.h"
#include "store/homes.h"
#include "store/jobs.h"
#include "store/leases.h"
#include "store/model_changes.h"
#include "store/models.h"
#include "store/projects.h"
#include "store/schema.h"
#include "store/tokens.h"
#include "store_fixture.h"

#define HOUR_MS INT64_C(3600000)

static void a_lease_excludes_others_until_it_is_given_back(void **state)
{
    const Scene *scene = *state;
    Db *db = scene->db;
    int64_t id = scene_submit(db, "m"), other = scene_submit(db, "n");
    Lease *mine = lease_take(db, scene->data, id, NULL);
    assert_non_null(mine);
    lease_begin(mine);
    assert_null(lease_take(db, scene->data, id, NULL));
    assert_true(lease_is_held(db, scene->data, id));
    lease_end(mine);
    assert_false(lease_is_held(db, scene->data, id));
    mine = lease_take(db, scene->data, other, NULL);
    assert_non_null(mine);
    lease_begin(mine);
    assert_false(lease_is_held(db, scene->data, id));
    lease_end(mine);
}

static void a_lease_of_a_data_directory_ends_with_its_process(void **state)
{
    const Scene *scene = *state;
    int pipes[2];
    if (db_engine(scene->db) == DB_POSTGRES)
        return;
    int64_t id = scene_submit(scene->db, "m");
    assert_int_equal(pipe(pipes), 0);
    pid_t child = fork();
    if (child == 0) {
        Db *own = scene_open(scene, NULL);
        char ready = own && lease_take(own, scene->data, id, NULL);
        if (write(pipes[1], &ready, 1) != 1)
            _exit(1);
        pause();
    }
    char ready = 0;
    assert_int_equal(read(pipes[0], &ready, 1), 1);
    assert_int_equal(ready, 1);
    assert_true(lease_is_held(scene->db, scene->data, id));
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    assert_false(lease_is_held(scene->db, scene->data, id));
    close(pipes[0]);
    close(pipes[1]);
}

static void note_lost(gpointer data)
{
    *(bool *)data = true;
}

static void who_lost_a_lease_can_commit_nothing_more(void **state)
{
    const Scene *scene = *state;
    bool lost = false;
    if (db_engine(scene->db) != DB_POSTGRES)
        return;
    g_autofree char *path = g_build_filename(scene->path, "other", NULL);
    g_autoptr(DataDirectory) data = data_open(path, true, 200, NULL);
    g_autoptr(Db) db = scene_open(scene, NULL);
    int64_t id = scene_submit(scene->db, "m");
    scene->data->lease_ms = 100;
    g_autoptr(Job) slow = job_claim(scene->db, scene->data, id, "slow", NULL, NULL);
    assert_non_null(slow);
    for (int i = 0; i < 4; i++) {
        assert_null(job_claim(db, data, id, "early", NULL, NULL));
        g_usleep(50000);
        assert_true(lease_renew(scene->data, db, note_lost, &lost, NULL));
        assert_false(lost);
    }
    g_usleep(150000);
    assert_true(db_begin(scene->db, NULL)); /* it ran out, and nobody took it yet */
    db_rollback(scene->db);
    g_autoptr(Job) next = job_claim(db, data, id, "next", NULL, NULL);
    assert_non_null(next);
    assert_string_equal(next->worker, "slow");
    assert_int_equal(next->lost, 1);
    g_autoptr(GError) error = NULL;
    assert_false(db_begin(scene->db, &error));
    assert_true(g_error_matches(error, DB_ERROR, DB_ERROR_FENCED));
    assert_true(lease_renew(scene->data, db, note_lost, &lost, NULL));
    assert_true(lost);
    g_clear_pointer(&slow, job_free); /* which takes nothing from who has it now */
    assert_true(lease_is_held(db, data, id));
    g_clear_pointer(&next, job_free);
    assert_false(lease_is_held(db, data, id));
}

/* Its lease ran out while it slept, and another import of the version ended its attempt. */
static void who_worked_on_an_attempt_that_was_ended_can_commit_nothing_more(void **state)
{
    const Scene *scene = *state;
    if (db_engine(scene->db) != DB_POSTGRES)
        return;
    g_autoptr(Db) other = scene_open(scene, NULL);
    int64_t id = scene_submit(scene->db, "m");
    g_autoptr(Job) job = job_claim(scene->db, scene->data, id, "w", NULL, NULL);
    assert_non_null(job);
    assert_true(jobs_take_away(other, "m", 1, NULL));
    assert_true(job_end(other, id, NULL));
    g_autoptr(GError) error = NULL;
    assert_false(db_begin_of(scene->db, "m", &error));
    assert_true(g_error_matches(error, DB_ERROR, DB_ERROR_FENCED));
}

/* What was undone with its transaction is nobody's: the next one gets the same token, and keeps it.
 */
static void a_taking_that_was_undone_takes_nothing_from_the_next(void **state)
{
    const Scene *scene = *state;
    if (db_engine(scene->db) != DB_POSTGRES)
        return;
    g_autofree char *path = g_build_filename(scene->path, "next", NULL);
    g_autoptr(DataDirectory) data = data_open(path, true, 200, NULL);
    g_autoptr(Db) other = scene_open(scene, NULL);
    int64_t id = scene_submit(scene->db, "m");
    assert_true(db_begin(scene->db, NULL));
    Lease *undone = lease_take(scene->db, scene->data, id, NULL);
    assert_non_null(undone);
    db_rollback(scene->db);
    g_autoptr(Job) job = job_claim(other, data, id, "next", NULL, NULL);
    assert_non_null(job);
    lease_end(undone);
    assert_true(lease_is_held(other, data, id));
    assert_true(db_begin(scene->db, NULL)); /* it fences nothing */
    db_rollback(scene->db);
}

/* Who renews has looked what is held, and then it was given back. */
static void a_lease_that_was_given_back_is_not_renewed(void **state)
{
    const Scene *scene = *state;
    bool lost = false;
    if (db_engine(scene->db) != DB_POSTGRES)
        return;
    g_autofree char *path = g_build_filename(scene->path, "late", NULL);
    g_autoptr(DataDirectory) late = data_open(path, true, 200, NULL);
    int64_t id = scene_submit(scene->db, "m");
    Lease *lease = lease_take(scene->db, scene->data, id, NULL);
    lease_begin(lease);
    late->held_job = scene->data->held_job;
    late->held_token = scene->data->held_token;
    lease_end(lease);
    assert_true(lease_renew(late, scene->db, note_lost, &lost, NULL));
    assert_false(lease_is_held(scene->db, scene->data, id));
}

/* Of a server: transactions of two models go on beside each other, one of the whole store is alone.
 */
static void a_model_s_transaction_keeps_out_only_its_own_and_the_store_s(void **state)
{
    const Scene *scene = *state;
    if (db_engine(scene->db) != DB_POSTGRES)
        return;
    g_autoptr(Db) other = scene_open(scene, NULL);
    assert_true(db_begin_of(scene->db, "a", NULL));
    assert_true(db_begin_of(other, "b", NULL));
    db_rollback(other);
    g_autoptr(GError) same = NULL, all = NULL;
    assert_false(db_begin_of(other, "a", &same));
    assert_true(g_error_matches(same, DB_ERROR, DB_ERROR_BUSY));
    assert_false(db_begin(other, &all));
    assert_true(g_error_matches(all, DB_ERROR, DB_ERROR_BUSY));
    assert_true(db_commit(scene->db, NULL));
    assert_true(db_begin(other, NULL));
    assert_false(db_begin_of(scene->db, "b", NULL));
    assert_true(db_commit(other, NULL));
}

static void append_started(Db *db, const char *model_id)
{
    g_autoptr(Event) event = event_import_started();
    assert_true(timeline_append(db, model_id, 1, "queue", event, NULL, NULL));
}

static guint changes_after(Db *db, int64_t number)
{
    g_autoptr(GPtrArray) changes =
        model_changes_after(db, PROJECT_DEFAULT, number, number, 10, NULL);
    return changes->len;
}

/* The one that began first commits last: nobody has read past it. */
static void no_change_is_missed_whatever_the_order_of_commits(void **state)
{
    const Scene *scene = *state;
    int64_t before, between;
    if (db_engine(scene->db) != DB_POSTGRES)
        return;
    g_autoptr(Db) other = scene_open(scene, NULL);
    scene_submit(scene->db, "a");
    scene_submit(scene->db, "b");
    assert_true(model_changes_last(scene->db, &before, NULL));
    assert_int_equal(changes_after(scene->db, before), 0);
    assert_true(db_begin_of(scene->db, "a", NULL));
    append_started(scene->db, "a");
    assert_true(db_begin_of(other, "b", NULL));
    append_started(other, "b");
    assert_true(db_commit(other, NULL));
    assert_true(model_changes_last(other, &between, NULL));
    assert_int_equal(changes_after(other, before), 0);
    assert_true(db_commit(scene->db, NULL));
    assert_int_equal(changes_after(other, between), 2);
}

static void numbers_go_on_behind_those_of_a_copied_store(void **state)
{
    const Scene *scene = *state;
    Db *db = scene->db;
    const int64_t far = INT64_C(1) << 50;
    int64_t last;
    scene_submit(db, "a");
    assert_true(db_exec(db, NULL, "UPDATE models SET changed = $1", "i", far));
    assert_true(model_changes_go_on(db, NULL));
    assert_true(model_changes_last(db, &last, NULL));
    assert_true(last >= far);
    assert_true(db_begin(db, NULL));
    append_started(db, "a");
    assert_true(db_commit(db, NULL));
    assert_int_equal(changes_after(db, last), 1);
}

static void projects_take_turns(void **state)
{
    const Scene *scene = *state;
    Db *db = scene->db;
    static const char *const PROJECTS[] = {"p", "p", "p", "q", "q", "r"};
    g_autoptr(GString) order = g_string_new(NULL);
    assert_true(db_script(db,
                          "INSERT INTO projects(id, created_at) VALUES ('p', 0), ('q', 0), "
                          "('r', 0)",
                          NULL));
    for (size_t i = 0; i < G_N_ELEMENTS(PROJECTS); i++) {
        g_autofree char *name = g_strdup_printf("m%zu", i);
        int64_t id = scene_submit(db, name);
        assert_true(job_set_served(db, id, true, NULL));
        assert_true(db_exec(db, NULL, "UPDATE models SET project = $2 WHERE id = $1", "ss", name,
                            PROJECTS[i]));
    }
    g_autoptr(GArray) jobs = jobs_to_serve(db, scene->data, false, HOUR_MS, NULL);
    for (guint i = 0; i < jobs->len; i++) {
        g_autoptr(Job) job = job_load(db, g_array_index(jobs, int64_t, i), NULL);
        g_string_append_printf(order, "%s ", job->model_id);
    }
    assert_string_equal(order->str, "m0 m3 m5 m1 m4 m2 ");
}

static void what_lies_in_one_data_directory_is_imported_there(void **state)
{
    const Scene *scene = *state;
    Db *db = scene->db;
    int64_t id = scene_submit(db, "m");
    assert_true(job_set_served(db, id, true, NULL));
    static const struct {
        const char *home; /* "": this one */
        guint any, home_only;
    } CASES[] = {{NULL, 1, 0}, {"another:/data", 0, 0}, {"", 1, 1}};
    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        const char *home = CASES[i].home;
        assert_true(job_set_home(db, id, home && !*home ? data_home(scene->data) : home, NULL));
        g_autoptr(GArray) jobs = jobs_to_serve(db, scene->data, false, HOUR_MS, NULL);
        g_autoptr(GArray) own = jobs_to_serve(db, scene->data, true, HOUR_MS, NULL);
        assert_int_equal(jobs->len, CASES[i].any);
        assert_int_equal(own->len, CASES[i].home_only);
    }
}

static guint count_to_serve(const Scene *scene, int64_t given_up_ms)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GArray) jobs = jobs_to_serve(scene->db, scene->data, false, given_up_ms, &error);
    assert_null(error);
    return jobs->len;
}

/* Of a store that nodes share. */
static void what_lies_where_nobody_is_seen_is_given_up(void **state)
{
    const Scene *scene = *state;
    Db *db = scene->db;
    int64_t id = scene_submit(db, "m");
    if (db_engine(db) == DB_SQLITE)
        skip();
    assert_true(job_set_served(db, id, true, NULL));
    assert_true(job_set_home(db, id, "another:/data", NULL));
    assert_int_equal(count_to_serve(scene, HOUR_MS), 0); /* nobody knows how long it is away */
    assert_true(home_beat(db, scene->data, "here/1", NULL));
    assert_int_equal(count_to_serve(scene, HOUR_MS), 0); /* who looks was away himself */
    assert_true(db_exec(db, NULL, "UPDATE homes SET since = since - $1", "i", 2 * HOUR_MS));
    assert_true(home_beat(db, scene->data, "here/1", NULL));
    assert_int_equal(count_to_serve(scene, HOUR_MS), 1);
    assert_int_equal(count_to_serve(scene, 3 * HOUR_MS), 0);
    assert_true(db_exec(db, NULL,
                        "INSERT INTO homes SELECT 'another:/data', 'there/2', since, seen FROM "
                        "homes",
                        ""));
    assert_int_equal(count_to_serve(scene, HOUR_MS), 0);
    int64_t unseen_ms = -1;
    g_autofree char *worker = home_worker(db, "another:/data", &unseen_ms, NULL);
    assert_string_equal(worker, "there/2");
    assert_in_range(unseen_ms, 0, HOUR_MS);
    assert_true(db_exec(db, NULL, "UPDATE homes SET seen = seen - $1", "i", 2 * HOUR_MS));
    assert_int_equal(count_to_serve(scene, HOUR_MS), 1);
    assert_true(home_beat(db, scene->data, "here/1", NULL)); /* the store was away for all */
    assert_int_equal(count_to_serve(scene, HOUR_MS), 0);
}

static void job_is_claimed_once_and_again_when_its_worker_was_lost(void **state)
{
    const Scene *scene = *state;
    int64_t id = scene_submit(scene->db, "m");
    g_autoptr(Job) first = job_claim(scene->db, scene->data, id, "w1", NULL, NULL);
    assert_non_null(first);
    assert_null(first->worker);
    assert_null(job_claim(scene->db, scene->data, id, "w2", NULL, NULL));
    g_clear_pointer(&first, job_free); /* as if its process had died */
    g_autoptr(Job) second = job_claim(scene->db, scene->data, id, "w2", NULL, NULL);
    assert_non_null(second);
    assert_string_equal(second->worker, "w1");
    assert_int_equal(second->leases, 1);
    assert_int_equal(second->lost, 1);
}

static void build_wakes_the_imports_that_wait_for_it(void **state)
{
    const Scene *scene = *state;
    int64_t import = scene_submit(scene->db, "m"), build;
    assert_true(job_insert(scene->db, JOB_IMAGE_BUILD, "m", 1, NULL, &build, NULL));
    assert_true(job_park(scene->db, import, build, NULL));
    assert_null(job_claim(scene->db, scene->data, import, "w", NULL, NULL));
    g_autoptr(GPtrArray) waiting = jobs_waiting(scene->db, build, NULL);
    assert_int_equal(waiting->len, 1);
    assert_true(job_wake_waiting(scene->db, build, NULL));
    g_autoptr(Job) job = job_claim(scene->db, scene->data, import, "w", NULL, NULL);
    assert_non_null(job);
    assert_null(job->worker);
}

static void one_open_job_for_a_cache_key(void **state)
{
    const Scene *scene = *state;
    int64_t first, second;
    scene_submit(scene->db, "m");
    assert_true(job_insert(scene->db, JOB_ENV_BUILD, "m", 1, "key", &first, NULL));
    assert_false(job_insert(scene->db, JOB_ENV_BUILD, "m", 1, "key", &second, NULL));
    assert_true(job_of_cache_key(scene->db, "key", &second, NULL));
    assert_int_equal(first, second);
    assert_true(job_end(scene->db, first, NULL));
    assert_true(job_insert(scene->db, JOB_ENV_BUILD, "m", 1, "key", &second, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_lease_excludes_others_until_it_is_given_back, scene_up,
                                        scene_down),
        cmocka_unit_test_setup_teardown(a_lease_of_a_data_directory_ends_with_its_process, scene_up,
                                        scene_down),
        cmocka_unit_test_setup_teardown(who_lost_a_lease_can_commit_nothing_more, scene_up,
                                        scene_down),
        cmocka_unit_test_setup_teardown(
            who_worked_on_an_attempt_that_was_ended_can_commit_nothing_more, scene_up, scene_down),
        cmocka_unit_test_setup_teardown(a_taking_that_was_undone_takes_nothing_from_the_next,
                                        scene_up, scene_down),
        cmocka_unit_test_setup_teardown(a_lease_that_was_given_back_is_not_renewed, scene_up,
                                        scene_down),
        cmocka_unit_test_setup_teardown(
            a_model_s_transaction_keeps_out_only_its_own_and_the_store_s, scene_up, scene_down),
        cmocka_unit_test_setup_teardown(no_change_is_missed_whatever_the_order_of_commits, scene_up,
                                        scene_down),
        cmocka_unit_test_setup_teardown(numbers_go_on_behind_those_of_a_copied_store, scene_up,
                                        scene_down),
        cmocka_unit_test_setup_teardown(projects_take_turns, scene_up, scene_down),
        cmocka_unit_test_setup_teardown(what_lies_where_nobody_is_seen_is_given_up, scene_up,
                                        scene_down),
        cmocka_unit_test_setup_teardown(what_lies_in_one_data_directory_is_imported_there, scene_up,
                                        scene_down),
        cmocka_unit_test_setup_teardown(job_is_claimed_once_and_again_when_its_worker_was_lost,
                                        scene_up, scene_down),
        cmocka_unit_test_setup_teardown(build_wakes_the_imports_that_wait_for_it, scene_up,
                                        scene_down),
        cmocka_unit_test_setup_teardown(one_open_job_for_a_cache_key, scene_up, scene_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
