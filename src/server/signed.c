#include "server/signed.h"

#include <string.h>

#include "base/clock.h"
#include "server/api.h"
#include "server/signature.h"
#include "store/access_keys.h"

#define EMPTY_BODY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define BAD        "APIGW.0301"
#define SKEWED     "APIGW.0303"

struct SignedRequest {
    Signature *signature;
    AccessKey *access_key; /* NULL: there is none of that id */
    char *secret;
    char *address, *identity;
    GArray *headers; /* of SignatureHeader; the connection's */
    BodyHash *body;
    bool verified;
};

void signed_request_free(SignedRequest *signing)
{
    if (!signing)
        return;
    signature_free(signing->signature);
    access_key_free(signing->access_key);
    seal_forget(signing->secret);
    g_free(signing->address);
    g_free(signing->identity);
    g_array_unref(signing->headers);
    body_hash_free(signing->body);
    g_free(signing);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SignedRequest, signed_request_free)

bool signed_is_meant(const HttpRequest *request)
{
    const char *value = http_header(request, MHD_HTTP_HEADER_AUTHORIZATION);
    return value && signature_is_meant(value);
}

static enum MHD_Result take_header(void *data, enum MHD_ValueKind kind, const char *name,
                                   const char *value)
{
    const SignatureHeader header = {name, value ? value : ""};
    g_array_append_val((GArray *)data, header);
    return MHD_YES;
}

static SignatureRequest as_sent(const HttpRequest *request, const SignedRequest *signing)
{
    return (SignatureRequest){request->method, request->target->raw,
                              (const SignatureHeader *)(const void *)signing->headers->data,
                              signing->headers->len};
}

/* Who guesses learns nothing but that it was wrong. */
static HttpReply refuse(HttpRequest *request, const SignedRequest *signing)
{
    login_limit_failed(request->server->logins, signing->address, signing->identity,
                       clock_monotonic_ms());
    return http_error(MHD_HTTP_UNAUTHORIZED, BAD,
                      "the signature does not verify: there is no such access key, or the secret "
                      "key, the headers or the body are others than those that were signed");
}

static bool body_is_expected(const HttpRequest *request)
{
    const char *length = http_header(request, MHD_HTTP_HEADER_CONTENT_LENGTH);
    return http_header(request, MHD_HTTP_HEADER_TRANSFER_ENCODING) ||
           (length && strcmp(length, "0") != 0);
}

/* NULL with *reply set: not to be had. An unknown key has no secret, and its requests cost as much.
 */
static bool signing_find_key(SignedRequest *signing, Service *service, HttpReply *reply)
{
    g_autoptr(GError) error = NULL;
    signing->access_key = access_key_find(service->db, signing->signature->access, &error);
    const SealKey *key = signing->access_key && !error ? service_key(service, false, &error) : NULL;
    if (key)
        signing->secret = access_key_secret(signing->access_key, key, &error);
    if (error)
        *reply = api_failed(error);
    return !error;
}

static HttpReply signing_verify(HttpRequest *request, SignedRequest *signing, const char *body)
{
    HttpReply reply;
    g_autoptr(GError) error = NULL;
    const AccessKey *access_key = signing->access_key;
    const SignatureRequest sent = as_sent(request, signing);
    const char *secret = signing->secret ? signing->secret : "of an unknown access key";
    if (!signature_verify(signing->signature, &sent, secret, body) || !access_key)
        return refuse(request, signing);
    const int64_t now = clock_now_ms();
    if (!access_key_is_valid(access_key, now))
        return http_error(MHD_HTTP_UNAUTHORIZED, BAD, "access key %s %s", access_key->id,
                          access_key->revoked_at ? "was revoked" : "has expired");
    signing->verified = true;
    login_limit_succeeded(request->server->logins, signing->address, signing->identity,
                          clock_monotonic_ms());
    Service *service = api_service(request, &reply);
    if (!service)
        return reply;
    if (!access_key_used(service->db, access_key, now, &error))
        g_warning("use of access key %s could not be noted: %s", access_key->id, error->message);
    return HTTP_WAITS;
}

