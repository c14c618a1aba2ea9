/* Bodies of requests that change a model: which fields they may have, and what is wrong with them,
 * all of it at once. */
#pragma once

#include "server/server.h"

typedef struct {
    const char *field;
    json_type type; /* JSON_STRING, JSON_ARRAY; JSON_TRUE: true or false */
    bool mandatory;
} RequestField;

/* Adds what is missing, of another type than its field's, or no field of this version: that is
 * refused rather than forgotten. null is as if it were not there. faults: of char *. */
void request_fields_check(json_t *body, const RequestField *fields, size_t count,
                          GPtrArray *faults);
/* Some clients send a member that is not set: ModelArts' Terraform provider as null, {} or []. */
bool request_is_unset(const json_t *value);
void request_fault(GPtrArray *faults, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* 400 with every fault in error_msg and in details[]. */
HttpReply request_faults_reply(const char *code, GPtrArray *faults);

/* A copy of a member that is text, an array's JSON text; NULL: it is not there. */
char *request_text(const json_t *body, const char *field);
char *request_array(const json_t *body, const char *field);

/* What the findings are as faults. *code is set to the first one's, where it was NULL. */
void request_findings(const Findings *findings, GPtrArray *faults, const char **code);
/* The same of initial_config and dependencies that the request brings: as `check` finds them, the
 * package apart. False: *error. */
bool request_config_findings(Service *service, const ImportRequest *request, GPtrArray *faults,
                             const char **code, GError **error);

/* file:///DIR -> /DIR, oci:DIR:TAG as it is; NULL: the project may not import from it. Nobody
 * learns whether a directory is there that may not be imported from. */
char *source_of(const Server *server, const char *project, const char *location);
HttpReply source_refused(void);
