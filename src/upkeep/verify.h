/* Hashes again what is kept (kept.h), and looks at the store's own structures. Each damage is a
 * finding: event 40, kind store_lost, whose evidence names the blob, what was found, who needs it
 * and the commands that mend it. */
#pragma once

#include "event/finding.h"
#include "import/service.h"
#include "store/models.h"

typedef struct {
    int blobs;
    int64_t bytes;
    int dropped; /* damaged files that were removed */
} VerifyResult;

/* model NULL: every model and runtime. drop: removes the files of damaged blobs, which an import
 * would take for whole, so that it writes them anew. G_IO_ERROR_CANCELLED: progress.stop was seen.
 * gc waits meanwhile. */
bool verify_run(Service *service, const Model *model, bool drop, VerifyResult *result,
                Findings *findings, GError **error);
