/* A data directory of a test's own, and its store. */
#pragma once

#include "store/data.h"

typedef struct {
    char *path;
    DataDirectory *data;
    Db *db;
} Scene;

/* For cmocka: *state is a Scene. */
int scene_up(void **state);
int scene_down(void **state);
/* With what lies in it. */
void directory_remove(const char *path);
