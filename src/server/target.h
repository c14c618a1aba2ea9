/* A request's target as it was sent: path segments and query parameters, decoded one by one.
 *
 * An encoded slash stays within its segment and is refused, and so are NUL, ".", ".." and bytes
 * that are not UTF-8: no handler ever sees a path that means another one. */
#pragma once

#include <glib.h>
#include <stdbool.h>

typedef struct {
    char *name, *value;
} QueryParameter;

typedef struct {
    char *raw;        /* as it was sent */
    char *path;       /* raw up to the question mark, still encoded */
    GPtrArray *parts; /* char *: decoded segments; "/" has none */
    GPtrArray *query; /* QueryParameter *, in the order they were sent */
} Target;

/* NULL: *why says what is wrong with it (static text). */
Target *target_parse(const char *raw, const char **why);
void target_free(Target *target);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Target, target_free)

/* Frees all but the path: what a request needs while it is answered, for hours perhaps. */
void target_shrink(Target *target);

/* The first parameter of that name; NULL: there is none. */
const char *target_query(const Target *target, const char *name);
