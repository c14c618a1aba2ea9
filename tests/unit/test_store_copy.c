#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "store/schema.h"
#include "store_fixture.h"
#include "upkeep/store_copy.h"

/* Not copied: what each store says of itself. */
static const char *const OWN[] = {"migrations", "store_home", NULL};

static void every_table_is_copied(void **state)
{
    const Scene *scene = *state;
    GError *error = NULL;
    g_autoptr(DbRows) rows =
        db_query(scene->db, NULL,
                 "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name", "");
    int count = 0;
    for (; db_next(rows, &error); count++)
        if (!g_strv_contains(OWN, db_text(rows, 0)) &&
            !g_strv_contains(store_copy_tables(), db_text(rows, 0)))
            fail_msg("%s is not copied", db_text(rows, 0));
    assert_null(error);
    assert_true(count > 25);
}

static Db *other_store(const Scene *scene, const char *name)
{
    g_autofree char *path = data_path(scene->data, name);
    return db_open_sqlite(path, 200, NULL);
}

static void rows_that_refer_to_each_other_arrive(void **state)
{
    const Scene *scene = *state;
    Progress progress = {0};
    g_autoptr(GError) error = NULL;
    g_autoptr(Db) to = other_store(scene, "other.db");
    assert_true(db_script(scene->db,
                          "INSERT INTO tokens(id, kind, hash, user_name, project, role, parent, "
                          "created_at) VALUES ('z', 'token', 'h1', 'u', 'p', 'r', NULL, 1), "
                          "('a', 'link', 'h2', 'u', 'p', 'r', 'z', 1);"
                          "INSERT INTO projects(id, created_at) VALUES ('q', 7)",
                          NULL));
    g_autoptr(GArray) copied = store_copy(scene->db, to, &progress, &error);
    assert_null(error);
    assert_int_equal(copied->len, g_strv_length((char **)store_copy_tables()));
    int64_t count;
    assert_true(db_query_int(to, &count, 0, NULL,
                             "SELECT count(*) FROM tokens a JOIN tokens z ON a.parent = z.id", ""));
    assert_int_equal(count, 1);
    assert_true(db_query_int(to, &count, 0, NULL, "SELECT count(*) FROM projects", ""));
    assert_int_equal(count, 2);
}

static void what_is_stopped_or_not_empty_stays_as_it_was(void **state)
{
    const Scene *scene = *state;
    Progress progress = {.stop = true};
    g_autoptr(GError) error = NULL;
    int64_t count;
    g_autoptr(Db) to = other_store(scene, "other.db");
    assert_null(store_copy(scene->db, to, &progress, &error));
    assert_non_null(strstr(error->message, "interrupted"));
    assert_true(db_query_int(to, &count, 0, NULL, "SELECT count(*) FROM projects", ""));
    assert_int_equal(count, 1);
    g_clear_error(&error);
    progress.stop = false;
    assert_true(db_exec(to, NULL, "INSERT INTO projects(id, created_at) VALUES ('mine', 0)", ""));
    assert_null(store_copy(scene->db, to, &progress, &error));
    assert_true(g_error_matches(error, STORE_COPY_ERROR, STORE_COPY_ERROR_TAKEN));
}

static void what_is_no_store_is_not_copied(void **state)
{
    const Scene *scene = *state;
    Progress progress = {0};
    g_autoptr(GError) error = NULL;
    g_autoptr(Db) from = other_store(scene, "empty.db");
    g_autoptr(Db) to = other_store(scene, "other.db");
    assert_null(store_copy(from, to, &progress, &error));
    assert_true(g_error_matches(error, STORE_COPY_ERROR, STORE_COPY_ERROR_SOURCE));
    assert_true(db_exec(scene->db, NULL, "UPDATE migrations SET number = 99 WHERE number = $1", "i",
                        (int64_t)schema_newest()));
    g_clear_error(&error);
    assert_null(store_copy(scene->db, to, &progress, &error));
    assert_non_null(strstr(error->message, "schema 99"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_table_is_copied, scene_up, scene_down),
        cmocka_unit_test_setup_teardown(rows_that_refer_to_each_other_arrive, scene_up, scene_down),
        cmocka_unit_test_setup_teardown(what_is_stopped_or_not_empty_stays_as_it_was, scene_up,
                                        scene_down),
        cmocka_unit_test_setup_teardown(what_is_no_store_is_not_copied, scene_up, scene_down)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
