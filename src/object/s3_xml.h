/* What an S3 service answers, as XML: errors, and the pages of a listing. It comes from outside:
 * anything may be in it. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct {
    char *key;
    bool
        has_nul; /* the key has a NUL byte, which is written %00 here: nothing can be asked of it */
    char *etag;  /* without its quotes; "" where there is none */
    int64_t size, modified_ms;
} S3Object;
void s3_object_free(S3Object *object);

typedef struct {
    GPtrArray *objects; /* of S3Object */
    char *next;         /* continuation token of the next page; NULL: it was the last */
} S3Page;
void s3_page_free(S3Page *page);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(S3Page, s3_page_free)

/* ListBucketResult; keys were asked for URL-encoded (encoding-type=url). NULL: *fault says in words
 * what is wrong with it; static. */
S3Page *s3_xml_page(const void *data, size_t size, const char **fault);
/* Whether it is an answer of that kind. */
bool s3_xml_is(const void *data, size_t size, const char *root);
/* The first text of an element of that name beneath the root; NULL: there is none. The caller frees
 * it. */
char *s3_xml_text(const void *data, size_t size, const char *name);

/* An upload in parts that was begun. */
typedef struct {
    char *key, *id;
} S3Upload;
/* Of S3Upload, with those that have both; keys were asked for URL-encoded. Never NULL. */
GPtrArray *s3_xml_uploads(const void *data, size_t size);

/* Code, Message and RequestId of an Error; each is left alone where there is none. */
void s3_xml_error(const void *data, size_t size, char **code, char **message, char **request_id);
