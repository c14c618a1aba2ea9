/* Idempotency-Key on what submits an import: the answer is kept in the transaction of the
 * submission, so that of two requests with one key, at once or a restart apart, one imports and
 * both are answered alike. Only what was done is kept: a request that was refused did nothing, and
 * may be sent again, mended, with its key. */
#pragma once

#include "import/import.h"
#include "server/http.h"
#include "store/idempotency.h"

typedef struct {
    IdempotencyKey key; /* key.key NULL: the request has none */
    char *route, *body_digest;
    json_t *(*answer)(const Submission *submission); /* to the request that submitted it */
} Idempotency;

/* route: what is asked of the project, as models/ID/retry. False: *reply is the answer that was
 * given before, or says what is wrong with the key. */
bool idempotency_begin(Idempotency *idempotency, const HttpRequest *request, Service *service,
                       const char *route, json_t *(*answer)(const Submission *submission),
                       HttpReply *reply);
void idempotency_clear(Idempotency *idempotency);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Idempotency, idempotency_clear)

/* A submission that keeps its answer. Borrows. */
Submission idempotency_submission(Idempotency *idempotency);
/* Instead of api_failed, where a submission failed: another request with the key may have been
 * quicker. */
HttpReply idempotency_failed(const Idempotency *idempotency, Service *service, const GError *error);
