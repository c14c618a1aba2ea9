/* A data directory of a test's own, and its store. */
#pragma once

#include "store/data.h"

typedef struct {
    char *path;
    DataDirectory *data;
    Db *db;
} Scene;

/* The address of a PostgreSQL database to run the tests on; unset: SQLite in the scene's directory.
 * It is emptied. */
#define STORE_OF_TESTS "WAYBILL_TEST_STORE"
/* One more connection to the scene's store. */
Db *scene_open(const Scene *scene, GError **error);

/* For cmocka: *state is a Scene. */
int scene_up(void **state);
int scene_down(void **state);
/* With what lies in it. */
void directory_remove(const char *path);

/* A model of that name with its first attempt, and the import's job: its number. */
int64_t scene_submit(Db *db, const char *id);
