/* Packages in object stores: with whose keys they are asked for, and where. */
#pragma once

#include "import/import.h"
#include "object/bucket.h"

/* The project's own keys for the service that the request's bucket is asked at (`waybill
 * credential`), into request->keys. Of other sources nothing. */
bool bucket_find_keys(Service *service, ImportRequest *request, GError **error);
/* Nothing is asked yet. Who asks over HTTP gets none of the service's own keys, and from a host
 * that he names himself no address of this machine or its networks. */
PackageSource *bucket_open(const Settings *settings, const ImportRequest *request,
                           Progress *progress, GError **error);
