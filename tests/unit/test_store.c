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
#include "store/jobs.h"
#include "store/leases.h"
#include "store/model_changes.h"
#include "store/models.h"
#include "store/projects.h"
#include "store/schema.h"
#include "store/tokens.h"
#include "store_fixture.h"

static void parameters_are_bound_by_their_numbers(void **state)
{
    const Scene *scene = *state;
    g_autoptr(DbRows) rows =
        db_query(scene->db, NULL, "SELECT $2, $1, $2", "si", "one", (int64_t)2);
    assert_true(db_next(rows, NULL));
    assert_int_equal(db_int(rows, 0), 2);
    assert_string_equal(db_text(rows, 1), "one");
    assert_int_equal(db_int(rows, 2), 2);
}

static void transaction_that_leaves_its_scope_is_undone(void **state)
{
    const Scene *scene = *state;
    {
        g_autoptr(DbTransaction) transaction = db_transaction(scene->db, NULL);
        assert_non_null(transaction);
        assert_true(
            db_exec(scene->db, NULL, "INSERT INTO projects(id, created_at) VALUES ('x', 0)", ""));
    }
    int64_t count;
    assert_true(db_query_int(scene->db, &count, -1, NULL,
                             "SELECT count(*) FROM projects WHERE id = 'x'", ""));
    assert_int_equal(count, 0);
}

static void snapshot_is_one_state_of_the_store(void **state)
{
    const Scene *scene = *state;
    g_autoptr(Db) other = scene_open(scene, NULL);
    int64_t count;
    {
        g_autoptr(DbSnapshot) snapshot = db_snapshot(scene->db, NULL);
        assert_non_null(snapshot);
        assert_true(db_query_int(scene->db, &count, -1, NULL, "SELECT count(*) FROM models", ""));
        assert_int_equal(count, 0);
        scene_submit(other, "m");
        assert_true(db_query_int(scene->db, &count, -1, NULL, "SELECT count(*) FROM models", ""));
        assert_int_equal(count, 0);
    }
    assert_true(db_query_int(scene->db, &count, -1, NULL, "SELECT count(*) FROM models", ""));
    assert_int_equal(count, 1);
    scene_submit(scene->db, "n"); /* nothing of it is left open */
}

static void busy_store_is_told_from_other_failures(void **state)
{
    const Scene *scene = *state;
    g_autoptr(Db) other = scene_open(scene, NULL);
    assert_true(db_begin(other, NULL));
    g_autoptr(GError) error = NULL;
    assert_false(db_begin(scene->db, &error));
    assert_true(g_error_matches(error, DB_ERROR, DB_ERROR_BUSY));
    db_rollback(other);
    assert_true(db_begin(scene->db, NULL));
}

static void foreign_keys_hold(void **state)
{
    const Scene *scene = *state;
    g_autoptr(GError) error = NULL;
    assert_false(model_insert(scene->db, "m", "nowhere", "m", "0.0.1", 1, NULL, "", "me", &error));
    assert_true(g_error_matches(error, DB_ERROR, DB_ERROR_CONSTRAINT));
}

static void schema_of_a_newer_program_is_refused_by_name(void **state)
{
    const Scene *scene = *state;
    assert_true(db_exec(scene->db, NULL,
                        "INSERT INTO migrations(number, name, program, applied_at) VALUES (99, "
                        "'quota', '9.9.9', 0)",
                        ""));
    g_autoptr(GError) error = NULL;
    g_autoptr(Db) again = scene_open(scene, &error);
    assert_null(again);
    assert_true(g_error_matches(error, DB_ERROR, DB_ERROR_NEWER));
    assert_non_null(strstr(error->message, "99 (quota)"));
    assert_non_null(strstr(error->message, "9.9.9"));
}

/* Nodes are replaced one after the other: what only adds disturbs none that is still the old one.
 */
static void schema_that_only_adds_is_worked_beside(void **state)
{
    const Scene *scene = *state;
    const int known = schema_newest();
    const Migration adds[] = {{known, "known", ""},
                              {known + 1, "adds", "CREATE TABLE t (x BIGINT)", known},
                              {known + 2, "more", "CREATE TABLE u (x BIGINT)", known}};
    const Migration breaks = {known + 3, "breaks", "CREATE TABLE v (x BIGINT)"};
    assert_true(schema_migrate(scene->db, adds, 3, NULL, NULL));
    g_autoptr(Db) beside = scene_open(scene, NULL);
    assert_non_null(beside);
    assert_true(schema_migrate(scene->db, &breaks, 1, NULL, NULL));
    g_autoptr(Db) refused = scene_open(scene, NULL);
    assert_null(refused);
}

