/* A server that a command talks to: --server URL, WAYBILL_SERVER. JSON over HTTP by libcurl, one
 * request after another on one connection.
 *
 * WAYBILL_TOKEN is sent as X-Auth-Token. An https address is verified by the system's
 * certificates, or by those of WAYBILL_CA_FILE. A request that could not be delivered is tried
 * again where that cannot do anything twice. Ctrl-C ends a request. */
#pragma once

#include <glib.h>
#include <jansson.h>

#include <sys/types.h>

#include "base/progress.h"

#define REMOTE_ERROR (remote_error_quark())
GQuark remote_error_quark(void);
typedef enum {
    REMOTE_ERROR_UNREACHABLE, /* nobody answers, or not as a waybill server does */
    REMOTE_ERROR_REFUSED,     /* 401, 403, 429: who asks */
    REMOTE_ERROR_NOT_FOUND,   /* 404 */
    REMOTE_ERROR_REQUEST,     /* 400, 409 and the like: what was asked */
    REMOTE_ERROR_SERVER,      /* 5xx */
    REMOTE_ERROR_STOPPED      /* progress.stop was set */
} RemoteError;

typedef struct Remote Remote;
/* url: http:// or https://, a path is allowed. progress, borrowed: what stops requests. NULL: the
 * address is none. */
Remote *remote_new(const char *url, const char *project, Progress *progress, GError **error);
void remote_free(Remote *remote);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Remote, remote_free)

/* The address, without a slash at its end, and the project. */
const char *remote_url(const Remote *remote);

/* What is asked: "/models/%s/events?after=%" PRId64 beneath /v1/{project}. Text arguments are
 * escaped by the caller (remote_escape). */
char *remote_path(const Remote *remote, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* As a segment of a path or a value of a query. The caller frees it. */
char *remote_escape(const char *text);

/* method: "GET", "POST", …; path: the whole one. body, or NULL, stays the caller's. The answer's
 * JSON, a new reference; NULL: *error, whose text is the server's error_msg. */
json_t *remote_call(Remote *remote, const char *method, const char *path, const json_t *body,
                    GError **error);

typedef struct {
    long status;
    GByteArray *body;
    GHashTable *headers; /* lower-case name -> value */
} RemoteAnswer;
void remote_answer_clear(RemoteAnswer *answer);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(RemoteAnswer, remote_answer_clear)

/* headers: ended by NULL, "Name: value", or NULL. Every status is an answer here. False: none
 * came. */
bool remote_ask(Remote *remote, const char *method, const char *path, const char *const *headers,
                RemoteAnswer *answer, GError **error);
/* A body of any size, read while it is sent: as read(2), less than 0 breaks the request off. */
typedef struct {
    ssize_t (*read)(gpointer data, void *buffer, size_t size);
    gpointer data;
    int64_t size;
} RemoteBody;
/* PUT, as remote_ask; never tried again. */
bool remote_send(Remote *remote, const char *path, const char *const *headers,
                 const RemoteBody *body, RemoteAnswer *answer, GError **error);
/* For another thread: a Remote and what it asks belong to one. */
Remote *remote_copy(const Remote *remote);

/* What an answer of 400 and above means. */
void remote_answer_error(const Remote *remote, const RemoteAnswer *answer, GError **error);
