/* Who may use the server (specification, api.md, Authentication).
 *
 * As long as no token was ever made, loopback is open: whoever is on this machine may do
 * everything. The first token, which another process may make, closes that for good. From then on a
 * request says who asks: X-Auth-Token, Authorization, a session's cookie, or a trusted proxy's
 * header. */
#pragma once

#include "base/settings.h"
#include "server/http.h"
#include "store/tokens.h"

typedef struct Access Access;

#define SESSION_COOKIE  "waybill_session"
#define SESSION_SECONDS (12 * 3600)
#define LINK_SECONDS    (15 * 60)

/* Reads the settings, and from the store whether a token exists. NULL: *error, SETTINGS_ERROR for a
 * setting that is none. */
Access *access_new(Server *server, GError **error);
/* What is to be remembered of the tokens' use is written. */
void access_free(Access *access);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Access, access_free)

/* Whether a token exists, so that others than this machine may reach the server. */
bool access_has_tokens(const Access *access);
/* Whether nobody is asked for a token now. *known (may be NULL) is false where the store does not
 * answer, which opens nothing. */
bool access_is_open(Access *access, bool *known);

/* Refuses what may not be asked, before the body is read; sets the request's caller. */
HttpReply access_admit(HttpRequest *request);

/* Whether what the request was admitted with still holds: asked now and then by answers that have
 * no end of their own. */
bool access_still_admits(const HttpRequest *request);

/* That the token was used; it is written now and then, not here. */
void access_note_use(Access *access, const char *token_id);

/* A row of the audit list: somebody could not sign in. Who that says to be is not recorded, it may
 * be a password; and so many rows a minute at most, so that nobody outside fills the store. */
void access_audit_refusal(HttpRequest *request, const char *action);

/* Notes that somebody failed to log in from the client's address. True: that was once too often,
 * and *reply says when to try again. Whoever has a good secret is let in all the same. */
bool access_login_failed(HttpRequest *request, HttpReply *reply);

/* Whether Origin, where there is one, is this server's. */
bool access_is_own_origin(const HttpRequest *request);

/* -- a trusted proxy (proxy.c) -- */

typedef struct Proxies Proxies;

/* NULL: there is none. */
const Proxies *access_proxies(const Access *access);

/* *proxies NULL: none is set. False: *error. */
bool proxies_read(const Settings *settings, Proxies **proxies, GError **error);
void proxies_free(Proxies *proxies);

typedef enum {
    PROXY_SILENT, /* no proxy, or it names nobody */
    PROXY_NAMES,  /* *caller is who it names */
    PROXY_ODD     /* what it says is no user's name */
} ProxyWord;
ProxyWord proxies_caller(const Proxies *proxies, const HttpRequest *request, Caller **caller);
