#include "object/s3.h"

#include <gio/gio.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/error_domain.h"
#include "object/s3_private.h"

#define BODY_BYTES      ((guint)8 << 20) /* of a listing's page */
#define FIRST_WAIT_MS   200
#define LONGEST_WAIT_MS 10000
#define LOOK_MS         100
#define EMPTY_MAX       100
#define SKEW_SECONDS    900 /* services refuse signatures that are so old */

DEFINE_ERROR_DOMAIN(s3_error);

/* -- a bucket -- */

S3 *s3_open(const Settings *settings, const S3Address *address, S3Service *service,
            Progress *progress, GError **error)
{
    g_autoptr(S3) s3 = g_new0(S3, 1);
    s3->service = service;
    s3->bucket = g_strdup(address->bucket);
    s3->progress = progress;
    s3->ca_file = g_strdup(settings_text(settings, "objects.ca_file"));
    s3->retries = (int)settings_int(settings, "registry.retries");
    s3->timeout_seconds = (int)settings_int(settings, "registry.timeout_seconds");
    const char *host = strstr(service->endpoint, "://") + strlen("://");
    s3->host = service->path_style ? g_strdup(host) : g_strdup_printf("%s.%s", s3->bucket, host);
    s3->prefix = service->path_style ? g_strconcat("/", s3->bucket, NULL) : g_strdup("");
    curl_global_init(CURL_GLOBAL_DEFAULT);
    s3->curl = curl_easy_init();
    s3->multi = curl_multi_init();
    s3->sockets = g_array_new(FALSE, FALSE, sizeof(int));
    if (s3->curl && s3->multi)
        return g_steal_pointer(&s3);
    g_set_error(error, S3_ERROR, S3_ERROR_UNREACHABLE, "libcurl cannot be used");
    return NULL;
}

int s3_retries(const S3 *s3)
{
    return s3->retries;
}

static void failure_clear(S3Failure *failure)
{
    g_free(failure->method);
    g_free(failure->url);
    g_free(failure->code);
    g_free(failure->message);
    g_free(failure->request_id);
    g_free(failure->reason);
    *failure = (S3Failure){0};
}

S3Failure s3_failure_keep(S3 *s3)
{
    S3Failure kept = s3->failure;
    s3->failure = (S3Failure){0};
    return kept;
}

void s3_failure_restore(S3 *s3, S3Failure *failure)
{
    failure_clear(&s3->failure);
    s3->failure = *failure;
    *failure = (S3Failure){0};
}

void s3_free(S3 *s3)
{
    if (!s3)
        return;
    if (s3->curl)
        curl_easy_cleanup(s3->curl);
    if (s3->multi)
        curl_multi_cleanup(s3->multi);
    g_array_unref(s3->sockets); /* libcurl closes them above */
    failure_clear(&s3->failure);
    s3_service_free(s3->service);
    g_free(s3->bucket);
    g_free(s3->host);
    g_free(s3->prefix);
    g_free(s3->ca_file);
    g_free(s3);
}

const S3Failure *s3_failure(const S3 *s3)
{
    return &s3->failure;
}

const S3Service *s3_service(const S3 *s3)
{
    return s3->service;
}

const char *s3_bucket(const S3 *s3)
{
    return s3->bucket;
}

Progress *s3_progress(const S3 *s3)
{
    return s3->progress;
}

bool s3_is_same_service(const S3 *a, const S3 *b)
{
    const S3Credentials *ours = a->service->credentials, *theirs = b->service->credentials;
    return strcmp(a->service->endpoint, b->service->endpoint) == 0 && ours && theirs &&
           strcmp(ours->access_key, theirs->access_key) == 0 &&
           strcmp(ours->secret_key, theirs->secret_key) == 0;
}

/* -- answers -- */

void s3_answer_begin(S3 *s3, S3Answer *answer)
{
    s3_answer_clear(answer);
    answer->of = s3;
    answer->body = g_byte_array_new();
    answer->size = answer->retry_after_s = -1;
}

