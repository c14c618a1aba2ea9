/* One request to a registry, until there is an answer that counts. */
#include <gio/gio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "event/event.h"
#include "image/registry_private.h"

#define CONNECT_SECONDS   15
#define MAX_REDIRECTS     5L
#define PATIENT_TIMES     5 /* registry.timeout_seconds that a whole answer may take, dripping */
#define FIRST_WAIT_MS     400
#define LONGEST_WAIT_MS   10000
#define SLOWEST           1024L /* bytes a second, over registry.timeout_seconds */
#define LOOK_MS           50    /* for a stop, while it waits */
#define ERROR_TEXT_LENGTH 300
#define HEADER_BYTES      ((size_t)256 << 10) /* of all answers on the way */

void registry_answer_clear(RegistryAnswer *answer)
{
    g_clear_pointer(&answer->body, g_byte_array_unref);
    g_clear_pointer(&answer->headers, g_hash_table_unref);
    challenge_clear(&answer->challenge);
    answer->status = 0;
    answer->header_bytes = 0;
    answer->over = false;
}

const char *registry_answer_header(const RegistryAnswer *answer, const char *name)
{
    return answer->headers ? g_hash_table_lookup(answer->headers, name) : NULL;
}

/* -- one try -- */

typedef struct {
    RegistryAnswer *answer;
    size_t limit;
} Taking;

static size_t take_body(char *data, size_t one, size_t size, void *user)
{
    Taking *taking = user;
    if (taking->answer->body->len + size > taking->limit) {
        taking->answer->over = true;
        return 0;
    }
    g_byte_array_append(taking->answer->body, (const guint8 *)data, (guint)(one * size));
    return size;
}

void registry_answer_begin(RegistryAnswer *answer)
{
    registry_answer_clear(answer);
    answer->body = g_byte_array_new();
    answer->headers = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
}

bool registry_answer_take_header(RegistryAnswer *answer, const char *data, size_t size)
{
    answer->header_bytes += size;
    if (answer->header_bytes > HEADER_BYTES)
        return false;
    g_autofree char *line = g_strndup(data, size);
    if (g_str_has_prefix(line, "HTTP/")) { /* of the answer that counts, not of a redirect */
        g_hash_table_remove_all(answer->headers);
        challenge_clear(&answer->challenge);
        g_byte_array_set_size(answer->body, 0);
    }
    char *colon = strchr(line, ':');
    if (!colon)
        return true;
    *colon = '\0';
    char *name = g_ascii_strdown(line, -1), *value = g_strdup(g_strstrip(colon + 1));
    if (strcmp(name, "www-authenticate") == 0)
        challenge_read(&answer->challenge, value);
    g_hash_table_replace(answer->headers, name, value);
    return true;
}

static size_t take_header(char *data, size_t one, size_t size, void *user)
{
    return registry_answer_take_header(((Taking *)user)->answer, data, one * size) ? size : 0;
}

bool registry_is_stopped(const Registry *registry)
{
    return registry->progress && progress_stopped(registry->progress);
}

static int look_for_stop(void *user, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
                         curl_off_t up)
{
    return registry_is_stopped(user);
}

/* This machine and what is linked to it directly: services that trust whoever reaches them. */
static bool is_near(const char *ip)
{
    const bool mapped = g_ascii_strncasecmp(ip, "::ffff:", 7) == 0 && strchr(ip, '.');
    g_autoptr(GInetAddress) address = g_inet_address_new_from_string(mapped ? ip + 7 : ip);
    return address &&
           (g_inet_address_get_is_loopback(address) || g_inet_address_get_is_link_local(address) ||
            g_inet_address_get_is_any(address));
}

