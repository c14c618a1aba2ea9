/* Who signs requests with an access key (signature.h): the head is verified when the request is
 * admitted, the body once it is there.
 *
 * Without X-Sdk-Content-Sha256 the signature is over the body itself, and can be verified with its
 * last byte only: such a request has its caller from the beginning, so that what the key may not do
 * is refused at once, but no handler runs before the body was verified. What acts on a body while
 * it comes needs the header: a route that takes more than HTTP_BODY_BYTES refuses a request
 * without it. */
#pragma once

#include "server/http.h"

/* Whether it is signed: "Authorization: SDK-HMAC-SHA256 …". */
bool signed_is_meant(const HttpRequest *request);
/* Sets caller and actor, or refuses: 401 APIGW.0301, APIGW.0303, or 429. `address`: the client's,
 * as text, for the limit on failed logins. */
HttpReply signed_admit(HttpRequest *request, const char *address);

/* False: whose it claims to be is not known to be true yet. */
bool signed_is_verified(const HttpRequest *request);

/* For http.c, and for what takes a body in parts: each part as it comes. */
void signed_body_update(HttpRequest *request, const void *data, gsize size);
/* After the last part: refuses the request when it is not what was signed. What keeps something of
 * a body asks before it does, a second time is allowed. Bodies of unsigned requests pass. */
HttpReply signed_body_end(HttpRequest *request);
void signed_request_free(SignedRequest *signing);