void s3_answer_clear(S3Answer *answer)
{
    g_clear_pointer(&answer->body, g_byte_array_unref);
    g_free(answer->etag);
    g_free(answer->request_id);
    g_free(answer->date);
    g_free(answer->origin);
    g_free(answer->checksum);
    *answer = (S3Answer){0};
}

static void take_text(char **field, const char *value)
{
    g_free(*field);
    *field = g_strdup(value);
}

static void take_etag(S3Answer *answer, const char *value)
{
    const size_t length = strlen(value);
    bool quoted = length >= 2 && value[0] == '"' && value[length - 1] == '"';
    g_free(answer->etag);
    answer->etag = quoted ? g_strndup(value + 1, length - 2) : g_strdup(value);
}

/* That of an upload in parts is none of the bytes: it has a hyphen and a number behind it. */
static void take_checksum(S3Answer *answer, const char *value)
{
    gsize length = 0;
    g_autofree guchar *sum = strchr(value, '-') ? NULL : g_base64_decode(value, &length);
    GString *text = g_string_new(length == 32 ? "sha256:" : "");
    for (gsize i = 0; length == 32 && i < length; i++)
        g_string_append_printf(text, "%02x", sum[i]);
    g_free(answer->checksum);
    answer->checksum = g_string_free(text, !text->len);
}

size_t s3_answer_header(char *data, size_t one, size_t size, void *user)
{
    S3Answer *answer = user;
    g_autofree char *line = g_strndup(data, one * size);
    char *colon = strchr(line, ':');
    if (strcmp(line, "\r\n") == 0) /* the head has ended */
        s3_sockets_acknowledge(answer->of);
    if (!colon)
        return one * size;
    *colon = '\0';
    const char *value = g_strstrip(colon + 1);
    guint64 number;
    if (g_ascii_strcasecmp(line, "etag") == 0)
        take_etag(answer, value);
    else if (g_ascii_strcasecmp(line, "x-amz-request-id") == 0)
        take_text(&answer->request_id, value);
    else if (g_ascii_strcasecmp(line, S3_ORIGIN_HEADER) == 0)
        take_text(&answer->origin, value);
    else if (g_ascii_strcasecmp(line, "x-amz-checksum-sha256") == 0)
        take_checksum(answer, value);
    else if (g_ascii_strcasecmp(line, "date") == 0)
        take_text(&answer->date, value);
    else if (g_ascii_strcasecmp(line, "last-modified") == 0)
        answer->modified_ms = (int64_t)curl_getdate(value, NULL) * 1000;
    else if (g_ascii_strcasecmp(line, "content-length") == 0 &&
             g_ascii_string_to_unsigned(value, 10, 0, G_MAXINT64, &number, NULL))
        answer->size = (int64_t)number;
    else if (g_ascii_strcasecmp(line, "retry-after") == 0 &&
             g_ascii_string_to_unsigned(value, 10, 0, 86400, &number, NULL))
        answer->retry_after_s = (int64_t)number;
    return one * size;
}

static size_t take_body(char *data, size_t one, size_t size, void *user)
{
    S3Answer *answer = user;
    if (answer->body->len + one * size > BODY_BYTES)
        return 0;
    g_byte_array_append(answer->body, (const guint8 *)data, (guint)(one * size));
    return one * size;
}

/* -- a request -- */

static bool is_stopped(const S3 *s3)
{
    return s3->progress && progress_stopped(s3->progress);
}

static int look_at_stop(void *user, curl_off_t a G_GNUC_UNUSED, curl_off_t b G_GNUC_UNUSED,
                        curl_off_t c G_GNUC_UNUSED, curl_off_t d G_GNUC_UNUSED)
{
    return is_stopped(user);
}

