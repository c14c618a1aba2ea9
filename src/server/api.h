/* The handlers of the API (specification, api.md), one for each route of router.c. */
#pragma once

#include "server/access.h"
#include "server/server.h"

extern const HttpRoute API_ROUTES[];

/* Error answers in the words of api.md. */
#define API_PARAMETER "ModelArts.0104"
HttpReply api_failed(const GError *error);
/* 429: too many failed logins (login_limit.h). */
HttpReply api_login_refused(const HttpRequest *request, int retry_after);
/* This thread's connection to the store; NULL: *reply. */
Service *api_service(const HttpRequest *request, HttpReply *reply);
/* The body as a JSON object; NULL: *reply. A new reference. */
json_t *api_body(const HttpRequest *request, HttpReply *reply);
/* A whole number of the query, `otherwise` when it is not there. False: *reply. */
bool api_number(const HttpRequest *request, const char *name, int64_t otherwise, int64_t *value,
                HttpReply *reply);
/* "true" or "false" of the query, false when it is not there. False: *reply. */
bool api_flag(const HttpRequest *request, const char *name, bool *value, HttpReply *reply);
/* The model of {project_id} and {model_id}; NULL: *reply. */
Model *api_model(const HttpRequest *request, Service *service, HttpReply *reply);

/* The same, of one that was deleted. */
Model *api_model_deleted(const HttpRequest *request, Service *service, HttpReply *reply);

/* ?wait=SECONDS, at most 60: lets the connection wait until the model has an event after `seen`, or
 * so long since the request began. True: the handler answers *reply, which is HTTP_WAITS (it is
 * called again) or an error. False: it looks again, with *go_on false for the last time. */
bool api_wait(HttpRequest *request, const char *model_id, int64_t seen, bool *go_on,
              HttpReply *reply);

/* The body of POST /models as an import. NULL: *reply names every fault. to_check: only what a
 * check needs must be there. */
ImportRequest *models_request(HttpRequest *request, Service *service, json_t *body, bool to_check,
                              HttpReply *reply);
/* ?event_type=, of which a list is allowed: "abnormal,hint". False: *reply. */
bool api_event_types(const HttpRequest *request, bool *normal, bool *abnormal, bool *hint,
                     HttpReply *reply);
/* What a client of Keystone understands: {"error": {"code", "message", "title"}}. */
HttpReply identity_error(unsigned status, const char *format, ...) G_GNUC_PRINTF(2, 3);

#define SIGN_IN_BYTES (16 << 10)

/* What the body asks for, with all that is wrong with it (char *). NULL: its fields are wrong, or
 * its source is forbidden. Takes of the request its project, actor and the server's settings.
 * to_check: only what a check needs must be there. */
ImportRequest *models_create_read(HttpRequest *request, json_t *body, bool to_check,
                                  GPtrArray *faults, bool *forbidden);
HttpReply models_create(HttpRequest *request);
HttpReply models_check(HttpRequest *request);
HttpReply models_list_items(HttpRequest *request);
HttpReply models_get(HttpRequest *request);
HttpReply models_delete(HttpRequest *request);
HttpReply models_update(HttpRequest *request);
HttpReply models_retry(HttpRequest *request);
HttpReply models_cancel(HttpRequest *request);
HttpReply models_diff(HttpRequest *request);
HttpReply runtimes_get(HttpRequest *request);
HttpReply templates_get(HttpRequest *request);
HttpReply events_list(HttpRequest *request);
HttpReply events_stream(HttpRequest *request);
HttpReply project_stream(HttpRequest *request);
HttpReply project_events(HttpRequest *request);
HttpReply workers_list(HttpRequest *request);
HttpReply uploads_create(HttpRequest *request);
HttpReply uploads_create_named(HttpRequest *request);
HttpReply uploads_get(HttpRequest *request);
HttpReply uploads_delete(HttpRequest *request);
HttpReply uploads_get_file(HttpRequest *request);
HttpReply uploads_put_file(HttpRequest *request);
extern const HttpSink UPLOADS_SINK; /* of uploads_put_file */
HttpReply log_get(HttpRequest *request);
HttpReply statistics_get(HttpRequest *request);
HttpReply metrics_get(HttpRequest *request);
HttpReply events_catalog(HttpRequest *request);
HttpReply settings_get(HttpRequest *request);
HttpReply settings_patch(HttpRequest *request);
HttpReply maintenance_get(HttpRequest *request);
HttpReply maintenance_set(HttpRequest *request);
HttpReply credentials_get(HttpRequest *request);
HttpReply credentials_post(HttpRequest *request);
HttpReply credentials_delete(HttpRequest *request);
HttpReply tokens_get(HttpRequest *request);
HttpReply tokens_post(HttpRequest *request);
HttpReply tokens_delete(HttpRequest *request);
HttpReply sign_in_links_post(HttpRequest *request);
HttpReply projects_get(HttpRequest *request);
HttpReply space_get(HttpRequest *request);
HttpReply sign_in_with_link(HttpRequest *request);
HttpReply sign_in_with_token(HttpRequest *request);
HttpReply sign_out(HttpRequest *request);
HttpReply whoami_get(HttpRequest *request);
HttpReply audit_get(HttpRequest *request);
HttpReply identity_version(HttpRequest *request);
HttpReply identity_token_create(HttpRequest *request);
HttpReply identity_catalog(HttpRequest *request);
HttpReply identity_domains(HttpRequest *request);
HttpReply identity_projects(HttpRequest *request);
HttpReply client_get(HttpRequest *request);
HttpReply openapi_get(HttpRequest *request);
HttpReply console_get(HttpRequest *request);
HttpReply health_get(HttpRequest *request);
HttpReply ready_get(HttpRequest *request);
