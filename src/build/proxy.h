/* The only way out of a sandbox whose network is `proxy`: an HTTP proxy in the worker that lets
 * index and mirror hosts through, by name and port, and nothing else. It listens on a socket of the
 * sandbox's own loopback (SandboxReady); nothing outside the sandbox reaches it. */
#pragma once

#include <glib.h>

typedef struct {
    int listener;           /* borrowed: must stay open until proxy_free */
    const GPtrArray *hosts; /* of char *: HOST:PORT, lower case */
    /* Proxies of the host's own network, "http://[USER:PASSWORD@]HOST[:PORT]", or ""; hosts that
     * are reached without them, separated by commas. */
    const char *http_proxy, *https_proxy, *no_proxy;
} ProxySpec;

typedef struct Proxy Proxy;
Proxy *proxy_new(const ProxySpec *spec, GError **error);
/* Ends all connections. */
void proxy_free(Proxy *proxy);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Proxy, proxy_free)
/* The HOST:PORT that was asked for last and not let through; NULL: none. The caller frees it. */
char *proxy_blocked(Proxy *proxy);