static char *path_of(const S3 *s3, const char *key)
{
    g_autofree char *escaped = key ? s3_escape(key, TRUE) : NULL;
    return g_strdup_printf("%s/%s", s3->prefix, escaped ? escaped : "");
}

static void configure(S3 *s3, CURL *curl, char *fault)
{
    s3_sockets_configure(s3, curl);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, fault);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L); /* a key may have .. in it */
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)s3->timeout_seconds);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1024L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)s3->timeout_seconds);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, look_at_stop);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, s3);
    if (*s3->ca_file)
        curl_easy_setopt(curl, CURLOPT_CAINFO, s3->ca_file);
}

static char *payload_of(const S3Ask *ask)
{
    g_autofree char *digest = digest_of(ask->body, ask->size);
    return g_strdup(digest_hex(digest));
}

/* libcurl would call every body a form, and wait for leave to send it. */
static void give_body(CURL *curl, const S3Ask *ask, struct curl_slist **headers)
{
    if (strcmp(ask->method, "GET") == 0 || strcmp(ask->method, "HEAD") == 0)
        return;
    *headers = curl_slist_append(*headers, "Content-Type:");
    *headers = curl_slist_append(*headers, "Expect:");
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, ask->body ? ask->body : "");
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)ask->size);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, ask->method);
}

void s3_prepare(S3 *s3, CURL *curl, const S3Ask *ask, struct curl_slist **headers, char *fault)
{
    g_autofree char *path = path_of(s3, ask->key);
    g_autofree char *query = ask->query ? s3_query(ask->query) : g_strdup("");
    g_autofree char *payload = ask->body ? payload_of(ask) : g_strdup(S3_NO_PAYLOAD);
    const S3Request request = {ask->method, s3->host, path, query, payload, ask->headers};
    g_auto(GStrv) lines = s3_sign(&request, s3->service->credentials, s3->service->region,
                                  clock_now_ms() / 1000 + s3->skew_s);
    const char *scheme_end = strstr(s3->service->endpoint, "://");
    g_autofree char *url =
        g_strdup_printf("%.*s://%s%s%s%s", (int)(scheme_end - s3->service->endpoint),
                        s3->service->endpoint, s3->host, path, *query ? "?" : "", query);
    *headers = NULL;
    for (char **line = lines; *line; line++)
        *headers = curl_slist_append(*headers, *line);
    give_body(curl, ask, headers);
    configure(s3, curl, fault);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, *headers);
    curl_easy_setopt(curl, CURLOPT_NOBODY, strcmp(ask->method, "HEAD") == 0 ? 1L : 0L);
}