/* With the body's hash in the head, or without a body, all can be verified now. */
static HttpReply signing_begin(HttpRequest *request, SignedRequest *signing)
{
    Signature *signature = signing->signature;
    if (!signature->payload && !body_is_expected(request))
        signature->payload = g_strdup(EMPTY_BODY);
    if (signature->payload)
        return signing_verify(request, signing, signature->payload);
    if (request->route->sink || request->route->body_limit > HTTP_BODY_BYTES)
        return http_error(
            MHD_HTTP_UNAUTHORIZED, BAD,
            "X-Sdk-Content-Sha256 is missing: here the body's hash or " SIGNATURE_UNSIGNED
            " must be signed");
    return signing->access_key ? HTTP_WAITS : refuse(request, signing);
}

static SignedRequest *signing_read(HttpRequest *request, const char *address, HttpReply *reply)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(SignedRequest) signing = g_new0(SignedRequest, 1);
    signing->headers = g_array_new(FALSE, FALSE, sizeof(SignatureHeader));
    MHD_get_connection_values(request->connection, MHD_HEADER_KIND, take_header, signing->headers);
    const SignatureRequest sent = as_sent(request, signing);
    signing->signature = signature_read(&sent, clock_now_ms(), &error);
    if (!signing->signature) {
        bool skewed = g_error_matches(error, SIGNATURE_ERROR, SIGNATURE_ERROR_SKEWED);
        *reply = http_error(MHD_HTTP_UNAUTHORIZED, skewed ? SKEWED : BAD, "%s", error->message);
        return NULL;
    }
    signing->address = g_strdup(address);
    signing->identity = g_strconcat("key ", signing->signature->access, NULL);
    signing->body = body_hash_new();
    return g_steal_pointer(&signing);
}

HttpReply signed_admit(HttpRequest *request, const char *address)
{
    HttpReply reply = HTTP_WAITS;
    int retry_after;
    g_autoptr(SignedRequest) signing = signing_read(request, address, &reply);
    if (!signing)
        return reply;
    if (!login_limit_check(request->server->logins, address, signing->identity,
                           clock_monotonic_ms(), &retry_after))
        return api_login_refused(request, retry_after);
    Service *service = api_service(request, &reply);
    if (!service || !signing_find_key(signing, service, &reply))
        return reply;
    reply = signing_begin(request, signing);
    if (reply.response)
        return reply;
    const AccessKey *access_key = signing->access_key;
    request->caller =
        caller_new(access_key->user, access_key->project, access_key->role, access_key->id);
    request->actor = request->caller->user;
    request->signing = g_steal_pointer(&signing);
    return HTTP_WAITS;
}

bool signed_is_verified(const HttpRequest *request)
{
    return !request->signing || request->signing->verified;
}

void signed_body_update(HttpRequest *request, const void *data, gsize size)
{
    if (request->signing)
        body_hash_update(request->signing->body, data, size);
}

HttpReply signed_body_end(HttpRequest *request)
{
    char hex[SIGNATURE_HEX_LENGTH + 1];
    g_autoptr(SignedRequest) signing = g_steal_pointer(&request->signing);
    if (!signing)
        return HTTP_WAITS;
    body_hash_finish(signing->body, hex);
    if (!signing->verified) {
        HttpReply reply = signing_verify(request, signing, hex);
        if (reply.response) { /* it was nobody's */
            g_clear_pointer(&request->caller, caller_free);
            request->actor = NULL;
        }
        return reply;
    }
    if (signature_fits_body(signing->signature, hex))
        return HTTP_WAITS;
    return http_error(MHD_HTTP_UNAUTHORIZED, BAD,
                      "the body is not what X-Sdk-Content-Sha256 says: its SHA-256 is %s", hex);
}