static void new_store_has_no_copy_of_itself(void **state)
{
    Scene *scene = *state;
    for (int number = 1; number <= schema_newest(); number++) {
        g_autofree char *name = g_strdup_printf(DATA_STORE ".before-%d", number);
        g_autofree char *path = data_path(scene->data, name);
        assert_int_not_equal(access(path, F_OK), 0);
    }
}

static void migration_keeps_a_copy_and_failing_changes_nothing(void **state)
{
    const Scene *scene = *state;
    g_autofree char *path = g_build_filename(scene->path, "other.db", NULL);
    g_autofree char *copy = g_strconcat(path, ".before-2", NULL);
    g_autoptr(Db) db = db_open_sqlite(path, 100, NULL);
    const Migration good[] = {{1, "one", "CREATE TABLE t (x BIGINT); INSERT INTO t VALUES (7)"},
                              {2, "two", "UPDATE t SET x = 8; CREATE TABLE u (y BIGINT)"}};
    const Migration bad[] = {good[0], {2, "two", "UPDATE t SET x = 8; CREATE TABLE t (z BIGINT)"}};
    assert_true(schema_migrate(db, good, 1, path, NULL));
    assert_false(schema_migrate(db, bad, 2, path, NULL));
    int64_t value;
    int version;
    assert_true(db_query_int(db, &value, 0, NULL, "SELECT x FROM t", ""));
    assert_int_equal(value, 7);
    assert_true(schema_migrate(db, good, 2, path, NULL));
    assert_true(schema_version(db, &version, NULL));
    assert_int_equal(version, 2);
    g_autoptr(Db) kept = db_open_sqlite(copy, 100, NULL);
    assert_true(db_query_int(kept, &value, 0, NULL, "SELECT x FROM t", ""));
    assert_int_equal(value, 7);
}

static void migrations_may_leave_numbers_out(void **state)
{
    const Scene *scene = *state;
    g_autofree char *path = g_build_filename(scene->path, "gaps.db", NULL);
    g_autoptr(Db) db = db_open_sqlite(path, 100, NULL);
    const Migration all[] = {{1, "one", "CREATE TABLE t (x BIGINT)"},
                             {4, "four", "INSERT INTO t VALUES (4)"},
                             {9, "nine", "INSERT INTO t VALUES (9)"}};
    int64_t rows;
    int version;
    assert_true(schema_migrate(db, all, 2, path, NULL));
    for (int i = 0; i < 2; i++)
        assert_true(schema_migrate(db, all, 3, path, NULL));
    assert_true(schema_version(db, &version, NULL));
    assert_int_equal(version, 9);
    assert_true(db_query_int(db, &rows, 0, NULL, "SELECT count(*) FROM t", ""));
    assert_int_equal(rows, 2);
    g_autoptr(GError) error = NULL;
    assert_false(schema_migrate(db, all, 2, path, &error));
    assert_true(g_error_matches(error, DB_ERROR, DB_ERROR_NEWER));
}

static bool collect(const char *json, int64_t seq, gpointer data)
{
    json_t *event = json_loads(json, 0, NULL);
    json_array_append_new(data, event);
    return true;
}

static void timeline_is_dense_and_its_time_never_falls(void **state)
{
    const Scene *scene = *state;
    scene_submit(scene->db, "m");
    g_autoptr(Event) event = event_import_started();
    assert_true(db_begin(scene->db, NULL));
    assert_true(timeline_append(scene->db, "m", 1, "queue", event, NULL, NULL));
    assert_true(db_commit(scene->db, NULL));
    assert_true(db_exec(scene->db, NULL, "UPDATE models SET last_time = last_time + 3600000", ""));
    for (int i = 0; i < 2; i++) {
        assert_true(db_begin(scene->db, NULL));
        assert_true(timeline_append(scene->db, "m", 1, "queue", event, NULL, NULL));
        if (i == 0)
            db_rollback(scene->db); /* a number that was not committed is not used up */
        else
            assert_true(db_commit(scene->db, NULL));
    }
    json_t *events = json_array();
    assert_true(timeline_each(scene->db, "m", &(TimelineFilter){0}, collect, events, NULL));
    assert_int_equal(json_array_size(events), 2);
    json_int_t first, second, before, after;
    assert_int_equal(json_unpack(events, "[{s:I, s:I}, {s:I, s:I}]", "seq", &first, "occur_time",
                                 &before, "seq", &second, "occur_time", &after),
                     0);
    assert_int_equal(first, 1);
    assert_int_equal(second, 2);
    assert_true(after >= before + 3600000);
    json_decref(events);
}

