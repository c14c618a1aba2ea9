/* A bucket of an S3 service (AWS S3, Huawei OBS, Ceph radosgw, MinIO), over libcurl.
 *
 * Requests are signed by ourselves (s3_sign.h). Tried again with growing waits and jitter: 429, 500
 * and above (503 SlowDown), connections that break, bodies that are short. Proxies are those of the
 * environment, certificates those of objects.ca_file. A redirect is never followed: it would take a
 * signature elsewhere.
 *
 * Errors have the domain S3_ERROR; s3_failure tells of the last what an event has to.
 * G_IO_ERROR_CANCELLED: progress->stop. Not for several threads at once. */
#pragma once

#include <stdbool.h>

#include "base/progress.h"
#include "base/settings.h"
#include "object/s3_address.h"
#include "object/s3_sign.h"
#include "object/s3_xml.h"

#define S3_ERROR (s3_error_quark())
GQuark s3_error_quark(void);
typedef enum {
    S3_ERROR_NO_BUCKET,
    S3_ERROR_NO_KEY,
    S3_ERROR_DENIED,      /* 401, 403 */
    S3_ERROR_CHANGED,     /* the object is another one now (412) */
    S3_ERROR_THROTTLED,   /* 429, 503 after all tries */
    S3_ERROR_SERVER,      /* 5xx after all tries */
    S3_ERROR_UNREACHABLE, /* no connection, TLS, a connection that broke */
    S3_ERROR_SHORT_BODY,  /* fewer bytes came than were said, after all tries */
    S3_ERROR_CHECKSUM,    /* other bytes came, here or there, than were sent */
    S3_ERROR_MALFORMED,   /* an answer that makes no sense, or 4xx of another kind */
} S3ErrorCode;

/* The request that failed last, as it was tried last. Texts may be NULL. */
typedef struct {
    char *method, *url; /* without its query */
    const char *action; /* "list", "read", "write", "copy", …; static */
    bool of_bucket;     /* the request was of the bucket, not of an object */
    long status;        /* 0: there was no answer */
    char *code, *message, *request_id;
    const char *unreachable; /* "refused", "dns", "tls", "timeout", "broken"; static */
    char *reason;            /* libcurl's words for it, or what is wrong with the body */
    S3ErrorCode unanswered;  /* what it is when status is 0 */
    int tries;
    int64_t waited_ms, clock_skew_s;
} S3Failure;

/* How the service is reached. */
typedef struct {
    char *endpoint; /* http[s]://HOST[:PORT] */
    char *region;
    bool path_style;            /* ENDPOINT/BUCKET/KEY; else BUCKET.HOST/KEY */
    bool guarded;               /* no address of this machine or its networks is asked */
    S3Credentials *credentials; /* NULL: anonymous */
} S3Service;
void s3_service_free(S3Service *service);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(S3Service, s3_service_free)
/* From the settings objects.*, the usual AWS_* variables and the address, in this order. own: keys
 * of a project, taken over; else the service's own are used where `keys` allows it. NULL: *error
 * (S3_ADDRESS_ERROR): an endpoint that is none. */
S3Service *s3_service_of(const Settings *settings, const S3Address *address, S3Credentials *own,
                         bool keys, GError **error);

typedef struct S3 S3;
/* The service is taken over, progress (may be NULL) borrowed. */
S3 *s3_open(const Settings *settings, const S3Address *address, S3Service *service,
            Progress *progress, GError **error);
void s3_free(S3 *s3);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(S3, s3_free)
const S3Failure *s3_failure(const S3 *s3);
const S3Service *s3_service(const S3 *s3);
const char *s3_bucket(const S3 *s3);
Progress *s3_progress(const S3 *s3); /* or NULL */
/* Whether both are asked at the same place with the same keys. */
bool s3_is_same_service(const S3 *a, const S3 *b);

/* One page of the keys that begin with `prefix`, by bytes. token: the page before's next, or NULL.
 */
S3Page *s3_list(S3 *s3, const char *prefix, const char *token, GError **error);
/* Each object whose key begins with `prefix`, by bytes; `look` may take its texts, and returns
 * false when it has enough, or with *error. False: *error; a listing that does not end is one. */
typedef bool (*S3Look)(gpointer data, S3Object *object, GError **error);
bool s3_each(S3 *s3, const char *prefix, S3Look look, gpointer data, GError **error);

/* An object that is read from its first byte to its last, in parts that come several at once; as
 * long as it is the one with that ETag (""; any). */
typedef struct S3Reader S3Reader;
S3Reader *s3_read(S3 *s3, const char *key, const char *etag, int64_t size);
/* Up to size bytes, at least one; 0 at the end, -1 with *error. */
ssize_t s3_reader_read(S3Reader *reader, void *data, size_t size, GError **error);
void s3_reader_free(S3Reader *reader);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(S3Reader, s3_reader_free)
