/* Where a package lies: a folder, an upload, a bucket. Nobody outside of import/ includes this. */
#pragma once

#include "import/pipeline.h"

typedef struct {
    const ImportRequest *request; /* after import_request_resolve */
    const Settings *settings;
    Progress *progress; /* ends what an object store is waited for; or NULL */
} PlaceOfSource;

/* Opens it. *package stays NULL where it is not there, or not for this project: that is one of
 * *findings. What in it is no part of a package is added to *unsafe. False: *error. */
bool source_open_package(const PlaceOfSource *place, Findings *findings, Findings *unsafe,
                         Package **package, GError **error);
