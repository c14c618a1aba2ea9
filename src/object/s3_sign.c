#include "object/s3_sign.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>
#include <time.h>

#include "base/digest.h"

#define ALGORITHM  "AWS4-HMAC-SHA256"
#define UNRESERVED "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
#define MAC_BYTES  32

S3Credentials *s3_credentials_new(const char *access_key, const char *secret_key, const char *token,
                                  const char *origin)
{
    if (!access_key || !*access_key || !secret_key || !*secret_key)
        return NULL;
    S3Credentials *credentials = g_new0(S3Credentials, 1);
    *credentials = (S3Credentials){g_strdup(access_key), g_strdup(secret_key),
                                   token && *token ? g_strdup(token) : NULL, g_strdup(origin)};
    return credentials;
}

void s3_credentials_free(S3Credentials *credentials)
{
    if (!credentials)
        return;
    if (credentials->secret_key)
        explicit_bzero(credentials->secret_key, strlen(credentials->secret_key));
    g_free(credentials->access_key);
    g_free(credentials->secret_key);
    g_free(credentials->token);
    g_free(credentials->origin);
    g_free(credentials);
}

/* -- escaping -- */

char *s3_escape(const char *text, gboolean keep_slashes)
{
    GString *escaped = g_string_new(NULL);
    for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
        if (strchr(UNRESERVED, *at) || (keep_slashes && *at == '/'))
            g_string_append_c(escaped, (char)*at);
        else
            g_string_append_printf(escaped, "%%%02X", *at);
    }
    return g_string_free(escaped, FALSE);
}

/* Headers by their names: "a:" comes before "a-b:", though ':' comes behind '-'. Ties, as those of
 * a query's keys, by what follows. */
static int compare_texts(gconstpointer a, gconstpointer b)
{
    const char *one = *(const char *const *)a, *other = *(const char *const *)b;
    size_t length = strcspn(one, ":"), others = strcspn(other, ":");
    int order = memcmp(one, other, MIN(length, others));
    if (order == 0 && length != others)
        order = length < others ? -1 : 1;
    return order ? order : strcmp(one, other);
}

static char *join_sorted(GPtrArray *texts, const char *between)
{
    g_ptr_array_sort(texts, compare_texts);
    g_ptr_array_add(texts, NULL);
    return g_strjoinv(between, (char **)texts->pdata);
}

/* "a=1" sorts by its key first, for '=' is escaped in keys, and sorts before what keys may have
 * behind a shorter one's end but for '-', '.' and digits: so keys are compared by themselves. */
static int compare_pairs(gconstpointer a, gconstpointer b)
{
    const char *left = *(const char *const *)a, *right = *(const char *const *)b;
    g_autofree char *left_key = g_strndup(left, strcspn(left, "="));
    g_autofree char *right_key = g_strndup(right, strcspn(right, "="));
    int keys = strcmp(left_key, right_key);
    return keys ? keys : strcmp(left, right);
}

char *s3_query(const char *const *pairs)
{
    g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(g_free);
    for (; *pairs; pairs += 2) {
        g_autofree char *key = s3_escape(pairs[0], FALSE);
        g_autofree char *value = s3_escape(pairs[1], FALSE);
        g_ptr_array_add(texts, g_strdup_printf("%s=%s", key, value));
    }
    g_ptr_array_sort(texts, compare_pairs);
    g_ptr_array_add(texts, NULL);
    return g_strjoinv("&", (char **)texts->pdata);
}

/* -- the signature -- */

static void mac(const void *key, size_t key_size, const char *text, unsigned char out[MAC_BYTES])
{
    unsigned size = MAC_BYTES;
    HMAC(EVP_sha256(), key, (int)key_size, (const unsigned char *)text, strlen(text), out, &size);
}

static char *hex_of_text(const char *text)
{
    g_autofree char *digest = digest_of(text, strlen(text));
    return g_strdup(digest_hex(digest));
}

