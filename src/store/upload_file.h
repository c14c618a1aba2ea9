/* One file of an upload as it arrives.
 *
 * It is written to partial/, whose names are hashes of the paths, and moved to its place when it is
 * whole and durable: what lies under files/ is complete. Who writes it holds a lock that ends with
 * the process. What arrived of a file whose transfer broke off stays, to be gone on with.
 *
 * Errors have the domain IO_ERROR: EBUSY when another writer has the file, ENOSPC, ENOTDIR or
 * EISDIR where the upload has a file and a directory of one name, EBADMSG of another digest. */
#pragma once

#include "store/uploads.h"

typedef struct {
    int fd;
    int directory; /* uploads/DIRECTORY */
    char *path;    /* in the package; checked before (package_path_fault) */
    char *partial; /* beneath the directory */
    int64_t received;
    int64_t flushed; /* the disk was asked to write so much already */
} UploadWriter;

/* Goes on behind what has arrived. */
UploadWriter *upload_writer_open(const DataDirectory *data, const Upload *upload, const char *path,
                                 GError **error);
void upload_writer_free(UploadWriter *writer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(UploadWriter, upload_writer_free)

/* Forgets what arrived, and what is in its place. */
bool upload_writer_restart(UploadWriter *writer, GError **error);
bool upload_writer_write(UploadWriter *writer, const void *bytes, size_t size, GError **error);
/* What arrived is durable. */
bool upload_writer_sync(UploadWriter *writer, GError **error);
/* The SHA-256 of what arrived, read again from the file. NULL: *error. The caller frees it. */
char *upload_writer_digest(UploadWriter *writer, GError **error);
/* It is whole: durable, and in its place. */
bool upload_writer_finish(UploadWriter *writer, GError **error);
/* Removes what arrived. */
void upload_writer_drop(UploadWriter *writer);

/* Bytes that have arrived of a file that is not complete. */
int64_t upload_partial_bytes(const DataDirectory *data, const Upload *upload, const char *path);
