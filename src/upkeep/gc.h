/* Removes what nothing refers to: blobs that no model, no runtime and no pushed manifest needs
 * (kept.h; a pushed blob without a manifest stays upload.expire_hours), left-overs of writers that
 * are gone, what the store remembers about layers that are gone, and the rows of
 * models that were deleted more than store.deleted_days (or store.events_days) ago, and the events
 * and build logs of attempts that are as old as store.events_days and that others followed.
 *
 * It holds the layout's lock alone, so that it never meets a blob whose row is still to be
 * written. */
#pragma once

#include "import/service.h"

/* What is gc's of a store that several nodes share, and of each node's own data directory. */
typedef enum {
    GC_OF_STORE = 1,     /* images in a registry, copies in the bucket, timelines and events */
    GC_OF_DIRECTORY = 2, /* blobs, unpacked layers, left-overs, files of uploads */
    GC_OF_BOTH = 3,
} GcPart;

typedef struct {
    bool busy;  /* somebody works in the layout of a registry's images */
    int images; /* of deleted models, in the registry that keeps them */
    int copies; /* of the model files of deleted models, in the service's own bucket */
    int64_t copy_bytes;
    bool refused;               /* that registry lets nobody delete, or not us */
    int blobs, temporary, kept; /* how many; temporary: left-over files */
    int models;                 /* deleted long ago, whose timelines go */
    int attempts;               /* of others, whose events are too old */
    int uploads;                /* that expired, or were left over */
    int64_t upload_bytes;
    int digests; /* files whose layer is gone: they will be read again */
    int64_t blob_bytes, temporary_bytes, kept_bytes;
} GcResult;

/* Both parts. dry_run: counts, and changes nothing. IMAGE_ERROR: a runtime cannot be read, and
 * nothing was removed. */
bool gc_run(Service *service, bool dry_run, GcResult *result, GError **error);
/* The same of that part, but it does not wait long for who works in the layout: result->busy, and
 * what lies there is left as it is. service->progress.stop ends the wait. */
bool gc_try(Service *service, GcPart part, GcResult *result, GError **error);
/* The uploads alone, pushes to the registry too: those that nobody wrote to for upload.expire_hours
 * and no import needs. Adds to the result. What the server does by itself, too. */
bool gc_uploads(Service *service, bool dry_run, GcResult *result, GError **error);
