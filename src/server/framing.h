/* Requests whose head does not say the same to everybody who reads it: two lengths, a length beside
 * a transfer coding, two hosts, names and values that end early for some. A proxy in front and this
 * server could take different bytes for the next request (RFC 9112, 11.2), so they are refused and
 * the connection is closed. */
#pragma once

#include "server/http.h"

/* A reply with a response refuses the request. */
HttpReply framing_check(const HttpRequest *request, const char *version);