/* A registry elsewhere leads nobody to a service of this machine: nothing is asked there. */
static int check_peer(void *user, char *ip, char *own_ip, int port, int own_port)
{
    Registry *registry = user;
    long redirects = 0;
    curl_easy_getinfo(registry->last, CURLINFO_REDIRECT_COUNT, &redirects);
    if (redirects == 0)
        registry->near = is_near(ip);
    return redirects == 0 || registry->near || !is_near(ip) ? CURL_PREREQFUNC_OK
                                                            : CURL_PREREQFUNC_ABORT;
}

void registry_configure(Registry *registry, CURL *curl, char *fault)
{
    registry->last = curl;
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, registry->plain_http ? "http,https" : "https");
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR,
                     registry->plain_http ? "http,https" : "https");
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, MAX_REDIRECTS);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "waybill");
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, fault);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT,
                     (long)MIN(CONNECT_SECONDS, registry->timeout_seconds));
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, SLOWEST);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)registry->timeout_seconds);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, look_for_stop);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, registry);
    curl_easy_setopt(curl, CURLOPT_PREREQFUNCTION, check_peer);
    curl_easy_setopt(curl, CURLOPT_PREREQDATA, registry);
    if (*registry->ca_file)
        curl_easy_setopt(curl, CURLOPT_CAINFO, registry->ca_file);
}

static struct curl_slist *make_headers(const RegistryRequest *request, const char *authorization)
{
    struct curl_slist *list = NULL;
    for (const char *const *header = request->headers; header && *header; header++)
        list = curl_slist_append(list, *header);
    if (authorization) { /* libcurl keeps it from another host, port and scheme */
        g_autofree char *line = g_strconcat("Authorization: ", authorization, NULL);
        list = curl_slist_append(list, line);
    }
    return curl_slist_append(list, "Expect:");
}

static void set_method(CURL *curl, const RegistryRequest *request)
{
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
    if (strcmp(request->method, "HEAD") == 0)
        curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    if (!request->body && strcmp(request->method, "POST") != 0 &&
        strcmp(request->method, "PUT") != 0)
        return;
    curl_easy_setopt(curl, CURLOPT_POST, 1L);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_size);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body ? request->body : "");
}

CURLcode registry_try(Registry *registry, const RegistryRequest *request, const char *authorization,
                      RegistryAnswer *answer)
{
    CURL *curl = registry->curl;
    Taking taking = {answer, request->limit};
    registry_answer_begin(answer);
    *registry->fault = '\0';
    curl_easy_reset(curl); /* the connection stays */
    registry_configure(registry, curl, registry->fault);
    if (request->patient)
        curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME,
                         (long)registry->timeout_seconds * PATIENT_TIMES);
    g_autofree char *url = *request->url == '/' ? g_strconcat(registry->root, request->url, NULL)
                                                : g_strdup(request->url);
    struct curl_slist *headers = make_headers(request, authorization);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)registry->timeout_seconds * PATIENT_TIMES);
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, request->stays ? 0L : 1L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &taking);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &taking);
    set_method(curl, request);
    CURLcode code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer->status);
    curl_slist_free_all(headers);
    return code;
}

/* -- what failed -- */

void registry_failure_clear(RegistryFailure *failure)
{
    g_free(failure->method);
    g_free(failure->url);
    g_free(failure->code);
    g_free(failure->message);
    g_free(failure->reason);
    g_free(failure->host);
    g_free(failure->ip);
    g_free(failure->challenge_error);
    g_free(failure->user);
    *failure = (RegistryFailure){0};
}

static const char *unreachable_name(CURLcode code)
{
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return "dns";
    case CURLE_COULDNT_CONNECT:
        return "refused";
    case CURLE_OPERATION_TIMEDOUT:
        return "timeout";
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
        return "tls";
    default:
        return "broken";
    }
}

/* What comes from there, for whoever shows it; NULL: nothing. */
static char *readable(const char *text)
{
    char *escaped = text ? event_text(text) : NULL;
    if (escaped && strlen(escaped) > ERROR_TEXT_LENGTH)
        *g_utf8_find_prev_char(escaped, escaped + ERROR_TEXT_LENGTH) = '\0';
    return escaped;
}

