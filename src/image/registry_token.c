/* Who we are at a registry (distribution's token authentication, and RFC 6749 for identity
 * tokens). */
#include <gio/gio.h>
#include <string.h>

#include "base/clock.h"
#include "event/event.h"
#include "image/registry_private.h"

#define TOKEN_BYTES      ((size_t)1 << 20)
#define LIFETIME_SECONDS 60 /* where the service does not say */
#define EARLY_PER_CENT   10 /* of its lifetime that a token is replaced before its end */
#define SHORT_LIFE       10 /* seconds: a token of less is used until it is refused */

bool registry_is_authorized(const Registry *registry, const char *actions)
{
    if (!registry->authorization)
        return false;
    return !registry->actions || (g_str_has_prefix(registry->actions, actions) &&
                                  clock_monotonic_ms() < registry->expires);
}

static void set_authorization(Registry *registry, char *value, const char *actions, int64_t expires)
{
    if (registry->authorization)
        explicit_bzero(registry->authorization, strlen(registry->authorization));
    g_free(registry->authorization);
    g_free(registry->actions);
    registry->authorization = value;
    registry->actions = g_strdup(actions);
    registry->expires = expires;
}

static char *basic_of(const RegistryLogin *login)
{
    g_autofree char *pair = g_strdup_printf("%s:%s", login->user ? login->user : "", login->secret);
    g_autofree char *encoded = g_base64_encode((const guchar *)pair, strlen(pair));
    explicit_bzero(pair, strlen(pair));
    return g_strconcat("Basic ", encoded, NULL);
}

/* -- the token service -- */

static bool is_listed(const char *hosts, const char *host)
{
    g_auto(GStrv) list = g_strsplit_set(hosts, " \t,", -1);
    for (char **entry = list; *entry; entry++)
        if (**entry && g_ascii_strcasecmp(*entry, host) == 0)
            return true;
    return false;
}

/* An IPv6 address stands in brackets where a port may follow it. */
static bool same_host_name(const char *host_port, const char *host)
{
    g_autofree char *whole = g_strdup_printf(strchr(host, ':') ? "[%s]" : "%s", host);
    gsize length = strlen(whole);
    return g_ascii_strncasecmp(host_port, whole, length) == 0 &&
           (host_port[length] == '\0' || host_port[length] == ':');
}

/* Credentials go nowhere but to the registry's own host or to one that the settings allow. */
static bool check_realm(Registry *registry, const char *realm, GError **error)
{
    g_autoptr(GUri) uri = g_uri_parse(realm, G_URI_FLAGS_NONE, NULL);
    const char *scheme = uri ? g_uri_get_scheme(uri) : "", *host = uri ? g_uri_get_host(uri) : NULL;
    bool sound =
        host && *host && !g_uri_get_userinfo(uri) &&
        (strcmp(scheme, "https") == 0 || (registry->plain_http && strcmp(scheme, "http") == 0));
    if (sound && (same_host_name(registry->host, host) || is_listed(registry->token_hosts, host)))
        return true;
    g_autofree char *readable = event_text(realm);
    g_set_error(error, REGISTRY_ERROR, REGISTRY_ERROR_MALFORMED,
                "%s wants a login at \"%.200s\"; expected a token service of its own host, or of "
                "one that registry.token_hosts allows, over https",
                registry->host, readable);
    return false;
}

static char *scope_of(const Registry *registry, const char *actions)
{
    return g_strdup_printf("repository:%s:%s", registry->repository, actions);
}

static void add_field(GString *text, const char *name, const char *value)
{
    if (!value)
        return;
    g_autofree char *escaped = g_uri_escape_string(value, NULL, FALSE);
    g_string_append_printf(text, "%s%s=%s", text->len ? "&" : "", name, escaped);
}

/* GET REALM?service=…&scope=…, with the login where there is one. */
static bool ask_by_get(Registry *registry, const Challenge *challenge, const char *scope,
                       RegistryAnswer *answer, CURLcode *code)
{
    g_autoptr(GString) query = g_string_new(NULL);
    add_field(query, "service", challenge->service);
    add_field(query, "scope", scope);
    if (g_strcmp0(challenge->scope, scope) != 0)
        add_field(query, "scope", challenge->scope);
    g_autofree char *url = g_strdup_printf("%s%c%s", challenge->realm,
                                           strchr(challenge->realm, '?') ? '&' : '?', query->str);
    g_autofree char *basic = registry->login ? basic_of(registry->login) : NULL;
    const RegistryRequest request = {.method = "GET",
                                     .url = url,
                                     .limit = TOKEN_BYTES,
                                     .stays = true};
    *code = registry_try(registry, &request, basic, answer);
    return *code == CURLE_OK;
}