static CURLcode try_once(S3 *s3, const S3Ask *ask, S3Answer *answer)
{
    struct curl_slist *headers;
    s3_answer_begin(s3, answer);
    curl_easy_reset(s3->curl);
    *s3->fault = '\0';
    s3_prepare(s3, s3->curl, ask, &headers, s3->fault);
    curl_easy_setopt(s3->curl, CURLOPT_HEADERFUNCTION, s3_answer_header);
    curl_easy_setopt(s3->curl, CURLOPT_HEADERDATA, answer);
    curl_easy_setopt(s3->curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(s3->curl, CURLOPT_WRITEDATA, answer);
    CURLcode code = curl_easy_perform(s3->curl);
    if (code == CURLE_OK)
        curl_easy_getinfo(s3->curl, CURLINFO_RESPONSE_CODE, &answer->status);
    curl_slist_free_all(headers);
    return code;
}

bool s3_is_worth_a_try(const S3Answer *answer, CURLcode code)
{
    if (answer->status)
        return answer->status == 429 || (answer->status >= 500 && answer->status != 501);
    return code != CURLE_ABORTED_BY_CALLBACK && code != CURLE_PEER_FAILED_VERIFICATION &&
           code != CURLE_COULDNT_RESOLVE_HOST && code != CURLE_URL_MALFORMAT &&
           code != CURLE_SSL_CACERT_BADFILE && code != CURLE_WRITE_ERROR;
}

int64_t s3_wait_ms(const S3Answer *answer, int tries)
{
    int64_t wait = MIN((int64_t)FIRST_WAIT_MS << MIN(tries - 1, 10), LONGEST_WAIT_MS);
    wait = wait / 2 + g_random_int_range(0, (gint32)(wait / 2) + 1);
    return MAX(wait, answer->retry_after_s * 1000);
}

bool s3_pause(const S3 *s3, int64_t ms)
{
    int64_t end = clock_monotonic_ms() + ms;
    while (!is_stopped(s3)) {
        int64_t left = end - clock_monotonic_ms();
        if (left <= 0)
            return true;
        g_usleep((gulong)MIN(left, LOOK_MS) * 1000);
    }
    return false;
}

/* A clock that is wrong is corrected once, by what the service says. */
static bool corrects_clock(S3 *s3, const S3Answer *answer)
{
    time_t there = answer->date ? curl_getdate(answer->date, NULL) : -1;
    if (answer->status != 403 || there < 0 || s3->skew_s)
        return false;
    int64_t skew = (int64_t)there - clock_now_ms() / 1000;
    if (ABS(skew) < SKEW_SECONDS)
        return false;
    s3->skew_s = skew;
    return true;
}

bool s3_ask(S3 *s3, const S3Ask *ask, S3Answer *answer, GError **error)
{
    int64_t began = clock_monotonic_ms();
    for (int tries = 1;; tries++) {
        CURLcode code = try_once(s3, ask, answer);
        if (answer->status && answer->status < 300)
            return true;
        if (is_stopped(s3)) {
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED, "stopped while asking %s",
                        s3->host);
            return false;
        }
        if (corrects_clock(s3, answer))
            continue;
        s3_note(s3, ask, answer, code, s3->fault, tries, began);
        if (!s3_is_worth_a_try(answer, code) || tries > s3->retries ||
            answer->retry_after_s > s3->timeout_seconds)
            return s3_fail(s3, error);
        s3_pause(s3, s3_wait_ms(answer, tries));
    }
}

/* -- what failed -- */

static const char *unreachable_name(CURLcode code)
{
    switch (code) {
    case CURLE_COULDNT_CONNECT:
        return "refused";
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return "dns";
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CACERT_BADFILE:
        return "tls";
    case CURLE_OPERATION_TIMEDOUT:
        return "timeout";
    default:
        return "broken";
    }
}

void s3_note(S3 *s3, const S3Ask *ask, const S3Answer *answer, CURLcode code, const char *fault,
             int tries, int64_t began)
{
    S3Failure *failure = &s3->failure;
    g_autofree char *path = path_of(s3, ask->key);
    failure_clear(failure);
    failure->method = g_strdup(ask->method);
    failure->of_bucket = !ask->key;
    failure->action = ask->action;
    const char *scheme_end = strstr(s3->service->endpoint, "://");
    failure->url = g_strdup_printf("%.*s://%s%s", (int)(scheme_end - s3->service->endpoint),
                                   s3->service->endpoint, s3->host, path);
    failure->tries = tries;
    failure->waited_ms = clock_monotonic_ms() - began;
    failure->clock_skew_s = s3->skew_s;
    failure->status = answer->status;
    failure->request_id = g_strdup(answer->request_id);
    if (answer->status && answer->body)
        s3_xml_error(answer->body->data, answer->body->len, &failure->code, &failure->message,
                     &failure->request_id);
    if (!answer->status) {
        failure->unreachable = unreachable_name(code);
        failure->reason = g_strdup(fault && *fault ? fault : curl_easy_strerror(code));
        failure->unanswered =
            code == CURLE_PARTIAL_FILE ? S3_ERROR_SHORT_BODY : S3_ERROR_UNREACHABLE;
    }
}