/* {"errors": [{"code", "message"}]} (distribution-spec, "Error Codes"); of a token service also
 * {"error", "error_description"} (RFC 6749, section 5.2) or {"details"}. */
static void note_error_codes(RegistryFailure *failure, const RegistryAnswer *answer)
{
    json_auto_t *root = json_loadb((const char *)answer->body->data, answer->body->len, 0, NULL);
    const json_t *first = json_array_get(json_object_get(root, "errors"), 0);
    const char *code = json_string_value(json_object_get(first, "code"));
    const char *message = json_string_value(json_object_get(first, "message"));
    if (!code)
        code = json_string_value(json_object_get(root, "error"));
    if (!message)
        message = json_string_value(json_object_get(root, "error_description"));
    if (!message)
        message = json_string_value(json_object_get(root, "details"));
    failure->code = readable(code);
    failure->message = readable(message);
}

/* Seconds, or a date (RFC 9110, section 10.2.3), as ms from now; -1: not said. */
static int64_t retry_after_ms(const RegistryAnswer *answer)
{
    const char *text = registry_answer_header(answer, "retry-after");
    guint64 seconds;
    if (!text)
        return -1;
    if (g_ascii_string_to_unsigned(text, 10, 0, 365 * 86400, &seconds, NULL))
        return (int64_t)seconds * 1000;
    time_t when = curl_getdate(text, NULL);
    return when < 0 ? -1 : MAX((int64_t)when * 1000 - clock_now_ms(), 0);
}

static void note_answer(RegistryFailure *failure, const RegistryAnswer *answer)
{
    failure->status = answer->status;
    note_error_codes(failure, answer);
    failure->challenge_error = readable(answer->challenge.error);
    int64_t after = retry_after_ms(answer);
    if (after >= 0)
        failure->retry_at = clock_now_ms() + after;
    const char *date = registry_answer_header(answer, "date");
    time_t there = date ? curl_getdate(date, NULL) : -1;
    if (there >= 0)
        failure->clock_skew_s = (int64_t)there - clock_now_ms() / 1000;
}

void registry_take_failure(Registry *registry, Registry *from)
{
    registry_failure_clear(&registry->failure);
    registry->failure = from->failure;
    from->failure = (RegistryFailure){0};
}

/* HOST[:PORT] that was asked last: a token service or a redirect may have led elsewhere. */
static char *last_host(const Registry *registry)
{
    char *url = NULL;
    curl_easy_getinfo(registry->last, CURLINFO_EFFECTIVE_URL, &url);
    g_autoptr(GUri) uri = url ? g_uri_parse(url, G_URI_FLAGS_NONE, NULL) : NULL;
    const char *host = uri ? g_uri_get_host(uri) : NULL;
    if (!host || g_str_has_prefix(url, registry->root))
        return g_strdup(registry->host);
    g_autofree char *whole = g_strdup_printf(strchr(host, ':') ? "[%s]" : "%s", host);
    int port = g_uri_get_port(uri);
    return port < 0 ? g_steal_pointer(&whole) : g_strdup_printf("%s:%d", whole, port);
}

