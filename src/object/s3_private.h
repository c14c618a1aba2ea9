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
    CURLM *multi;    /* of a reader; kept for its connections */
    GArray *sockets; /* of int: those of all connections */
    char fault[CURL_ERROR_SIZE];
    int64_t skew_s; /* how far the service's clock is ahead of ours */
    S3Failure failure;
};

/* What an object of ours was made of: says whether it has to be made again. */
#define S3_ORIGIN_HEADER "x-amz-meta-waybill-origin"

typedef struct {
    const char *method, *key;   /* key NULL: of the bucket */
    const char *action;         /* for people: "read", "list", …; static */
    const char *const *query;   /* s3_query's pairs, or NULL */
    const char *const *headers; /* signed ones, "name:value"; or NULL */
    const void *body;           /* or NULL */
    size_t size;
} S3Ask;

typedef struct {
    S3 *of;
    long status;
    GByteArray *body;
    char *etag, *request_id, *date, *origin;
    char *checksum;            /* the object's, as digest.h writes it; NULL: not said */
    int64_t size, modified_ms; /* Content-Length, Last-Modified; -1, 0: not said */
    int64_t retry_after_s;     /* -1: not said */
} S3Answer;
void s3_answer_begin(S3 *s3, S3Answer *answer);
void s3_answer_clear(S3Answer *answer);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(S3Answer, s3_answer_clear)
/* What a handle needs for the sockets of its connections, before it is used. */
void s3_sockets_configure(S3 *s3, CURL *curl);
/* What came is acknowledged at once. */
void s3_sockets_acknowledge(const S3 *s3);
/* libcurl's header function; data is the S3Answer. */
size_t s3_answer_header(char *data, size_t one, size_t size, void *user);

/* Signs the request and gives it to the handle, with what every one of them has. The caller frees
 * *headers once it has ended. */
void s3_prepare(S3 *s3, CURL *curl, const S3Ask *ask, struct curl_slist **headers, char *fault);
/* Notes what failed; answer->status 0: there was none, code says why. */
void s3_note(S3 *s3, const S3Ask *ask, const S3Answer *answer, CURLcode code, const char *fault,
             int tries, int64_t began);
/* Asks until there is an answer that counts, a status below 300. False: *error. */
bool s3_ask(S3 *s3, const S3Ask *ask, S3Answer *answer, GError **error);
int s3_retries(const S3 *s3);
/* Sets aside what failed, so that what is asked after it does not take its place; restore takes it
 * back. */
S3Failure s3_failure_keep(S3 *s3);
void s3_failure_restore(S3 *s3, S3Failure *failure);
/* Whether another try could end otherwise. */
bool s3_is_worth_a_try(const S3Answer *answer, CURLcode code);
/* ms until the next one. */
int64_t s3_wait_ms(const S3Answer *answer, int tries);
/* False: it was stopped meanwhile. */
bool s3_pause(const S3 *s3, int64_t ms);
/* The error of what was noted. Always false. */
bool s3_fail(const S3 *s3, GError **error);
/* Notes an answer that makes no sense, whatever its status, and says what is wrong with it
 * (S3_ERROR_MALFORMED). Always false. */
bool s3_fail_malformed(S3 *s3, const S3Ask *ask, const S3Answer *answer, const char *what,
                       GError **error);
