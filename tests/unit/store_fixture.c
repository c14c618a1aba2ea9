#include "store_fixture.h"

void directory_remove(const char *path)
{
    const char *argv[] = {"rm", "-rf", path, NULL};
    g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL,
                 NULL);
}

int scene_up(void **state)
{
    Scene *scene = g_new0(Scene, 1);
    scene->path = g_dir_make_tmp("waybill-store-XXXXXX", NULL);
    scene->data = data_open(scene->path, true, 200, NULL);
    scene->db = data_open_store(scene->data, NULL);
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
