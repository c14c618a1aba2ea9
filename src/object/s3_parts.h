/* An upload in parts (S3's multipart upload), as s3_copy.c and s3_writer.c use it. */
#pragma once

#include "object/s3_private.h"

#define S3_PARTS_MAX 9000 /* services take 10,000 */

typedef struct {
    S3 *s3;
    const char *key, *origin; /* borrowed */
    char *id;                 /* NULL: not begun */
    GPtrArray *etags;         /* char *, one a part */
} S3Parts;

bool s3_parts_begin(S3Parts *parts, S3 *s3, const char *key, const char *origin, GError **error);
/* The next part: bytes, or (headers: x-amz-copy-source…) what the service copies. */
bool s3_parts_add(S3Parts *parts, const void *data, size_t size, const char *const *headers,
                  GError **error);
bool s3_parts_finish(S3Parts *parts, GError **error);
/* Gives up what was not finished. */
void s3_parts_clear(S3Parts *parts);

/* A request whose answer is XML with that root: a service that fails late says so behind a 200. */
bool s3_ask_xml(S3 *s3, const S3Ask *ask, const char *root, S3Answer *answer, GError **error);
