/* Where packages come from: the settings, and in embedded mode pip's own environment and pip.conf
 * and the host's apt sources. What a build may reach over the network follows from it. */
#pragma once

#include "base/settings.h"
#include "build/sandbox_wire.h"

typedef struct {
    char *index;             /* URL, or NULL: none is known */
    GPtrArray *extra;        /* of char *: further indexes */
    GPtrArray *links;        /* of char *: URLs, and directories of the host (absolute) */
    GPtrArray *trusted;      /* of char *: HOST[:PORT] without a check of its certificate */
    char *mirror, *security; /* of apt; NULL: the base image's own sources count, if anything */
    char *ca_file;           /* or NULL */
    SandboxNetwork network;
    GPtrArray *hosts; /* of char *: HOST:PORT that a proxy lets through */
} PackageSources;

/* embedded: whether the host's own configuration counts. */
PackageSources *package_sources(const Settings *settings, bool embedded, GError **error);
void package_sources_free(PackageSources *sources);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PackageSources, package_sources_free)

/* Whether pip, or apt, can get a package that is not in model/. */
bool package_sources_pip(const PackageSources *sources);
bool package_sources_apt(const PackageSources *sources);
/* The same as one text, for the cache key and for people: without credentials. The caller frees
 * it. */
char *package_sources_text(const PackageSources *sources);
/* The host's proxies on the way to them: of http, of https, and what is reached without; "": none.
 * The setting, or where that is empty the environment. Borrowed. */
typedef enum { PACKAGE_PROXY_HTTP, PACKAGE_PROXY_HTTPS, PACKAGE_PROXY_NONE } PackageProxy;
const char *package_proxy(const Settings *settings, PackageProxy which);
/* HOST:PORT of a URL, lower case; NULL: it has none. The caller frees it. */
char *package_host(const char *url);