void registry_note(Registry *registry, const RegistryRequest *request,
                   const RegistryPatience *patience, const RegistryAnswer *answer, CURLcode code)
{
    RegistryFailure *failure = &registry->failure;
    char *ip = NULL;
    registry_failure_clear(failure);
    failure->noted_at = g_get_monotonic_time();
    failure->part = request->part;
    failure->method = g_strdup(request->method);
    failure->url = *request->url == '/' ? g_strconcat(registry->root, request->url, NULL)
                                        : g_strdup(request->url);
    failure->url[strcspn(failure->url, "?#")] = '\0';
    failure->tries = patience ? patience->tries : 1;
    failure->waited_ms = patience ? clock_monotonic_ms() - patience->began : 0;
    failure->anonymous = !registry->login;
    failure->user = registry->login ? g_strdup(registry->login->user) : NULL;
    failure->login_origin = registry->login ? registry->login->origin : "none";
    curl_easy_getinfo(registry->last, CURLINFO_PRIMARY_IP, &ip);
    if (ip && *ip)
        failure->ip = g_strdup(ip);
    failure->host = last_host(registry);
    if (answer) {
        note_answer(failure, answer);
        return;
    }
    failure->unreachable = unreachable_name(code);
    failure->reason =
        code == CURLE_ABORTED_BY_CALLBACK
            ? g_strdup_printf("it redirects to %s, an address of this machine", failure->host)
            : readable(*registry->fault ? registry->fault : curl_easy_strerror(code));
}

static RegistryErrorCode error_of_status(long status)
{
    if (status == 401)
        return REGISTRY_ERROR_LOGIN;
    if (status == 403)
        return REGISTRY_ERROR_DENIED;
    if (status == 404)
        return REGISTRY_ERROR_NOT_FOUND;
    if (status == 429)
        return REGISTRY_ERROR_THROTTLED;
    return status >= 500 ? REGISTRY_ERROR_SERVER : REGISTRY_ERROR_MALFORMED;
}

bool registry_fail(const Registry *registry, GError **error)
{
    const RegistryFailure *failure = &registry->failure;
    if (!failure->status) {
        g_set_error(error, REGISTRY_ERROR, REGISTRY_ERROR_UNREACHABLE, "%s: %s", failure->host,
                    failure->reason);
        return false;
    }
    g_autofree char *message = failure->message ? g_strconcat(": ", failure->message, NULL) : NULL;
    g_set_error(error, REGISTRY_ERROR, error_of_status(failure->status), "%s %s: %ld%s%s%s",
                failure->method, failure->url, failure->status, failure->code ? " " : "",
                failure->code ? failure->code : "", message ? message : "");
    return false;
}

bool registry_refuse(Registry *registry, const RegistryRequest *request,
                     const RegistryAnswer *answer, GError **error)
{
    registry_note(registry, request, NULL, answer, CURLE_OK);
    return registry_fail(registry, error);
}

/* -- patience -- */

static bool sleep_for(Registry *registry, int64_t ms)
{
    int64_t end = clock_monotonic_ms() + ms;
    while (!registry_is_stopped(registry)) {
        int64_t left = end - clock_monotonic_ms();
        if (left <= 0)
            return true;
        g_usleep((gulong)MIN(left, LOOK_MS) * 1000);
    }
    return false;
}

bool registry_wait(Registry *registry, RegistryPatience *patience, const RegistryAnswer *answer,
                   GError **error)
{
    if (patience->tries > registry->retries)
        return false;
    int64_t wait = MIN(FIRST_WAIT_MS << MIN(patience->tries - 1, 10), LONGEST_WAIT_MS);
    wait = wait / 2 + g_random_int_range(0, (gint32)(wait / 2) + 1);
    int64_t asked = answer ? retry_after_ms(answer) : -1;
    int64_t bearable = (int64_t)registry->timeout_seconds * 1000;
    if (asked > bearable) /* whoever asked for the import tries again then */
        return false;
    if (sleep_for(registry, MAX(wait, asked)))
        return true;
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED, "stopped while waiting for %s",
                registry->host);
    return false;
}

/* A certificate is not better at the next try, nor is a name that is not known or a port that
 * nobody listens on by much: only our own registry is known to be there, and is restarted now and
 * then. */
