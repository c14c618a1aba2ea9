#include "object/s3_parts.h"

#include <string.h>

#include "base/clock.h"
#include "object/s3_write.h"

#define LATE_STATUS 500 /* of a failure that comes behind a 200 */

bool s3_ask_xml(S3 *s3, const S3Ask *ask, const char *root, S3Answer *answer, GError **error)
{
    const int64_t began = clock_monotonic_ms();
    for (int tries = 1;; tries++) {
        if (!s3_ask(s3, ask, answer, error))
            return false;
        if (s3_xml_is(answer->body->data, answer->body->len, root))
            return true;
        answer->status = LATE_STATUS;
        s3_note(s3, ask, answer, CURLE_OK, NULL, tries, began);
        if (tries > s3_retries(s3) || !s3_pause(s3, s3_wait_ms(answer, tries)))
            return s3_fail(s3, error);
    }
}

bool s3_parts_begin(S3Parts *parts, S3 *s3, const char *key, const char *origin, GError **error)
{
    static const char *const QUERY[] = {"uploads", "", NULL};
    g_autofree char *header = g_strconcat(S3_ORIGIN_HEADER ":", origin, NULL);
    const char *headers[] = {header, NULL};
    const S3Ask ask = {
        .method = "POST", .action = "write", .key = key, .query = QUERY, .headers = headers};
    g_auto(S3Answer) answer = {0};
    *parts = (S3Parts){.s3 = s3,
                       .key = key,
                       .origin = origin,
                       .etags = g_ptr_array_new_with_free_func(g_free)};
    if (!s3_ask_xml(s3, &ask, "InitiateMultipartUploadResult", &answer, error))
        return false;
    parts->id = s3_xml_text(answer.body->data, answer.body->len, "UploadId");
    return (parts->id && *parts->id) ||
           s3_fail_malformed(s3, &ask, &answer, "an upload that has no name", error);
}

bool s3_parts_add(S3Parts *parts, const void *data, size_t size, const char *const *headers,
                  GError **error)
{
    g_autofree char *number = g_strdup_printf("%u", parts->etags->len + 1);
    const char *query[] = {"partNumber", number, "uploadId", parts->id, NULL};
    const S3Ask ask = {.method = "PUT",
                       .action = headers ? "copy" : "write",
                       .key = parts->key,
                       .query = query,
                       .headers = headers,
                       .body = data,
                       .size = size};
    g_auto(S3Answer) answer = {0};
    char *etag;
    if (headers) {
        if (!s3_ask_xml(parts->s3, &ask, "CopyPartResult", &answer, error))
            return false;
        etag = s3_xml_text(answer.body->data, answer.body->len, "ETag");
    } else {
        if (!s3_ask(parts->s3, &ask, &answer, error))
            return false;
        etag = answer.etag ? g_strdup_printf("\"%s\"", answer.etag) : NULL;
    }
    if (!etag)
        return s3_fail_malformed(parts->s3, &ask, &answer, "a part that has no ETag", error);
    g_ptr_array_add(parts->etags, etag);
    return true;
}

static char *list_of(const S3Parts *parts)
{
    GString *xml = g_string_new("<CompleteMultipartUpload>");
    for (guint i = 0; i < parts->etags->len; i++) {
        g_autofree char *etag = g_markup_escape_text(parts->etags->pdata[i], -1);
        g_string_append_printf(xml, "<Part><PartNumber>%u</PartNumber><ETag>%s</ETag></Part>",
                               i + 1, etag);
    }
    return g_string_free(g_string_append(xml, "</CompleteMultipartUpload>"), FALSE);
}

/* An answer that broke may have been a good one: the second try then finds no upload, and the
 * object. */
static bool was_finished(const S3Parts *parts)
{
    bool found;
    int64_t size;
    g_autofree char *origin = NULL;
    return s3_failure(parts->s3)->status == 404 &&
           s3_head(parts->s3, parts->key, &found, &size, &origin, NULL) && found &&
           g_strcmp0(origin, parts->origin) == 0;
}

bool s3_parts_finish(S3Parts *parts, GError **error)
{
    g_autoptr(GError) failure = NULL;
    g_autofree char *xml = list_of(parts);
    const char *query[] = {"uploadId", parts->id, NULL};
    const S3Ask ask = {.method = "POST",
                       .action = "write",
                       .key = parts->key,
                       .query = query,
                       .body = xml,
                       .size = strlen(xml)};
    g_auto(S3Answer) answer = {0};
    if (!s3_ask_xml(parts->s3, &ask, "CompleteMultipartUploadResult", &answer, &failure) &&
        !was_finished(parts)) {
        g_propagate_error(error, g_steal_pointer(&failure));
        return false;
    }
    g_clear_pointer(&parts->id, g_free);
    return true;
}

static bool abort_upload(S3 *s3, const char *key, const char *id, GError **error)
{
    const char *query[] = {"uploadId", id, NULL};
    const S3Ask ask = {.method = "DELETE", .action = "write", .key = key, .query = query};
    g_auto(S3Answer) answer = {0};
    return s3_ask(s3, &ask, &answer, error) || s3_failure(s3)->status == 404;
}

void s3_parts_clear(S3Parts *parts)
{
    if (parts->id && *parts->id) {
        /* What failed before is what is told. */
        S3Failure kept = s3_failure_keep(parts->s3);
        abort_upload(parts->s3, parts->key, parts->id, NULL);
        s3_failure_restore(parts->s3, &kept);
    }
    g_free(parts->id);
    if (parts->etags)
        g_ptr_array_unref(parts->etags);
    *parts = (S3Parts){0};
}

bool s3_abort_uploads(S3 *s3, const char *prefix, GError **error)
{
    const char *query[] = {"uploads", "", "encoding-type", "url", "prefix", prefix, NULL};
    const S3Ask ask = {.method = "GET", .action = "list", .query = query};
    g_auto(S3Answer) answer = {0};
    if (!s3_ask_xml(s3, &ask, "ListMultipartUploadsResult", &answer, error))
        return false;
    g_autoptr(GPtrArray) uploads = s3_xml_uploads(answer.body->data, answer.body->len);
    for (guint i = 0; i < uploads->len; i++) {
        const S3Upload *upload = uploads->pdata[i];
        g_autoptr(GError) failure = NULL;
        if (!abort_upload(s3, upload->key, upload->id, &failure) && s3_failure(s3)->status != 404) {
            g_propagate_error(error, g_steal_pointer(&failure));
            return false;
        }
    }
    return true;
}
