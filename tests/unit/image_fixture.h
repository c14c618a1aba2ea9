/* What the tests of image/ share: a directory of their own, packages in memory, foreign layouts. */
#pragma once

#include "image/layout.h"
#include "model/package.h"

/* A new directory; removed with all that is in it. */
char *fixture_directory(void);
void fixture_remove(const char *directory);
/* How many entries a directory has; -1: there is none. */
int fixture_count(const char *directory, const char *name);

/* Runs a program and returns what it printed; fails the test unless its exit status is 0. */
char *fixture_run(const char *const *command);

/* A package in memory. The finding that its readers give is `&fixture_finding`. */
extern Event fixture_finding;
Package *fixture_package(void);
/* Files must be added in the order of their paths. */
void fixture_add(Package *package, const char *path, const char *content);
/* A file of zeros: size bytes are listed, `real` are there. */
void fixture_add_zeros(Package *package, const char *path, int64_t size, int64_t real);
void fixture_package_free(Package *package);
