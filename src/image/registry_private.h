/* What the files that implement registry.h share.
 *
 *   registry.c        opening, tags, manifests; the registry as a source
 *   registry_http.c   one request and its answer: tries, waits, redirects, what failed
 *   registry_token.c  who we are there: challenges, token services
 *   registry_blob.c   a blob as it comes
 *   registry_push.c   requests that push; registry_upload.c a blob as it goes */
#pragma once

#include <curl/curl.h>

#include "image/challenge.h"
#include "image/registry.h"

struct Registry {
    ImageSource source;
    char *host, *repository;
    char *name; /* HOST/REPOSITORY: what messages say */
    char *root; /* https://HOST: without a slash at its end */
    bool plain_http;
    RegistryLogin *login; /* NULL: anonymous */
    Progress *progress;   /* or NULL */
    CURL *curl;
    CURL *last; /* that transferred last: curl, or a blob's */
    char fault[CURL_ERROR_SIZE];
    bool ours; /* the one that keeps the images */
    bool near; /* its own address is this machine's or link-local */
    int retries, timeout_seconds;
    char *ca_file, *token_hosts;

    /* Authorization's value that was last accepted, or NULL; of a token, for which actions
     * ("pull", "pull,push") and until when (monotonic ms; 0: no token). */
    char *authorization, *actions;
    int64_t expires;

    RegistryPart asking; /* what for, at the moment */
    RegistryFailure failure;
    /* The manifest that was read last: resolving it and reading it are one request. */
    GBytes *manifest;
    char *manifest_digest;
    char *rehashed; /* what the last document that was damaged hashes to */
};

/* -- registry.c -- */

/* Adds the tags of one page of the list. NULL, or what is wrong with it; static. */
const char *registry_tags_read(const void *data, size_t size, GPtrArray *tags);
/* Of Link: </v2/NAME/tags/list?n=…&last=…>; rel="next" (RFC 8288; or NULL) the next page, as a path
 * at the registry of this root. NULL: there is none, or *fault says that it lies elsewhere. */
char *registry_tags_next(const char *link, const char *root, const char **fault);

/* -- registry_http.c -- */

typedef struct {
    RegistryPart part;
    const char *method;
    const char *url;            /* whole, or a path at the registry */
    const char *actions;        /* the token's: "pull", "pull,push"; NULL: no authentication */
    const char *const *headers; /* NULL-terminated, or NULL */
    const void *body;           /* or NULL */
    size_t body_size;
    size_t limit; /* bytes of the answer's body: more is REGISTRY_ERROR_MALFORMED */
    bool stays;   /* redirects are not followed */
    bool patient; /* the answer may take several times as long as others */
} RegistryRequest;

typedef struct {
    long status;
    GByteArray *body;
    GHashTable *headers; /* lower-case name -> value, of the last answer */
    Challenge challenge;
    size_t header_bytes;
    bool over; /* the body has more than the limit */
} RegistryAnswer;
void registry_answer_begin(RegistryAnswer *answer);
void registry_answer_clear(RegistryAnswer *answer);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(RegistryAnswer, registry_answer_clear)
/* A header line as libcurl hands it over; a status line begins anew. False: there are too many. */
bool registry_answer_take_header(RegistryAnswer *answer, const char *data, size_t size);
const char *registry_answer_header(const RegistryAnswer *answer, const char *name);

/* Asks until there is an answer that counts: any but 401, 429 and 5xx. False: *error, and the
 * failure is noted. */
bool registry_request(Registry *registry, const RegistryRequest *request, RegistryAnswer *answer,
                      GError **error);
/* One try of it, without authentication and waits: CURLE_OK when there was an answer. */
CURLcode registry_try(Registry *registry, const RegistryRequest *request, const char *authorization,
                      RegistryAnswer *answer);
/* The error that an answer deserves that is none of what was expected: 403, 404, …; notes the
 * failure. Always false. */
bool registry_refuse(Registry *registry, const RegistryRequest *request,
                     const RegistryAnswer *answer, GError **error);
/* What every transfer of this registry has: certificates, limits of time, what ends it, where a
 * redirect may lead. */
void registry_configure(Registry *registry, CURL *curl, char *fault);

/* Tries that are left, and the waits between them. */
typedef struct {
    int tries;
    int64_t began; /* monotonic ms */
} RegistryPatience;
/* After a try that failed: waits, as long as an answer (NULL: there was none) asks for it, and
 * returns true when it is worth another one. False: enough, or *error (G_IO_ERROR_CANCELLED). */
bool registry_wait(Registry *registry, RegistryPatience *patience, const RegistryAnswer *answer,
                   GError **error);
/* Whether another try could end otherwise than this one, which had no answer. */
bool registry_is_worth_a_try(const Registry *registry, CURLcode code, const char *fault);
/* Notes what failed. answer NULL: there was none, code says why. */
void registry_note(Registry *registry, const RegistryRequest *request,
                   const RegistryPatience *patience, const RegistryAnswer *answer, CURLcode code);
/* Whether progress->stop ended it. */
bool registry_is_stopped(const Registry *registry);
/* The error of what was noted. Always false. */
bool registry_fail(const Registry *registry, GError **error);
void registry_failure_clear(RegistryFailure *failure);

/* Moves what the other one noted here: it worked for this one, in another thread. */
void registry_take_failure(Registry *registry, Registry *from);

/* -- registry_push.c -- */

/* Where an answer says that an upload goes on: a path at this registry, or the URL of another
 * server, which gets no login. NULL: *error. The caller frees it. */
char *registry_location(const Registry *registry, const RegistryAnswer *answer, GError **error);
/* RegistryRequest.actions there. */
const char *registry_location_actions(const char *location);
/* Gives an upload up; a hint, whatever comes of it. */
void registry_upload_cancel(Registry *registry, const char *location);

/* -- registry_token.c -- */

/* Whether the value of Authorization that we have is good for these actions still. */
bool registry_is_authorized(const Registry *registry, const char *actions);
/* After a 401: gets what it asks for. False with *error unset: there is nothing (else) to log in
 * with. */
bool registry_authorize(Registry *registry, const Challenge *challenge, const char *actions,
                        GError **error);

/* -- registry_blob.c -- */

BlobReader *registry_open_blob(ImageSource *source, const Descriptor *blob, GError **error);

static inline Registry *registry_of(ImageSource *source)
{
    return (Registry *)source; /* its first member */
}