/* POST REALM with an identity token. */
static bool ask_by_post(Registry *registry, const Challenge *challenge, const char *scope,
                        RegistryAnswer *answer, CURLcode *code)
{
    static const char *const HEADERS[] = {"Content-Type: application/x-www-form-urlencoded", NULL};
    g_autoptr(GString) form = g_string_new(NULL);
    add_field(form, "grant_type", "refresh_token");
    add_field(form, "service", challenge->service);
    add_field(form, "client_id", "waybill");
    bool more = challenge->scope && strcmp(challenge->scope, scope) != 0;
    g_autofree char *both = more ? g_strdup_printf("%s %s", scope, challenge->scope) : NULL;
    add_field(form, "scope", both ? both : scope);
    add_field(form, "refresh_token", registry->login->secret);
    const RegistryRequest request = {.method = "POST",
                                     .url = challenge->realm,
                                     .headers = HEADERS,
                                     .body = form->str,
                                     .body_size = form->len,
                                     .limit = TOKEN_BYTES,
                                     .stays = true};
    *code = registry_try(registry, &request, NULL, answer);
    explicit_bzero(form->str, form->len);
    return *code == CURLE_OK;
}

static bool take_token(Registry *registry, const RegistryAnswer *answer, const char *actions,
                       GError **error)
{
    json_auto_t *root = json_loadb((const char *)answer->body->data, answer->body->len, 0, NULL);
    const char *token = json_string_value(json_object_get(root, "token"));
    if (!token)
        token = json_string_value(json_object_get(root, "access_token"));
    if (!token || !*token || strpbrk(token, "\r\n")) {
        g_set_error(error, REGISTRY_ERROR, REGISTRY_ERROR_MALFORMED,
                    "the token service of %s answered without a token", registry->host);
        return false;
    }
    int64_t seconds = json_integer_value(json_object_get(root, "expires_in"));
    seconds = seconds > 0 ? MIN(seconds, 86400) : LIFETIME_SECONDS;
    int64_t ms = seconds * 1000;
    if (seconds >= SHORT_LIFE)
        ms -= ms * EARLY_PER_CENT / 100;
    set_authorization(registry, g_strconcat("Bearer ", token, NULL), actions,
                      clock_monotonic_ms() + ms);
    return true;
}

/* refused: 400, 401, 403, 404: no token for this login, whatever the service calls it. */
static bool fail_token(const Registry *registry, bool refused, GError **error)
{
    g_autoptr(GError) failure = NULL;
    registry_fail(registry, &failure);
    if (refused)
        failure->code = REGISTRY_ERROR_LOGIN;
    g_propagate_error(error, g_steal_pointer(&failure));
    return false;
}

/* 429 and 5xx of the token service are waited for as the registry's own. */
static bool get_token(Registry *registry, const Challenge *challenge, const char *actions,
                      GError **error)
{
    RegistryPatience patience = {.began = clock_monotonic_ms()};
    g_autofree char *scope = scope_of(registry, actions);
    const bool identity = registry->login && !registry->login->user;
    const RegistryRequest named = {.part = registry->asking,
                                   .method = identity ? "POST" : "GET",
                                   .url = challenge->realm};
    for (;;) {
        g_auto(RegistryAnswer) answer = {0};
        CURLcode code;
        patience.tries++;
        bool answered = identity ? ask_by_post(registry, challenge, scope, &answer, &code)
                                 : ask_by_get(registry, challenge, scope, &answer, &code);
        registry_note(registry, &named, &patience, answered ? &answer : NULL, code);
        if (answered && answer.status == 200)
            return take_token(registry, &answer, actions, error);
        g_autoptr(GError) stopped = NULL;
        bool trouble = answered ? answer.status == 429 || answer.status >= 500
                                : registry_is_worth_a_try(registry, code, registry->fault);
        if (!registry_is_stopped(registry) && trouble &&
            registry_wait(registry, &patience, answered ? &answer : NULL, &stopped))
            continue;
        if (registry_is_stopped(registry)) {
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED,
                        "stopped while asking for a token");
            return false;
        }
        return fail_token(registry, answered && !trouble, error);
    }
}

bool registry_authorize(Registry *registry, const Challenge *challenge, const char *actions,
                        GError **error)
{
    if (challenge->bearer && challenge->realm)
        return check_realm(registry, challenge->realm, error) &&
               get_token(registry, challenge, actions, error);
    if (!challenge->basic || !registry->login || !registry->login->user || registry->authorization)
        return false;
    set_authorization(registry, basic_of(registry->login), NULL, 0);
    return true;
}
