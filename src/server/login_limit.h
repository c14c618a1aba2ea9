/* Who fails to log in too often waits: ten failures within five minutes, of one address or for one
 * identity (an access key, a token, a user), stop both for a minute; each failure after that for
 * twice as long, at most an hour.
 *
 * An identity that has logged in from an address is known there: neither somebody else's failures
 * at the same address (a proxy's, an office's) nor those for the same identity from elsewhere stop
 * it, only its own. All of it is a table of a fixed size that keeps hashes, and forgets the
 * quietest first. Thread safe. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define LOGIN_LIMIT_FAILURES   10
#define LOGIN_LIMIT_WINDOW_MS  300000
#define LOGIN_LIMIT_FIRST_MS   60000
#define LOGIN_LIMIT_LONGEST_MS 3600000
#define LOGIN_LIMIT_KNOWN_MS   86400000

typedef struct LoginLimit LoginLimit;
LoginLimit *login_limit_new(void);
void login_limit_free(LoginLimit *limit);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(LoginLimit, login_limit_free)

/* Before a secret is looked at. False: not now, but in *retry_after seconds. `address`: the
 * client's as text (behind a trusted proxy the one that it names), a network of /64 counting as one
 * IPv6 address; `identity`: who it says it is, with its kind ("key ABC"); NULL where it says
 * nothing. `now`: monotonic ms. */
bool login_limit_check(LoginLimit *limit, const char *address, const char *identity, int64_t now,
                       int *retry_after);
void login_limit_failed(LoginLimit *limit, const char *address, const char *identity, int64_t now);
void login_limit_succeeded(LoginLimit *limit, const char *address, const char *identity,
                           int64_t now);
