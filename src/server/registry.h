/* Waybill's own registry at /v2/ (OCI distribution-spec 1.1) over the data directory's layout: what
 * its handlers share. Repositories are PROJECT/NAME (import/repository.h).
 *
 * Errors are the specification's, in English only: {"errors": [{code, message, detail}]}. What
 * waits for a lock, the disk or gc is done aside (server/aside.h). */
#pragma once

#include "import/repository.h"
#include "server/api.h"

#define REGISTRY_NAME "/v2/{name...}" /* how the paths of repositories begin */

/* -- answers (registry_api.c) -- */

HttpReply registry_error(unsigned status, const char *code, const char *format, ...)
    G_GNUC_PRINTF(3, 4);
/* Takes the list of {code, message, detail} over. */
HttpReply registry_errors(unsigned status, json_t *errors);
json_t *registry_error_item(const char *code, json_t *detail, const char *format, ...)
    G_GNUC_PRINTF(3, 4);
/* What is refused before a handler runs; HttpOptions.error. */
HttpReply registry_refusal(unsigned status, const char *message);
/* Of the store and the disk; what it was goes to the log. */
HttpReply registry_failed(const GError *error);
/* Docker-Distribution-API-Version, which clients know a registry by; the replies made here have
 * it. */
void registry_set_version(HttpReply *reply);
/* Without a body. */
HttpReply registry_empty(unsigned status);
HttpReply registry_json(unsigned status, const char *media_type, json_t *json);
/* What stands there is none. */
HttpReply registry_no_digest(const char *where, const char *text);
HttpReply registry_no_blob(const Repository *repository, const char *digest);

/* ?n=, at most `most`, which it is without it. False: *reply. */
bool registry_page(const HttpRequest *request, int64_t most, int64_t *count, HttpReply *reply);
/* Link: the same request behind `last`. */
void registry_set_next(HttpReply *reply, const HttpRequest *request, int64_t count,
                       const char *last);

/* -- names -- */

/* Whether the name is one, and of a project that the caller may see; without a response: both. */
HttpReply registry_check_name(const HttpRequest *request);
/* The repository of {name}; NULL: *reply. */
Repository *registry_find_repository(const HttpRequest *request, Service *service,
                                     HttpReply *reply);
/* Whether the caller may see the project of a repository that he names. */
bool registry_may_see(const Caller *caller, const char *path);

/* -- work aside -- */

typedef struct RegistryWork RegistryWork;
struct RegistryWork {
    Server *server;
    Repository *repository;
    Caller *caller;
    char *request_id;
    char *reference;  /* the second argument of the path: a tag or a digest */
    char *media_type; /* Content-Type, or NULL */
    GBytes *body;     /* or NULL */
    HttpReply (*run)(RegistryWork *work, Service *service);
    HttpReply reply;
};
/* A handler whose answer is what `run` makes, in another thread. */
HttpReply registry_aside(HttpRequest *request,
                         HttpReply (*run)(RegistryWork *work, Service *service));
/* The store of an aside's thread, which audits in the name of who asks. NULL: *error. */
Service *registry_service(Server *server, const Caller *caller, const char *request_id,
                          GError **error);

/* -- handlers -- */

HttpReply registry_version(HttpRequest *request);
HttpReply registry_catalog(HttpRequest *request);
HttpReply registry_tags(HttpRequest *request);
HttpReply registry_referrers(HttpRequest *request);
HttpReply registry_manifest_get(HttpRequest *request);
HttpReply registry_manifest_put(HttpRequest *request);
HttpReply registry_manifest_delete(HttpRequest *request);
HttpReply registry_blob_get(HttpRequest *request);
HttpReply registry_blob_delete(HttpRequest *request);
/* A blob's bytes, or the part of them that the request asks for. */
HttpReply registry_send_blob(const HttpRequest *request, const Service *service, const char *digest,
                             const char *media_type);
HttpReply registry_upload_start(HttpRequest *request);
HttpReply registry_upload_get(HttpRequest *request);
HttpReply registry_upload_patch(HttpRequest *request);
HttpReply registry_upload_put(HttpRequest *request);
HttpReply registry_upload_delete(HttpRequest *request);
extern const HttpSink REGISTRY_START_SINK; /* of registry_upload_start */
extern const HttpSink REGISTRY_PATCH_SINK; /* of registry_upload_patch */
extern const HttpSink REGISTRY_PUT_SINK;   /* of registry_upload_put */
