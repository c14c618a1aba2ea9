/* Who may use which project: what the tokens and access keys say that are of worth now. */
#pragma once

#include "store/caller.h"
#include "store/db.h"

/* Texts are borrowed. */
typedef struct {
    const char *project; /* CALLER_EVERY_PROJECT: an operator */
    const char *user;
    const char *role; /* its name */
    int64_t tokens, access_keys;
    int64_t last_used_at; /* 0: never */
} Member;

typedef struct {
    const char *project;
    int64_t created_at, models; /* models: versions that are not deleted */
} ProjectRow;

/* By project, user and role; project NULL: of every one, and the operators. False: *error. */
typedef void (*MemberVisitor)(const Member *member, gpointer data);
bool members_each(Db *db, const char *project, int64_t now, MemberVisitor visit, gpointer data,
                  GError **error);
/* By name; project NULL: every one. */
typedef void (*ProjectVisitor)(const ProjectRow *project, gpointer data);
bool members_each_project(Db *db, const char *project, ProjectVisitor visit, gpointer data,
                          GError **error);