/* What a service says of a body whose digest is another than that which was signed. */
static bool is_of_checksum(const char *code)
{
    static const char *const CODES[] = {"BadDigest", "XAmzContentSHA256Mismatch",
                                        "XAmzContentChecksumMismatch", NULL};
    return g_strv_contains(CODES, code);
}

static S3ErrorCode error_of(const S3Failure *failure)
{
    const char *code = failure->code ? failure->code : "";
    switch (failure->status) {
    case 0:
        return failure->unanswered;
    case 401:
    case 403:
        return S3_ERROR_DENIED;
    case 404:
        return strcmp(code, "NoSuchBucket") == 0 ? S3_ERROR_NO_BUCKET : S3_ERROR_NO_KEY;
    case 412:
        return S3_ERROR_CHANGED;
    case 429:
    case 503:
        return S3_ERROR_THROTTLED;
    default:
        return failure->status >= 500 ? S3_ERROR_SERVER
               : is_of_checksum(code) ? S3_ERROR_CHECKSUM
                                      : S3_ERROR_MALFORMED;
    }
}

bool s3_fail(const S3 *s3, GError **error)
{
    const S3Failure *failure = &s3->failure;
    if (!failure->status)
        g_set_error(error, S3_ERROR, (int)error_of(failure), "%s %s: %s", failure->method,
                    failure->url, failure->reason);
    else
        g_set_error(error, S3_ERROR, (int)error_of(failure), "%s %s: %ld%s%s", failure->method,
                    failure->url, failure->status, failure->code ? " " : "",
                    failure->code ? failure->code : "");
    return false;
}

bool s3_fail_malformed(S3 *s3, const S3Ask *ask, const S3Answer *answer, const char *what,
                       GError **error)
{
    s3_note(s3, ask, answer, CURLE_OK, NULL, 1, clock_monotonic_ms());
    g_set_error(error, S3_ERROR, S3_ERROR_MALFORMED, "%s %s: %s", ask->method, s3->failure.url,
                what);
    return false;
}

/* -- listings -- */

/* A service that gives the token again that it was asked with would never end. */
static S3Page *list_page(S3 *s3, const char *prefix, const char *token, bool may_go_on,
                         GError **error)
{
    g_auto(S3Answer) answer = {0};
    const char *query[] = {"list-type",
                           "2",
                           "encoding-type",
                           "url",
                           "prefix",
                           prefix,
                           token ? "continuation-token" : NULL,
                           token,
                           NULL};
    const S3Ask ask = {.method = "GET", .action = "list", .query = query};
    const char *fault;
    if (!s3_ask(s3, &ask, &answer, error))
        return NULL;
    g_autoptr(S3Page) page = s3_xml_page(answer.body->data, answer.body->len, &fault);
    if (page && page->next && (!may_go_on || g_strcmp0(page->next, token) == 0))
        fault = "a listing that does not end";
    if (page && !fault)
        return g_steal_pointer(&page);
    s3_fail_malformed(s3, &ask, &answer, fault, error);
    return NULL;
}

S3Page *s3_list(S3 *s3, const char *prefix, const char *token, GError **error)
{
    return list_page(s3, prefix, token, true, error);
}

bool s3_each(S3 *s3, const char *prefix, S3Look look, gpointer data, GError **error)
{
    g_autofree char *token = NULL;
    int empty = 0; /* pages without an object, one after the other */
    do {
        g_autoptr(S3Page) page = list_page(s3, prefix, token, empty < EMPTY_MAX, error);
        if (!page)
            return false;
        empty = page->objects->len ? 0 : empty + 1;
        for (guint i = 0; i < page->objects->len; i++) {
            g_autoptr(GError) failure = NULL;
            if (look(data, page->objects->pdata[i], &failure))
                continue;
            if (!failure)
                return true;
            g_propagate_error(error, g_steal_pointer(&failure));
            return false;
        }
        g_free(token);
        token = g_steal_pointer(&page->next);
    } while (token);
    return true;
}
