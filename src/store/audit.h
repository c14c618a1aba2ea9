/* The audit list: who did what, and with which credential.
 *
 * No secret stands here, and nothing of what a request carried but the names below. A row belongs
 * into the transaction that does what it says, where there is one. */
#pragma once

#include "store/db.h"

/* Outcomes. */
#define AUDIT_DONE    "done"
#define AUDIT_FAILED  "failed"
#define AUDIT_REFUSED "refused"

/* Every text is borrowed; NULL where there is none. */
typedef struct {
    const char *actor;
    const char *credential; /* the public id of what said who it is */
    const char *project;
    const char *action; /* "model.delete", "token.create", "sign-in", … */
    const char *object; /* the id of the model, token, … that it was done to */
    const char *outcome;
    const char *request_id; /* NULL: it came from the command line */
} AuditRow;

/* In the transaction that is open, else in one of its own. */
bool audit_add(Db *db, const AuditRow *row, GError **error);

typedef struct {
    const char *project; /* NULL: all */
    const char *actor;   /* NULL: all */
    const char *action;  /* NULL: all */
    int64_t before;      /* only rows with a smaller id; 0: all */
    int64_t limit;
} AuditSearch;

/* The newest rows first; time in ms since 1970 UTC. model: NAME:VERSION when the object is a
 * model. False: *error. */
typedef void (*AuditVisitor)(int64_t id, int64_t time, const AuditRow *row, const char *model,
                             gpointer data);
bool audit_search(Db *db, const AuditSearch *search, AuditVisitor visit, gpointer data,
                  GError **error);
