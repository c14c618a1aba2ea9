/* What a sandbox and its helper (sandbox_helper.c) say to each other, over a SOCK_SEQPACKET. */
#pragma once

#include <stdint.h>

/* In the scratch directory: it is there once the runtime has started the command. */
#define SANDBOX_PID_FILE "/pid"

#define SANDBOX_SOCKET 3 /* the helper's file descriptor */

enum {
    /* to the helper */
    SANDBOX_RUN,           /* id: starts the bundle */
    SANDBOX_DELETE,        /* id: forgets the container, once it has ended */
    SANDBOX_SOCKET_PLEASE, /* a TCP socket of the sandbox's network */
    /* from it */
    SANDBOX_READY,       /* with the upper directory and, for a proxy, a listening socket */
    SANDBOX_FAILED,      /* value: errno, 0: the text says it all; text: what */
    SANDBOX_ENDED,       /* value: the runtime's exit status, as wait(2) tells it; cpu_ms, peak */
    SANDBOX_SOCKET_MADE, /* with the socket, or value: errno */
};

typedef struct {
    int32_t op, value;
    int64_t cpu_ms; /* of all of its processes */
    int64_t peak;   /* bytes in memory of the one that had most */
    char text[512];
} SandboxMessage;

typedef enum { SANDBOX_NETWORK_NONE, SANDBOX_NETWORK_PROXY, SANDBOX_NETWORK_HOST } SandboxNetwork;
#define SANDBOX_PROXY_PORT 3128
