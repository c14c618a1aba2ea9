/* AWS Signature Version 4 of requests to S3 and what speaks its protocol (AWS, "Authenticating
 * Requests: Using the Authorization Header"). Nothing is sent here: what is signed, and how. */
#pragma once

#include <glib.h>
#include <stdint.h>

#define S3_NO_PAYLOAD "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

typedef struct {
    char *access_key, *secret_key;
    char *token;  /* of temporary credentials; or NULL */
    char *origin; /* where they come from: "project", "settings", "environment" */
} S3Credentials;
/* Copies. NULL: access_key or secret_key is NULL or empty. */
S3Credentials *s3_credentials_new(const char *access_key, const char *secret_key, const char *token,
                                  const char *origin);
void s3_credentials_free(S3Credentials *credentials);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(S3Credentials, s3_credentials_free)

/* Everything but A-Z a-z 0-9 - . _ ~ as %XX; keep_slashes: '/' stays. The caller frees it. */
char *s3_escape(const char *text, gboolean keep_slashes);
/* key=value&…, escaped and sorted as they have to be signed; `pairs` is key, value, …, NULL. The
 * caller frees it. */
char *s3_query(const char *const *pairs);

typedef struct {
    const char *method;
    const char *host;    /* as the Host header has it */
    const char *path;    /* escaped, begins with '/' */
    const char *query;   /* s3_query's, or "" */
    const char *payload; /* SHA-256 of the body in hex */
    /* Further headers that are signed: "name: value" in lower case, NULL-terminated; or NULL. */
    const char *const *headers;
} S3Request;

/* The headers that the request has then, "Name: value" each, those of S3Request among them;
 * NULL-terminated. credentials NULL: anonymous, unsigned. time: seconds since 1970. The caller
 * frees them. */
char **s3_sign(const S3Request *request, const S3Credentials *credentials, const char *region,
               int64_t time);
