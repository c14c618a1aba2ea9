#include "store_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "store/attempts.h"
#include "store/jobs.h"
#include "store/models.h"
#include "store/projects.h"
#include "store/schema.h"

void directory_remove(const char *path)
{
    const char *argv[] = {"rm", "-rf", path, NULL};
    g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL,
                 NULL);
}

/* Of PostgreSQL a database of the tests' own, which every test finds empty. */
static Db *open_there(const char *url, bool empty, GError **error)
{
    int count;
    const Migration *migrations = schema_migrations(&count);
    g_autoptr(Db) db = db_open(url, 200, error);
    if (!db ||
        (empty && !db_script(db, "DROP SCHEMA public CASCADE; CREATE SCHEMA public", error)) ||
        !schema_migrate(db, migrations, count, NULL, error))
        return NULL;
    return g_steal_pointer(&db);
}

Db *scene_open(const Scene *scene, GError **error)
{
    const char *url = getenv(STORE_OF_TESTS);
    return url ? open_there(url, !scene->db, error) : data_open_store(scene->data, error);
}

int scene_up(void **state)
{
    Scene *scene = g_new0(Scene, 1);
    scene->path = g_dir_make_tmp("waybill-store-XXXXXX", NULL);
    scene->data = data_open(scene->path, true, 200, NULL);
    scene->db = scene_open(scene, NULL);
    *state = scene;
    return scene->db ? 0 : -1;
}

int scene_down(void **state)
{
    Scene *scene = *state;
    db_free(scene->db);
    data_free(scene->data);
    directory_remove(scene->path);
    g_free(scene->path);
    g_free(scene);
    return 0;
}

int64_t scene_submit(Db *db, const char *id)
{
    int64_t job;
    assert_true(db_begin(db, NULL));
    assert_true(model_insert(db, id, PROJECT_DEFAULT, id, "0.0.1", 1, NULL, "", "me", NULL));
    assert_true(attempt_insert(db, id, 1, "{}", NULL));
    assert_true(job_insert(db, JOB_IMPORT, id, 1, NULL, &job, NULL));
    assert_true(db_commit(db, NULL));
    return job;
}
