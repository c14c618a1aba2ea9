/* Writing to a bucket of an S3 service. An object of ours carries what it was made of (its origin),
 * so that it need not be made again. Errors and retries as in s3.h. */
#pragma once

#include "object/s3.h"

/* 403 where the bucket is another account's. */
bool s3_has_bucket(S3 *s3, bool *there, GError **error);
/* *created false: it was there, and ours. */
bool s3_create_bucket(S3 *s3, bool *created, GError **error);

/* Its size and origin (NULL: it has none; the caller frees it). *found false: there is no object.
 */
bool s3_head(S3 *s3, const char *key, bool *found, int64_t *size, char **origin, GError **error);
bool s3_put(S3 *s3, const char *key, const char *origin, const void *data, size_t size,
            GError **error);
/* What is not there counts as deleted. */
bool s3_delete(S3 *s3, const char *key, GError **error);

/* An object of another bucket of the service, copied there, in parts where it is large; as long as
 * it is the one with that ETag ("": any). */
typedef struct {
    const char *bucket, *key, *etag;
    int64_t size;
} S3Original;
bool s3_copy(S3 *s3, const S3Original *original, const char *key, const char *origin,
             GError **error);

/* Lets the bucket's owner do everything with it. *supported false: the bucket knows no ACLs, and
 * its owner has every right as it is. */
bool s3_grant_owner(S3 *s3, const char *key, bool *supported, GError **error);

/* Gives up the uploads in parts that were begun at keys with that prefix. */
bool s3_abort_uploads(S3 *s3, const char *prefix, GError **error);

/* An object of `size` bytes that are written as they come; in parts where they are many. There is
 * no object before s3_writer_finish, and none without it. */
typedef struct S3Writer S3Writer;
S3Writer *s3_write(S3 *s3, const char *key, const char *origin, int64_t size);
bool s3_writer_write(S3Writer *writer, const void *data, size_t size, GError **error);
bool s3_writer_finish(S3Writer *writer, GError **error);
void s3_writer_free(S3Writer *writer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(S3Writer, s3_writer_free)
