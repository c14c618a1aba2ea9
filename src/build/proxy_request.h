/* A request's head as a proxy sees it (RFC 9110 section 7.6, RFC 9112 section 3.2). */
#pragma once

#include <glib.h>
#include <stdbool.h>

#define PROXY_HEAD_BYTES 32768

typedef struct {
    bool connect;
    char *host; /* HOST:PORT, lower case */
    char *name; /* without the port and brackets */
    char *port;
    char *url;  /* as it was asked for; of CONNECT NULL */
    char *path; /* of a plain request: "/…" */
    char *method;
    char *fields; /* the other header fields, without those of the connection and Host */
} ProxyRequest;

/* head: up to and without the empty line. False: it is no request that a proxy takes. */
bool proxy_request_parse(const char *head, ProxyRequest *request);
void proxy_request_clear(ProxyRequest *request);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(ProxyRequest, proxy_request_clear)