/* What the request has to have, in lower case; the signed ones of them sorted. */
static GPtrArray *headers_of(const S3Request *request, const S3Credentials *credentials,
                             const char *stamp)
{
    GPtrArray *headers = g_ptr_array_new_with_free_func(g_free);
    g_ptr_array_add(headers, g_strdup_printf("host:%s", request->host));
    g_ptr_array_add(headers, g_strdup_printf("x-amz-content-sha256:%s", request->payload));
    g_ptr_array_add(headers, g_strdup_printf("x-amz-date:%s", stamp));
    if (credentials->token)
        g_ptr_array_add(headers, g_strdup_printf("x-amz-security-token:%s", credentials->token));
    for (const char *const *more = request->headers; more && *more; more++) {
        const char *colon = strchr(*more, ':');
        g_autofree char *value = g_strstrip(g_strdup(colon + 1));
        g_ptr_array_add(headers, g_strdup_printf("%.*s:%s", (int)(colon - *more), *more, value));
    }
    return headers;
}

static char *names_of(const GPtrArray *headers)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; i < headers->len && headers->pdata[i]; i++) {
        const char *header = headers->pdata[i];
        g_ptr_array_add(names, g_strndup(header, strcspn(header, ":")));
    }
    return join_sorted(names, ";");
}

static char *signature_of(const char *to_sign, const S3Credentials *credentials, const char *day,
                          const char *region)
{
    unsigned char key[MAC_BYTES];
    g_autofree char *first = g_strconcat("AWS4", credentials->secret_key, NULL);
    const char *const scope[] = {day, region, "s3", "aws4_request", to_sign};
    mac(first, strlen(first), scope[0], key);
    for (size_t i = 1; i < G_N_ELEMENTS(scope); i++)
        mac(key, MAC_BYTES, scope[i], key);
    explicit_bzero(first, strlen(first));
    GString *hex = g_string_new(NULL);
    for (int i = 0; i < MAC_BYTES; i++)
        g_string_append_printf(hex, "%02x", key[i]);
    return g_string_free(hex, FALSE);
}

static char *authorization_of(const S3Request *request, const S3Credentials *credentials,
                              const char *region, GPtrArray *headers, const char *stamp)
{
    g_autofree char *names = names_of(headers);
    g_autofree char *joined = join_sorted(headers, "\n");
    g_autofree char *canonical =
        g_strdup_printf("%s\n%s\n%s\n%s\n\n%s\n%s", request->method, request->path, request->query,
                        joined, names, request->payload);
    g_autofree char *hashed = hex_of_text(canonical);
    g_autofree char *day = g_strndup(stamp, 8);
    g_autofree char *scope = g_strdup_printf("%s/%s/s3/aws4_request", day, region);
    g_autofree char *to_sign = g_strdup_printf(ALGORITHM "\n%s\n%s\n%s", stamp, scope, hashed);
    g_autofree char *signature = signature_of(to_sign, credentials, day, region);
    return g_strdup_printf("Authorization: " ALGORITHM
                           " Credential=%s/%s,SignedHeaders=%s,Signature=%s",
                           credentials->access_key, scope, names, signature);
}

static void add_lines(GPtrArray *lines, const GPtrArray *headers)
{
    for (guint i = 0; i < headers->len && headers->pdata[i]; i++) {
        const char *header = headers->pdata[i], *colon = strchr(header, ':');
        if (!g_str_has_prefix(header, "host:"))
            g_ptr_array_add(lines,
                            g_strdup_printf("%.*s: %s", (int)(colon - header), header, colon + 1));
    }
}

char **s3_sign(const S3Request *request, const S3Credentials *credentials, const char *region,
               int64_t time)
{
    char stamp[32];
    struct tm utc;
    const time_t seconds = (time_t)time;
    gmtime_r(&seconds, &utc);
    strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &utc);
    g_autoptr(GPtrArray) lines = g_ptr_array_new();
    if (!credentials) {
        for (const char *const *more = request->headers; more && *more; more++)
            g_ptr_array_add(lines, g_strdup(*more));
    } else {
        g_autoptr(GPtrArray) headers = headers_of(request, credentials, stamp);
        g_ptr_array_add(lines, authorization_of(request, credentials, region, headers, stamp));
        add_lines(lines, headers);
    }
    g_ptr_array_add(lines, NULL);
    return (char **)g_ptr_array_free(g_steal_pointer(&lines), FALSE);
}