bool registry_is_worth_a_try(const Registry *registry, CURLcode code, const char *fault)
{
    if (code == CURLE_SSL_CONNECT_ERROR && strstr(fault, "wrong version number"))
        return false; /* what OpenSSL calls a server without TLS */
    return code != CURLE_ABORTED_BY_CALLBACK && code != CURLE_PEER_FAILED_VERIFICATION &&
           code != CURLE_SSL_CACERT_BADFILE && code != CURLE_SSL_CERTPROBLEM &&
           code != CURLE_URL_MALFORMAT && code != CURLE_UNSUPPORTED_PROTOCOL &&
           code != CURLE_TOO_MANY_REDIRECTS && code != CURLE_COULDNT_RESOLVE_HOST &&
           (code != CURLE_COULDNT_CONNECT || registry->ours);
}

static bool fail_over(Registry *registry, const RegistryRequest *request,
                      const RegistryPatience *patience, const RegistryAnswer *answer,
                      GError **error)
{
    registry_note(registry, request, patience, answer, CURLE_OK);
    g_set_error(error, REGISTRY_ERROR, REGISTRY_ERROR_MALFORMED,
                "%s answered %s with more than %zu bytes", registry->host, registry->failure.url,
                request->limit);
    return false;
}

/* There was no answer. Whether to try again. */
static bool outlast_silence(Registry *registry, const RegistryRequest *request,
                            RegistryPatience *patience, const RegistryAnswer *answer, CURLcode code,
                            GError **error)
{
    g_autoptr(GError) stopped = NULL;
    if (registry_is_stopped(registry)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED, "stopped while asking %s",
                    registry->host);
        return false;
    }
    if (answer->over)
        return fail_over(registry, request, patience, answer, error);
    registry_note(registry, request, patience, NULL, code);
    if (registry_is_worth_a_try(registry, code, registry->fault) &&
        registry_wait(registry, patience, NULL, &stopped))
        return true;
    if (stopped)
        g_propagate_error(error, g_steal_pointer(&stopped));
    else
        registry_fail(registry, error);
    return false;
}

/* The registry is busy or failing. Whether to try again. */
static bool outlast_trouble(Registry *registry, const RegistryRequest *request,
                            RegistryPatience *patience, const RegistryAnswer *answer,
                            GError **error)
{
    g_autoptr(GError) stopped = NULL;
    if (registry_wait(registry, patience, answer, &stopped))
        return true;
    registry_note(registry, request, patience, answer, CURLE_OK);
    if (stopped)
        g_propagate_error(error, g_steal_pointer(&stopped));
    else
        registry_fail(registry, error);
    return false;
}

/* 401: with what it asks for, once more; a fresh token that is refused again is a refusal. */
static bool log_in(Registry *registry, const RegistryRequest *request,
                   const RegistryPatience *patience, const RegistryAnswer *answer, int *logins,
                   GError **error)
{
    g_autoptr(GError) failure = NULL;
    registry_note(registry, request, patience, answer, CURLE_OK);
    if (request->actions && (*logins)++ == 0 &&
        registry_authorize(registry, &answer->challenge, request->actions, &failure))
        return true;
    if (!failure)
        registry_fail(registry, &failure);
    g_propagate_error(error, g_steal_pointer(&failure));
    return false;
}

bool registry_request(Registry *registry, const RegistryRequest *request, RegistryAnswer *answer,
                      GError **error)
{
    RegistryPatience patience = {.began = clock_monotonic_ms()};
    int logins = 0;
    registry->asking = request->part;
    for (;;) {
        bool known = request->actions && registry_is_authorized(registry, request->actions);
        patience.tries++;
        CURLcode code =
            registry_try(registry, request, known ? registry->authorization : NULL, answer);
        bool again = true;
        if (code != CURLE_OK)
            again = outlast_silence(registry, request, &patience, answer, code, error);
        else if (answer->status == 401)
            again = log_in(registry, request, &patience, answer, &logins, error);
        else if (answer->status == 429 || answer->status >= 500)
            again = outlast_trouble(registry, request, &patience, answer, error);
        else
            break;
        if (!again)
            return false;
    }
    registry_failure_clear(&registry->failure); /* of what was outlasted */
    return true;
}
