/* Writes a blob whose digest is not known yet, at the speed of one pass.
 *
 * The caller's thread fills buffers and writes them; a second thread hashes them; eight buffers of
 * 1 MiB go round between the two. SHA-256 runs at about the speed at which a file is read and
 * written, so that the two together take hardly longer than the slower of them. */
#pragma once

#include "image/blob_sink.h"

typedef struct BlobPipe BlobPipe;

/* The sink is borrowed. */
BlobPipe *blob_pipe_new(BlobSink *sink, GError **error);
/* What was not committed is the sink's to drop. */
void blob_pipe_free(BlobPipe *pipe);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BlobPipe, blob_pipe_free)

/* Where the next bytes go, and how many at most (never 0): they are the blob's once
 * blob_pipe_advance has counted them. */
void *blob_pipe_room(BlobPipe *pipe, size_t *size);
bool blob_pipe_advance(BlobPipe *pipe, size_t size, GError **error);
/* The same for bytes that lie somewhere already. */
bool blob_pipe_append(BlobPipe *pipe, const void *data, size_t size, GError **error);
/* Bytes so far. */
int64_t blob_pipe_size(const BlobPipe *pipe);

/* What comes between these two has a digest of its own as well. */
void blob_pipe_begin_file(BlobPipe *pipe);
void blob_pipe_end_file(BlobPipe *pipe);

/* After the last byte: the blob's digest. The caller's. */
char *blob_pipe_finish(BlobPipe *pipe, GError **error);
/* After blob_pipe_finish: the digests of the files, in their order (of char *). The caller's. */
GPtrArray *blob_pipe_take_file_digests(BlobPipe *pipe);
/* After blob_pipe_finish: the blob is there under its digest (BlobSink.commit). */
bool blob_pipe_commit(BlobPipe *pipe, bool *existed, GError **error);
