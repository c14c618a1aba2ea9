/* A repository of a registry (OCI distribution-spec 1.1), over libcurl.
 *
 * What every request shares: bearer and basic authentication, with a fresh token when one was
 * refused; retries with growing waits and jitter where the registry is busy or failing, or the
 * connection broke (registry.retries), Retry-After obeyed as long as it is bearable; proxies from
 * the environment; certificates of registry.ca_file. Credentials go to the registry, and to the
 * token service that it names when that has the registry's own host name or stands in
 * registry.token_hosts; a redirect to another host gets none of them. Memory does not grow with
 * what is transferred.
 *
 * Errors: IMAGE_ERROR for what the registry says it does not have, or sends damaged; REGISTRY_ERROR
 * when it could not be asked; G_IO_ERROR_CANCELLED: progress->stop. Of the last failure
 * registry_failure tells what an event has to.
 *
 * Not for several threads at once. */
#pragma once

#include "base/progress.h"
#include "base/settings.h"
#include "image/reference.h"
#include "image/registry_login.h"
#include "image/source.h"

#define REGISTRY_ERROR (registry_error_quark())
GQuark registry_error_quark(void);
typedef enum {
    REGISTRY_ERROR_LOGIN,       /* 401, also with a fresh token */
    REGISTRY_ERROR_DENIED,      /* 403 */
    REGISTRY_ERROR_NOT_FOUND,   /* 404 of a repository */
    REGISTRY_ERROR_THROTTLED,   /* 429, after all retries */
    REGISTRY_ERROR_SERVER,      /* 5xx, after all retries */
    REGISTRY_ERROR_UNREACHABLE, /* no connection, TLS, a connection that broke */
    REGISTRY_ERROR_MALFORMED,   /* an answer that the specification does not know */
    REGISTRY_ERROR_UPLOAD_TORN, /* bytes have to come again: registry_push.h */
    REGISTRY_ERROR_UPLOAD_LOST, /* a torn upload cannot go on: registry_push.h */
} RegistryErrorCode;

/* What was asked for. */
typedef enum {
    REGISTRY_TAGS,
    REGISTRY_MANIFEST,
    REGISTRY_BLOB,
    REGISTRY_UPLOAD, /* of a blob or a manifest */
} RegistryPart;

/* The request that failed last, as it was tried last. Texts may be NULL. */
typedef struct {
    RegistryPart part;
    char *method, *url;      /* without what stands behind a '?' */
    long status;             /* 0: there was no answer */
    char *code, *message;    /* the first of the registry's own errors */
    const char *unreachable; /* "refused", "dns", "tls", "timeout", "broken"; static */
    char *reason;            /* libcurl's words for it */
    char *host, *ip;         /* that was asked: the registry, or where it led */
    int tries;
    int64_t waited_ms;     /* from the first try to the last answer */
    int64_t retry_at;      /* ms since 1970; 0: the registry did not say */
    char *challenge_error; /* of WWW-Authenticate or the token service */
    bool anonymous;
    char *user;
    const char *login_origin; /* RegistryLogin's */
    int64_t noted_at;         /* µs, monotonic; 0: none failed */
    int64_t clock_skew_s;     /* how far the registry's clock is ahead of ours */
} RegistryFailure;

typedef struct Registry Registry;

/* Opens the repository of a reference; nothing is asked yet. login: taken over, NULL: anonymous.
 * progress (may be NULL): its stop ends every wait. */
Registry *registry_open(const Settings *settings, const Reference *reference, RegistryLogin *login,
                        Progress *progress, GError **error);
void registry_free(Registry *registry);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Registry, registry_free)

/* The repository as a source; its own. */
ImageSource *registry_source(Registry *registry);
/* HOST[:PORT] and the repository as it is called there. */
const char *registry_host(const Registry *registry);
const char *registry_repository(const Registry *registry);
const RegistryFailure *registry_failure(const Registry *registry);
