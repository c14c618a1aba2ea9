#include "object/s3_write.h"

#include <string.h>

#include "object/s3_parts.h"

#define COPY_ONCE  ((int64_t)1 << 30) /* larger ones are copied in parts: services take 5 GiB */
#define COPY_PART  ((int64_t)512 << 20)
#define WRITE_PART ((int64_t)8 << 20)
#define NO_REGION  "us-east-1" /* the one that is not named when a bucket is created */

/* -- buckets -- */

bool s3_has_bucket(S3 *s3, bool *there, GError **error)
{
    g_autoptr(GError) failure = NULL;
    const S3Ask ask = {.method = "HEAD", .action = "list"};
    g_auto(S3Answer) answer = {0};
    *there = s3_ask(s3, &ask, &answer, &failure);
    if (*there || (failure->domain == S3_ERROR && s3_failure(s3)->status == 404))
        return true;
    g_propagate_error(error, g_steal_pointer(&failure));
    return false;
}

bool s3_create_bucket(S3 *s3, bool *created, GError **error)
{
    g_autoptr(GError) failure = NULL;
    const char *region = s3_service(s3)->region;
    g_autofree char *escaped = g_markup_escape_text(region, -1);
    g_autofree char *xml =
        strcmp(region, NO_REGION) == 0
            ? NULL
            : g_strdup_printf("<CreateBucketConfiguration><LocationConstraint>%s"
                              "</LocationConstraint></CreateBucketConfiguration>",
                              escaped);
    const S3Ask ask = {.method = "PUT",
                       .action = "create",
                       .body = xml,
                       .size = xml ? strlen(xml) : 0};
    g_auto(S3Answer) answer = {0};
    *created = s3_ask(s3, &ask, &answer, &failure);
    if (*created || g_strcmp0(s3_failure(s3)->code, "BucketAlreadyOwnedByYou") == 0)
        return true;
    g_propagate_error(error, g_steal_pointer(&failure));
    return false;
}

/* -- objects -- */

bool s3_head(S3 *s3, const char *key, bool *found, int64_t *size, char **origin, GError **error)
{
    g_autoptr(GError) failure = NULL;
    const S3Ask ask = {.method = "HEAD", .action = "read", .key = key};
    g_auto(S3Answer) answer = {0};
    *found = s3_ask(s3, &ask, &answer, &failure);
    if (!*found && !(failure->domain == S3_ERROR && s3_failure(s3)->status == 404)) {
        g_propagate_error(error, g_steal_pointer(&failure));
        return false;
    }
    *size = *found ? answer.size : -1;
    *origin = *found ? g_steal_pointer(&answer.origin) : NULL;
    return true;
}

bool s3_put(S3 *s3, const char *key, const char *origin, const void *data, size_t size,
            GError **error)
{
    g_autofree char *header = g_strconcat(S3_ORIGIN_HEADER ":", origin, NULL);
    const char *headers[] = {header, NULL};
    const S3Ask ask = {.method = "PUT",
                       .action = "write",
                       .key = key,
                       .headers = headers,
                       .body = data,
                       .size = size};
    g_auto(S3Answer) answer = {0};
    return s3_ask(s3, &ask, &answer, error);
}

bool s3_delete(S3 *s3, const char *key, GError **error)
{
    g_autoptr(GError) failure = NULL;
    const S3Ask ask = {.method = "DELETE", .action = "delete", .key = key};
    g_auto(S3Answer) answer = {0};
    if (s3_ask(s3, &ask, &answer, &failure) ||
        (failure->domain == S3_ERROR && s3_failure(s3)->status == 404))
        return true;
    g_propagate_error(error, g_steal_pointer(&failure));
    return false;
}

/* Of what knows no ACLs: AWS's buckets with "ACLs disabled", and services without them. */
static bool knows_no_acls(const S3Failure *failure)
{
    static const char *const CODES[] = {"AccessControlListNotSupported", "NotImplemented",
                                        "MethodNotAllowed", NULL};
    return failure->status == 501 || (failure->code && g_strv_contains(CODES, failure->code));
}

bool s3_grant_owner(S3 *s3, const char *key, bool *supported, GError **error)
{
    static const char *const QUERY[] = {"acl", "", NULL};
    static const char *const HEADERS[] = {"x-amz-acl:bucket-owner-full-control", NULL};
    g_autoptr(GError) failure = NULL;
    const S3Ask ask = {.method = "PUT",
                       .action = "set the ACL of",
                       .key = key,
                       .query = QUERY,
                       .headers = HEADERS};
    g_auto(S3Answer) answer = {0};
    *supported = s3_ask(s3, &ask, &answer, &failure);
    if (*supported || (failure->domain == S3_ERROR && knows_no_acls(s3_failure(s3))))
        return true;
    g_propagate_error(error, g_steal_pointer(&failure));
    return false;
}

