/* Bodies of requests that change a model: which fields they may have, and what is wrong with them,
 * all of it at once. */
#pragma once

#include "server/server.h"

typedef struct {
    const char *field;
    json_type type; /* JSON_STRING, JSON_ARRAY, JSON_OBJECT; JSON_TRUE: true or false */
    bool mandatory;
} RequestField;

/* Adds what is missing, of another type than its field's, or no field of this version: that is
 * refused rather than forgotten. null is as if it were not there: it is taken out. faults: of
 * char *. */
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

/* The request's source by a source_location: file:///DIR -> /DIR, training://ID -> where that is,
 * the rest as it is. False: the project may not import from it. Nobody learns whether a directory
 * is there that may not be imported from. */
bool request_take_source(const Server *server, ImportRequest *import, const char *location,
                         GPtrArray *faults);
HttpReply source_refused(void);
/* What import_request_check and the like found (of RequestFault) in the words of the API. */
void request_faults_take(const GPtrArray *wrong, GPtrArray *faults);

/* The body's `template`, into the request. Returns the source that its input names, or that
 * source_location names in its place; NULL: a fault. The caller frees it. */
char *request_template_take(const json_t *body, ImportRequest *import, GPtrArray *faults);
