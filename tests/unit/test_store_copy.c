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
static const char *const OWN[] = {"migrations", "schema_works", "store_home",
                                  "workers",    "homes",        NULL};

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

/* A target that keeps something else than it was given, or not all of it. */
static void what_differs_is_named_and_not_kept(void **state)
{
    static const char *const TRIGGERS[] = {
        "BEGIN UPDATE projects SET created_at = 8 WHERE id = new.id; END",
        "BEGIN DELETE FROM projects WHERE id = new.id; END"};
    const Scene *scene = *state;
    Progress progress = {0};
    int64_t created_at;
    int count;
    const Migration *migrations = schema_migrations(&count);
    for (size_t i = 0; i < G_N_ELEMENTS(TRIGGERS); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *name = g_strdup_printf("other-%zu.db", i);
        g_autofree char *trigger =
            g_strconcat("CREATE TRIGGER other AFTER INSERT ON projects WHEN new.id = 'default' ",
                        TRIGGERS[i], NULL);
        g_autoptr(Db) to = other_store(scene, name);
        assert_true(schema_migrate(to, migrations, count, NULL, NULL));
        assert_true(db_script(to, trigger, NULL));
        assert_null(store_copy(scene->db, to, &progress, &error));
        assert_true(g_error_matches(error, STORE_COPY_ERROR, STORE_COPY_ERROR_DIFFERS));
        assert_non_null(strstr(error->message, "projects: "));
        assert_non_null(strstr(error->message, "id default"));
        assert_true(db_query_int(to, &created_at, -1, NULL,
                                 "SELECT created_at FROM projects WHERE id = 'default'", ""));
        assert_int_equal(created_at, 0); /* as it was */
    }
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
        cmocka_unit_test_setup_teardown(what_differs_is_named_and_not_kept, scene_up, scene_down),
        cmocka_unit_test_setup_teardown(what_is_no_store_is_not_copied, scene_up, scene_down)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