/* -- copies on the service's side -- */

/* x-amz-copy-source and, where the object's ETag is known, the condition that it has it still. */
static void copy_headers(const S3Original *original, char *headers[4])
{
    g_autofree char *key = s3_escape(original->key, TRUE);
    headers[0] = g_strdup_printf("x-amz-copy-source:/%s/%s", original->bucket, key);
    headers[1] = *original->etag
                     ? g_strdup_printf("x-amz-copy-source-if-match:\"%s\"", original->etag)
                     : NULL;
    headers[2] = headers[3] = NULL;
}

static void append_header(char *headers[4], char *header)
{
    headers[headers[1] ? 2 : 1] = header;
}

static bool copy_once(S3 *s3, char *headers[4], const char *key, const char *origin, GError **error)
{
    g_autofree char *header = g_strconcat(S3_ORIGIN_HEADER ":", origin, NULL);
    const char *all[6] = {"x-amz-metadata-directive:REPLACE", header};
    for (int i = 0; headers[i]; i++)
        all[2 + i] = headers[i];
    const S3Ask ask = {.method = "PUT", .action = "copy", .key = key, .headers = all};
    g_auto(S3Answer) answer = {0};
    return s3_ask_xml(s3, &ask, "CopyObjectResult", &answer, error);
}

static bool copy_parts(S3Parts *parts, char *headers[4], int64_t size, GError **error)
{
    for (int64_t begin = 0; begin < size; begin += COPY_PART) {
        g_autofree char *range =
            g_strdup_printf("x-amz-copy-source-range:bytes=%" G_GINT64_FORMAT "-%" G_GINT64_FORMAT,
                            begin, MIN(begin + COPY_PART, size) - 1);
        append_header(headers, range);
        bool added = s3_parts_add(parts, NULL, 0, (const char *const *)headers, error);
        append_header(headers, NULL);
        if (!added)
            return false;
    }
    return s3_parts_finish(parts, error);
}

bool s3_copy(S3 *s3, const S3Original *original, const char *key, const char *origin,
             GError **error)
{
    char *headers[4];
    S3Parts parts = {0};
    copy_headers(original, headers);
    bool done = original->size <= COPY_ONCE
                    ? copy_once(s3, headers, key, origin, error)
                    : s3_parts_begin(&parts, s3, key, origin, error) &&
                          copy_parts(&parts, headers, original->size, error);
    s3_parts_clear(&parts);
    for (int i = 0; headers[i]; i++)
        g_free(headers[i]);
    return done;
}

/* -- an object as its bytes come -- */

struct S3Writer {
    S3 *s3;
    char *key, *origin;
    int64_t size;
    size_t part_size, filled;
    unsigned char *part;
    S3Parts parts;
};

S3Writer *s3_write(S3 *s3, const char *key, const char *origin, int64_t size)
{
    S3Writer *writer = g_new0(S3Writer, 1);
    writer->s3 = s3;
    writer->key = g_strdup(key);
    writer->origin = g_strdup(origin);
    writer->size = size;
    writer->part_size = (size_t)MAX(MIN(size, WRITE_PART), size / S3_PARTS_MAX + 1);
    writer->part = g_malloc(writer->part_size);
    return writer;
}

static bool send_part(S3Writer *writer, GError **error)
{
    if (!writer->parts.etags &&
        !s3_parts_begin(&writer->parts, writer->s3, writer->key, writer->origin, error))
        return false;
    size_t size = writer->filled;
    writer->filled = 0;
    return s3_parts_add(&writer->parts, writer->part, size, NULL, error);
}

bool s3_writer_write(S3Writer *writer, const void *data, size_t size, GError **error)
{
    const unsigned char *bytes = data;
    while (size > 0) {
        if (writer->filled == writer->part_size && !send_part(writer, error))
            return false;
        size_t taken = MIN(size, writer->part_size - writer->filled);
        memcpy(writer->part + writer->filled, bytes, taken);
        writer->filled += taken;
        bytes += taken;
        size -= taken;
    }
    return true;
}

bool s3_writer_finish(S3Writer *writer, GError **error)
{
    if (!writer->parts.etags)
        return s3_put(writer->s3, writer->key, writer->origin, writer->part, writer->filled, error);
    return send_part(writer, error) && s3_parts_finish(&writer->parts, error);
}

void s3_writer_free(S3Writer *writer)
{
    if (!writer)
        return;
    s3_parts_clear(&writer->parts);
    g_free(writer->part);
    g_free(writer->key);
    g_free(writer->origin);
    g_free(writer);
}
