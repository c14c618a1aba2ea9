/* The HTTP server beneath the API: connections, their limits, requests with their bodies, replies.
 *
 * A request is handed to its route's handler by a thread of the pool once its body is there. The
 * handler answers, or lets its connection wait (server/hub.h) and is called again when it goes on.
 * Nobody outside can hold a thread: headers, bodies and idle connections have limits of time and
 * size. */
#pragma once

#include <glib.h>
#include <jansson.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"
#include "server/target.h"
#include "store/caller.h"

#define HTTP_MAX_ARGUMENTS 4
#define HTTP_BODY_BYTES    (4 << 20) /* of a request that is JSON */

typedef struct Server Server;
typedef struct HttpRequest HttpRequest;
typedef struct SignedRequest SignedRequest;

typedef struct {
    unsigned status;
    struct MHD_Response *response; /* NULL: the connection waits, the handler is called again */
} HttpReply;
#define HTTP_WAITS ((HttpReply){0})

typedef HttpReply (*HttpHandler)(HttpRequest *request);
/* An error in the words of another API than ours. */
typedef HttpReply (*HttpErrorFunc)(unsigned status, const char *message);

/* Who may ask for a route. What a row does not say is for administrators. */
typedef enum {
    HTTP_OPERATOR, /* an admin of every project; what a row that says nothing gets */
    HTTP_ADMIN,
    HTTP_WRITER,
    HTTP_READER,
    HTTP_PUBLIC, /* whoever reaches the server: the request has no caller */
} HttpAccess;
/* How a route takes a body of any size: as it arrives, while the client waits for whoever is
 * slower. A body that breaks off ends with the request's state_free, and no other call. */
typedef struct {
    /* Before the body is read: a reply with a response refuses it. */
    HttpHandler begin;
    /* False: the rest is read and dropped. The route's handler answers at the end, either way. */
    bool (*data)(HttpRequest *request, const void *data, size_t size);
} HttpSink;

typedef struct {
    const char *method;
    /* "/v1/{project_id}/models": a braced segment is any, and an argument; "{path...}" takes one
     * or more, joined by slashes, as many as those that follow it leave. */
    const char *path;
    HttpHandler run;
    gsize body_limit; /* 0: it takes no body */
    HttpAccess access;
    const HttpSink *sink; /* takes the body in place of request->body, and has limits of its own */
} HttpRoute;

struct HttpRequest {
    Server *server;
    struct MHD_Connection *connection;
    const char *method;
    Target *target;
    const char *target_fault; /* why it is none */
    HttpErrorFunc error;      /* of HttpOptions.error_prefix; NULL: http_error's words */
    const HttpRoute *route;
    const char *arguments[HTTP_MAX_ARGUMENTS]; /* the braced segments, in order */
    char *rest;                                /* the argument that a "{path...}" is */
    GByteArray *body;                          /* or NULL */
    bool body_too_large;
    bool body_refused;   /* by the sink: the rest is dropped */
    uint64_t body_bytes; /* that the sink was given */
    Digest *body_hash;   /* of what arrived; NULL: nobody asked (http_hash_body) */
    Caller *caller;      /* who asks, once it was admitted; its own */
    const char *actor;   /* caller->user: stands on events and jobs */
    HttpReply denied;    /* the answer once a signed body was verified; without a response: none */
    SignedRequest *signing; /* until its body was verified (signed.h); NULL: it is not signed */
    char id[37];            /* X-Request-Id */
    int64_t began;          /* monotonic ms */
    unsigned status;        /* once it was answered */
    gpointer state;         /* a waiting handler's own */
    GDestroyNotify state_free;
    bool begun;
    bool is_stream; /* its answer has no end of its own */
};

const char *http_header(const HttpRequest *request, const char *name);
const char *http_query(const HttpRequest *request, const char *name);
/* The address that the connection comes from, as text. The caller frees it. */
char *http_client_address(const HttpRequest *request);
/* Whether texts are wanted in Chinese: X-Language, else Accept-Language. */
bool http_wants_chinese(const HttpRequest *request);

/* Has the body hashed on its way; asked for before it is read, by `admit` or a sink's begin. */
void http_hash_body(HttpRequest *request);
/* "sha256:…" of the whole body, for the route's handler; once. The caller frees it. NULL: nobody
 * asked. */
char *http_body_digest(HttpRequest *request);

/* -- replies -- */

/* Takes the JSON over. */
HttpReply http_json(unsigned status, json_t *json);
/* Takes the text over. */
HttpReply http_text(unsigned status, const char *media_type, char *text, gsize length);
HttpReply http_error(unsigned status, const char *code, const char *format, ...)
    G_GNUC_PRINTF(3, 4);
/* What is answered before a handler runs: in the words of the API that the path belongs to. */
HttpReply http_refuse(const HttpRequest *request, unsigned status, const char *code,
                      const char *format, ...) G_GNUC_PRINTF(4, 5);
void http_set_header(HttpReply *reply, const char *name, const char *value);
/* Says when to ask again: Retry-After. */
HttpReply http_again(HttpReply reply, int seconds);
/* 503, for what db_error_passes: clients ask again by themselves. */
#define HTTP_STORE_AWAY "the store does not answer at the moment: ask again in a second"

/* -- the server -- */

typedef struct HttpServer HttpServer;
typedef struct {
    const char *listen;             /* HOST:PORT, [::1]:PORT; port 0: any that is free */
    const char *tls_cert, *tls_key; /* PEM text, both or none; NULL: plain HTTP */
    bool *on_loopback;  /* set before the first request comes: only this machine reaches it */
    bool loopback_only; /* any other address: G_IO_ERROR_PERMISSION_DENIED */
    int threads;
    /* How long a request's head may take, its body, and how long nothing may move at all. */
    int header_seconds, body_seconds, silent_seconds;
    const HttpRoute *routes; /* ended by a row without a method */
    /* Paths that begin so belong to an API with errors of its own. */
    const char *error_prefix;
    HttpErrorFunc error;
    /* Called before the body is read; a reply with a response refuses the request. May be NULL. */
    HttpHandler admit;
    /* Called when a request was answered and its connection is free again. */
    void (*ended)(const HttpRequest *request);
} HttpOptions;

HttpServer *http_start(Server *server, const HttpOptions *options, GError **error);
/* "http://127.0.0.1:8420". */
const char *http_address(const HttpServer *http);
/* No further connection is taken. */
void http_quiesce(HttpServer *http);
/* Open connections that are in the middle of a request. */
int http_busy(HttpServer *http);
/* Nothing waits any more (hub_close). Cuts what is still open. */
void http_stop(HttpServer *http);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(HttpServer, http_stop)
