/* What may be imported from when somebody asks over HTTP.
 *
 * server.import_roots bounds the server's own disk: file: and oci: lie beneath one of its
 * directories, links resolved, also where a package names an image itself. sources.allow narrows
 * that for each project: prefixes with blanks between them, in which {project} stands for the
 * project's id, so that one line serves any number of projects; PROJECT=PREFIX is for one alone.
 *
 *   sources.allow = file:///srv/models/{project} registry.example.com/{project}/
 *                   vision=oci:/srv/images
 *
 * Without sources.allow a server on a loopback address lets every project import from all of
 * server.import_roots, any other server from uploads only. Uploads are a project's own and always
 * allowed. The command line of this machine is not bounded. */
#pragma once

#include "base/settings.h"
#include "image/reference.h"
#include "import/request.h"

/* ImportRequest.asked_over */
#define ASKED_OVER_LOOPBACK "loopback"
#define ASKED_OVER_NETWORK  "network"

/* NULL, or the entry of sources.allow that is none. The caller frees it. */
char *sources_fault(const Settings *settings);
/* The same of a value for it. */
char *sources_entry_fault(const char *entries);
#define SOURCES_RULE "a prefix such as file:///DIR, oci:/DIR or s3://BUCKET, or PROJECT=PREFIX"

/* Whether the directory is there and lies beneath one of server.import_roots. */
bool sources_beneath_roots(const Settings *settings, const char *directory);
/* Whether the project may import from a location: file:///DIR, oci:DIR:TAG, upload://ID, or what
 * lies elsewhere. For the first two both rules count. */
bool sources_allow(const Settings *settings, bool loopback, const char *project,
                   const char *location);
/* Whether a request may import from its source, as a source_location writes it: one of those, or an
 * image reference, or a bucket. */
bool sources_allow_location(const Settings *settings, const ImportRequest *request);
/* The same of a bucket: s3://BUCKET/DIR is what entries are held against, or of an OBS address that
 * is not asked at objects.endpoint its https://BUCKET.HOST/DIR. The service's own copies
 * (objects.url) are nobody's source. */
bool sources_allow_bucket(const Settings *settings, const ImportRequest *request);
/* The same of a folder that a request names, by where it lies now, links resolved: they may lead
 * elsewhere than when the request was admitted. */
bool sources_allow_folder(const Settings *settings, const ImportRequest *request,
                          const char *directory);
/* The same of an OCI layout that a request or its package names, by its directory. */
bool sources_allow_layout(const Settings *settings, const ImportRequest *request,
                          const char *directory);
/* The same of a repository in a registry: HOST[:PORT]/REPOSITORY is what entries are held
 * against. */
bool sources_allow_registry(const Settings *settings, const ImportRequest *request,
                            const Reference *reference);
