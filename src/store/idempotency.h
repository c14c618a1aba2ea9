/* Answers that are kept under the Idempotency-Key of their request (api.md; the IETF draft "The
 * Idempotency-Key HTTP Header Field"): a client that does not know whether its request arrived
 * sends it again and gets the same answer, and nothing is done a second time. */
#pragma once

#include "store/db.h"

#define IDEMPOTENCY_KEPT_MS (24 * 60 * 60 * 1000LL)

typedef struct {
    const char *project, *route, *key; /* borrowed */
} IdempotencyKey;

/* *answer NULL: none is kept at that time (ms since 1970, UTC). Else *body_digest is that of the
 * request which it answers. The caller frees both. */
bool idempotency_find(Db *db, const IdempotencyKey *key, int64_t now, char **body_digest,
                      char **answer, GError **error);
/* In the transaction that does what was asked for. Removes what has expired. DB_ERROR_CONSTRAINT:
 * an answer is kept already. */
bool idempotency_keep(Db *db, const IdempotencyKey *key, const char *body_digest,
                      const char *answer, int64_t now, GError **error);