static void watch_sees_another_connection_commit(void **state)
{
    const Scene *scene = *state;
    g_autoptr(TimelineWatch) watch = timeline_watch_new(scene->data, scene->db);
    g_autoptr(Db) other = scene_open(scene, NULL);
    scene_submit(other, "m");
    gint64 began = g_get_monotonic_time();
    timeline_watch_wait(watch, 10000);
    assert_true(g_get_monotonic_time() - began < 5000000);
}

static void reserve_is_there_and_can_be_given_up(void **state)
{
    const Scene *scene = *state;
    g_autofree char *path = data_path(scene->data, "reserve");
    assert_true(g_file_test(path, G_FILE_TEST_EXISTS));
    data_release_reserve(scene->data);
    assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
    data_make_reserve(scene->data);
    assert_true(g_file_test(path, G_FILE_TEST_EXISTS));
}

/* -- who asks -- */

/* The secret; *id is the token's. */
static char *make_token(Db *db, TokenKind kind, const char *parent, int64_t expires_at, char **id)
{
    g_autoptr(Token) token = g_new0(Token, 1);
    token->kind = kind;
    token->user = g_strdup("alice");
    token->project = g_strdup("vision");
    token->role = ROLE_WRITER;
    token->parent = g_strdup(parent);
    token->expires_at = expires_at;
    assert_true(db_begin(db, NULL));
    char *secret = token_insert(db, token, NULL);
    assert_true(db_commit(db, NULL));
    if (id)
        *id = g_strdup(token->id);
    return secret;
}

static TokenState state_of(Db *db, const char *secret, int64_t now)
{
    TokenState state;
    g_autoptr(Token) token = token_of_secret(db, secret, now, &state, NULL);
    assert_int_equal(token != NULL, state != TOKEN_UNKNOWN);
    return state;
}

static void token_is_found_by_its_secret_which_is_not_stored(void **state)
{
    const Scene *scene = *state;
    int64_t now = clock_now_ms(), stored;
    g_autofree char *id = NULL;
    g_autofree char *secret = make_token(scene->db, TOKEN_USER, NULL, now + 1000, &id);
    g_autofree char *other = make_token(scene->db, TOKEN_USER, NULL, 0, NULL);
    assert_string_not_equal(secret, other);
    assert_int_equal(strlen(secret), strlen("wb_") + 43);
    assert_int_equal(state_of(scene->db, secret, now), TOKEN_GOOD);
    assert_int_equal(state_of(scene->db, secret, now + 1000), TOKEN_EXPIRED);
    assert_int_equal(state_of(scene->db, other, INT64_MAX), TOKEN_GOOD);
    assert_int_equal(state_of(scene->db, id, now), TOKEN_UNKNOWN);
    assert_int_equal(state_of(scene->db, "", now), TOKEN_UNKNOWN);
    assert_true(db_query_int(scene->db, &stored, -1, NULL,
                             "SELECT count(*) FROM tokens WHERE replace(hash, $1, '') <> hash", "s",
                             secret + 3));
    assert_int_equal(stored, 0);
}

static void what_was_got_with_a_token_ends_with_it(void **state)
{
    const Scene *scene = *state;
    int64_t now = clock_now_ms();
    g_autofree char *id = NULL;
    g_autofree char *secret = make_token(scene->db, TOKEN_USER, NULL, now + 1000, &id);
    g_autofree char *session = make_token(scene->db, TOKEN_SESSION, id, now + 5000, NULL);
    assert_int_equal(state_of(scene->db, session, now), TOKEN_GOOD);
    assert_int_equal(state_of(scene->db, session, now + 2000), TOKEN_EXPIRED);
    assert_true(db_begin(scene->db, NULL));
    assert_true(token_revoke(scene->db, id, NULL));
    assert_true(db_commit(scene->db, NULL));
    assert_int_equal(state_of(scene->db, secret, now), TOKEN_REVOKED);
    assert_int_equal(state_of(scene->db, session, now), TOKEN_REVOKED);
    g_autoptr(GPtrArray) listed = tokens_list(scene->db, "vision", NULL);
    assert_int_equal(listed->len, 1);
}

