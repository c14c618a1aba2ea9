#include "server/idempotency.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "server/api.h"

#define HEADER  "Idempotency-Key"
#define KEY_MAX 255

static bool key_is_valid(const char *key)
{
    gsize length = strlen(key);
    for (const char *at = key; *at; at++)
        if (!g_ascii_isgraph(*at))
            return false;
    return length >= 1 && length <= KEY_MAX;
}

/* What was answered before, or that the key belongs to another body. Without a response: nothing is
 * kept. */
static HttpReply kept_reply(const Idempotency *idempotency, Service *service)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *body_digest = NULL, *answer = NULL;
    if (!idempotency_find(service->db, &idempotency->key, clock_now_ms(), &body_digest, &answer,
                          &error))
        return api_failed(error);
    if (!answer)
        return HTTP_WAITS;
    if (strcmp(body_digest, idempotency->body_digest) != 0)
        return http_error(MHD_HTTP_UNPROCESSABLE_CONTENT, API_PARAMETER,
                          "this " HEADER " was used for a request with another body; a new request "
                          "needs a new key");
    gsize length = strlen(answer);
    HttpReply reply =
        http_text(MHD_HTTP_OK, "application/json; charset=utf-8", g_steal_pointer(&answer), length);
    http_set_header(&reply, "Idempotency-Replayed", "true");
    return reply;
}

bool idempotency_begin(Idempotency *idempotency, const HttpRequest *request, Service *service,
                       const char *route, json_t *(*answer)(const Submission *submission),
                       HttpReply *reply)
{
    const char *key = http_header(request, HEADER);
    *idempotency = (Idempotency){.answer = answer};
    if (!key)
        return true;
    if (!key_is_valid(key)) {
        *reply = http_error(MHD_HTTP_BAD_REQUEST, API_PARAMETER,
                            HEADER " has %" G_GSIZE_FORMAT
                                   " bytes; expected 1 to %d visible ASCII characters",
                            strlen(key), KEY_MAX);
        return false;
    }
    const GByteArray *body = request->body;
    idempotency->route = g_strdup(route);
    idempotency->body_digest = digest_of(body ? body->data : NULL, body ? body->len : 0);
    idempotency->key = (IdempotencyKey){request->arguments[0], idempotency->route, key};
    *reply = kept_reply(idempotency, service);
    return !reply->response;
}

void idempotency_clear(Idempotency *idempotency)
{
    g_free(idempotency->route);
    g_free(idempotency->body_digest);
}

static bool answer_keep(Service *service, const Submission *submission, gpointer data,
                        GError **error)
{
    const Idempotency *idempotency = data;
    json_t *answer = idempotency->answer(submission);
    char *text = json_dumps(answer, JSON_COMPACT);
    bool kept = idempotency_keep(service->db, &idempotency->key, idempotency->body_digest, text,
                                 clock_now_ms(), error);
    json_decref(answer);
    free(text);
    return kept;
}

Submission idempotency_submission(Idempotency *idempotency)
{
    Submission submission = SUBMISSION_NONE;
    if (idempotency->key.key) {
        submission.record = answer_keep;
        submission.record_data = idempotency;
    }
    return submission;
}

HttpReply idempotency_failed(const Idempotency *idempotency, Service *service, const GError *error)
{
    HttpReply reply = idempotency->key.key ? kept_reply(idempotency, service) : HTTP_WAITS;
    return reply.response ? reply : api_failed(error);
}
