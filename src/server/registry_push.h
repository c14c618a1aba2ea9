/* A blob on its way into a repository, as one request brings it: what POST, PATCH and PUT of
 * /v2/NAME/blobs/uploads/ share. */
#pragma once

#include "server/byte_range.h"
#include "server/registry.h"

typedef struct {
    Server *server;
    Repository *repository;
    Caller *caller;
    char *request_id;
    char *id;           /* of the session; NULL: there is none (yet) */
    char *digest;       /* that the blob is to have; NULL: more of it comes */
    char *mount;        /* the digest of a blob that another repository has; or NULL */
    char *from;         /* that repository's path */
    PushWriter *writer; /* NULL: no byte is taken */
    ByteRange range;    /* Content-Range; length -1: it is not given */
    int64_t most;       /* bytes that the blob may have */
    int64_t looked, touched;
    HttpReply fault;  /* what the handler answers at the end */
    bool aside;       /* the work that ends it was begun */
    HttpReply answer; /* of that work */
} Push;

/* A Push as the request's state; NULL: *reply. */
Push *push_begin(HttpRequest *request, Service *service, HttpReply *reply);
/* HttpSink.data. */
bool push_data(HttpRequest *request, const void *data, size_t size);
/* Whether there is room for so many further bytes; without a response: there is. */
HttpReply push_check_room(const Push *push, const Service *service, int64_t needed);
/* ?digest= as push->digest. */
HttpReply push_read_digest(const HttpRequest *request, Push *push);
/* Opens the writer where the request's body belongs. */
HttpReply push_open(const HttpRequest *request, Push *push, const Service *service);
/* Docker-Upload-UUID, Location, and Range of what is here. */
void push_set_place(HttpReply *reply, const Repository *repository, const char *id, int64_t size);
/* The end of a body that completes the blob: publishes it aside, then answers. */
HttpReply push_complete(HttpRequest *request);
/* 201, where the repository has the blob. */
HttpReply push_created(const Repository *repository, const char *digest);
HttpReply push_failed(const GError *error);
/* What stands in push->fault, or in push->answer: the caller's. */
HttpReply push_take(HttpReply *reply);