static void only_a_token_that_was_made_by_hand_is_one(void **state)
{
    const Scene *scene = *state;
    bool begun, exist;
    assert_true(tokens_begun(scene->db, &begun, NULL));
    assert_false(begun);
    g_free(make_token(scene->db, TOKEN_LINK, NULL, 1, NULL));
    g_free(make_token(scene->db, TOKEN_SESSION, NULL, 1, NULL));
    assert_true(tokens_begun(scene->db, &begun, NULL));
    assert_true(tokens_exist(scene->db, &exist, NULL));
    assert_true(begun && !exist);
    g_free(make_token(scene->db, TOKEN_USER, NULL, 1, NULL));
    assert_true(db_begin(scene->db, NULL));
    assert_true(tokens_forget(scene->db, INT64_MAX, NULL));
    assert_true(db_commit(scene->db, NULL));
    assert_true(tokens_exist(scene->db, &exist, NULL));
    assert_true(exist);
    g_autoptr(GPtrArray) projects = projects_list(scene->db, NULL);
    assert_int_equal(projects->len, 2);
    assert_string_equal(projects->pdata[1], "vision");
}

static void count_row(int64_t id, int64_t time, const AuditRow *row, const char *model,
                      gpointer data)
{
    GString *seen = data;
    g_string_append_printf(seen, "%s/%s ", row->action, model ? model : "-");
}

static void audit_row_goes_with_the_transaction_that_it_tells_of(void **state)
{
    const Scene *scene = *state;
    const AuditRow undone = {.actor = "a", .action = "undone", .outcome = AUDIT_DONE};
    AuditRow done = {.actor = "a", .action = "done", .object = "m", .outcome = AUDIT_DONE};
    const AuditSearch search = {.limit = 10};
    g_autoptr(GString) seen = g_string_new(NULL);
    assert_true(db_begin(scene->db, NULL));
    assert_true(audit_add(scene->db, &undone, NULL));
    db_rollback(scene->db);
    scene_submit(scene->db, "m");
    assert_true(audit_add(scene->db, &done, NULL));
    done.object = NULL;
    assert_true(audit_add(scene->db, &done, NULL));
    assert_true(audit_search(scene->db, &search, count_row, seen, NULL));
    assert_string_equal(seen->str, "done/- done/m:0.0.1 ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(parameters_are_bound_by_their_numbers, scene_up,
                                        scene_down),
        cmocka_unit_test_setup_teardown(transaction_that_leaves_its_scope_is_undone, scene_up,
                                        scene_down),
        cmocka_unit_test_setup_teardown(snapshot_is_one_state_of_the_store, scene_up, scene_down),
        cmocka_unit_test_setup_teardown(busy_store_is_told_from_other_failures, scene_up,
                                        scene_down),
        cmocka_unit_test_setup_teardown(foreign_keys_hold, scene_up, scene_down),
        cmocka_unit_test_setup_teardown(schema_of_a_newer_program_is_refused_by_name, scene_up,
                                        scene_down),
        cmocka_unit_test_setup_teardown(schema_that_only_adds_is_worked_beside, scene_up,
                                        scene_down),
        cmocka_unit_test_setup_teardown(new_store_has_no_copy_of_itself, scene_up, scene_down),
        cmocka_unit_test_setup_teardown(migrations_may_leave_numbers_out, scene_up, scene_down),
        cmocka_unit_test_setup_teardown(migration_keeps_a_copy_and_failing_changes_nothing,
                                        scene_up, scene_down),
        cmocka_unit_test_setup_teardown(timeline_is_dense_and_its_time_never_falls, scene_up,
                                        scene_down),
        cmocka_unit_test_setup_teardown(watch_sees_another_connection_commit, scene_up, scene_down),
        cmocka_unit_test_setup_teardown(token_is_found_by_its_secret_which_is_not_stored, scene_up,
                                        scene_down),
        cmocka_unit_test_setup_teardown(what_was_got_with_a_token_ends_with_it, scene_up,
                                        scene_down),
        cmocka_unit_test_setup_teardown(only_a_token_that_was_made_by_hand_is_one, scene_up,
                                        scene_down),
        cmocka_unit_test_setup_teardown(audit_row_goes_with_the_transaction_that_it_tells_of,
                                        scene_up, scene_down),
        cmocka_unit_test_setup_teardown(reserve_is_there_and_can_be_given_up, scene_up, scene_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
