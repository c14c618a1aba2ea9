/* What s3.c and s3_reader.c share. */
#pragma once

#include <curl/curl.h>

#include "object/s3.h"

struct S3 {
    S3Service *service;
    char *bucket;
    char *host;   /* as it is asked: with the bucket, or without */
    char *prefix; /* of each path: "" or "/BUCKET" */
    char *ca_file;
    int retries, timeout_seconds;
    Progress *progress;
    CURL *curl;
    CURLM *multi; /* of a reader; kept for its connections */
    char fault[CURL_ERROR_SIZE];
    int64_t skew_s; /* how far the service's clock is ahead of ours */
    S3Failure failure;
};

typedef struct {
    const char *method, *key;   /* key NULL: of the bucket */
    const char *const *query;   /* s3_query's pairs, or NULL */
    const char *const *headers; /* signed ones, "name:value"; or NULL */
} S3Ask;

typedef struct {
    long status;
    GByteArray *body;
    char *etag, *request_id, *date;
    int64_t size, modified_ms; /* Content-Length, Last-Modified; -1, 0: not said */
    int64_t retry_after_s;     /* -1: not said */
} S3Answer;
void s3_answer_begin(S3Answer *answer);
void s3_answer_clear(S3Answer *answer);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(S3Answer, s3_answer_clear)
/* libcurl's header function; data is the S3Answer. */
size_t s3_answer_header(char *data, size_t one, size_t size, void *user);

/* Signs the request and gives it to the handle, with what every one of them has. The caller frees
 * *headers once it has ended. */
void s3_prepare(S3 *s3, CURL *curl, const S3Ask *ask, struct curl_slist **headers, char *fault);
/* Notes what failed; answer->status 0: there was none, code says why. */
void s3_note(S3 *s3, const S3Ask *ask, const S3Answer *answer, CURLcode code, const char *fault,
             int tries, int64_t began);
/* Whether another try could end otherwise. */
bool s3_is_worth_a_try(const S3Answer *answer, CURLcode code);
/* ms until the next one. */
int64_t s3_wait_ms(const S3Answer *answer, int tries);
/* The error of what was noted. Always false. */
bool s3_fail(const S3 *s3, GError **error);
