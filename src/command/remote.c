#include "command/remote.h"

#include <curl/curl.h>
#include <string.h>

#include "base/error_domain.h"

#define CONNECT_SECONDS 10
#define SILENT_SECONDS  75 /* longer than the longest ?wait= */
#define ANSWER_BYTES    (256 << 20)
#define TRIES           3

DEFINE_ERROR_DOMAIN(remote_error);

struct Remote {
    char *url, *project, *token;
    Progress *progress;
    CURL *curl;
    char fault[CURL_ERROR_SIZE];
};

void remote_free(Remote *remote)
{
    if (!remote)
        return;
    if (remote->curl)
        curl_easy_cleanup(remote->curl);
    g_free(remote->url);
    g_free(remote->project);
    g_free(remote->token);
    g_free(remote);
}

void remote_answer_clear(RemoteAnswer *answer)
{
    g_clear_pointer(&answer->body, g_byte_array_unref);
    g_clear_pointer(&answer->headers, g_hash_table_unref);
}

static const char *environment(const char *name)
{
    const char *value = g_getenv(name);
    return value && *value ? value : NULL;
}

Remote *remote_new(const char *url, const char *project, Progress *progress, GError **error)
{
    g_autoptr(GUri) uri = g_uri_parse(url, G_URI_FLAGS_NONE, NULL);
    const char *scheme = uri ? g_uri_get_scheme(uri) : "";
    if (!uri || !g_uri_get_host(uri) || !*g_uri_get_host(uri) || g_uri_get_query(uri) ||
        (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0)) {
        g_set_error(error, REMOTE_ERROR, REMOTE_ERROR_REQUEST,
                    "--server is \"%s\"; expected an address such as http://127.0.0.1:8420", url);
        return NULL;
    }
    g_autoptr(Remote) remote = g_new0(Remote, 1);
    remote->url = g_strdup(url);
    while (g_str_has_suffix(remote->url, "/"))
        remote->url[strlen(remote->url) - 1] = '\0';
    remote->project = g_strdup(project);
    remote->token = g_strdup(environment("WAYBILL_TOKEN"));
    remote->progress = progress;
    curl_global_init(CURL_GLOBAL_DEFAULT);
    remote->curl = curl_easy_init();
    if (!remote->curl) {
        g_set_error(error, REMOTE_ERROR, REMOTE_ERROR_UNREACHABLE, "libcurl cannot be used");
        return NULL;
    }
    return g_steal_pointer(&remote);
}

Remote *remote_copy(const Remote *remote)
{
    return remote_new(remote->url, remote->project, remote->progress, NULL);
}

const char *remote_url(const Remote *remote)
{
    return remote->url;
}

char *remote_path(const Remote *remote, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *rest = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_autofree char *project = remote_escape(remote->project);
    return g_strconcat("/v1/", project, rest, NULL);
}

char *remote_escape(const char *text)
{
    return g_uri_escape_string(text, NULL, FALSE);
}

/* -- one request -- */

static size_t take_body(char *data, size_t one, size_t size, void *user)
{
    RemoteAnswer *answer = user;
    if (answer->body->len + size > ANSWER_BYTES)
        return 0;
    g_byte_array_append(answer->body, (const guint8 *)data, (guint)(one * size));
    return size;
}

static size_t take_header(char *data, size_t one, size_t size, void *user)
{
    RemoteAnswer *answer = user;
    g_autofree char *line = g_strndup(data, one * size);
    char *colon = strchr(line, ':');
    if (g_str_has_prefix(line, "HTTP/"))
        g_hash_table_remove_all(answer->headers); /* of the answer that counts, not of 100 */
    if (colon) {
        *colon = '\0';
        g_hash_table_replace(answer->headers, g_ascii_strdown(line, -1),
                             g_strdup(g_strstrip(colon + 1)));
    }
    return size;
}

static int look_for_stop(void *user, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
                         curl_off_t up)
{
    Remote *remote = user;
    return remote->progress && progress_stopped(remote->progress);
}

static struct curl_slist *request_headers(const Remote *remote, const char *const *headers)
{
    struct curl_slist *list = NULL;
    for (; headers && *headers; headers++)
        list = curl_slist_append(list, *headers);
    if (remote->token) {
        g_autofree char *token = g_strconcat("X-Auth-Token: ", remote->token, NULL);
        list = curl_slist_append(list, token);
    }
    return list;
}

static void request_set(Remote *remote, const char *method, const char *url,
                        struct curl_slist *headers, RemoteAnswer *answer)
{
    CURL *curl = remote->curl;
    curl_easy_reset(curl); /* the connection stays */
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "waybill");
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, remote->fault);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)SILENT_SECONDS);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, answer);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, look_for_stop);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, remote);
    if (environment("WAYBILL_CA_FILE"))
        curl_easy_setopt(curl, CURLOPT_CAINFO, environment("WAYBILL_CA_FILE"));
    if (strcmp(method, "HEAD") == 0)
        curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
}

static bool request_failed(const Remote *remote, CURLcode code, GError **error)
{
    if (code == CURLE_ABORTED_BY_CALLBACK)
        g_set_error(error, REMOTE_ERROR, REMOTE_ERROR_STOPPED, "stopped");
    else
        g_set_error(error, REMOTE_ERROR, REMOTE_ERROR_UNREACHABLE,
                    "the server %s cannot be reached: %s", remote->url,
                    *remote->fault ? remote->fault : curl_easy_strerror(code));
    return false;
}

/* Whether the request may not have arrived, or does nothing twice. */
static bool may_try_again(const char *method, CURLcode code)
{
    return code != CURLE_ABORTED_BY_CALLBACK && code != CURLE_PEER_FAILED_VERIFICATION &&
           code != CURLE_COULDNT_RESOLVE_HOST && code != CURLE_COULDNT_CONNECT &&
           (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0);
}

static bool perform(Remote *remote, const char *method, const char *path,
                    const char *const *headers, const char *body, RemoteAnswer *answer,
                    GError **error)
{
    g_autofree char *url = g_strconcat(remote->url, path, NULL);
    struct curl_slist *list = request_headers(remote, headers);
    CURLcode code = CURLE_OK;
    for (int tries = 0; tries < TRIES && (tries == 0 || may_try_again(method, code)); tries++) {
        remote_answer_clear(answer);
        answer->body = g_byte_array_new();
        answer->headers = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
        *remote->fault = '\0';
        request_set(remote, method, url, list, answer);
        if (body) {
            curl_easy_setopt(remote->curl, CURLOPT_POSTFIELDS, body);
            curl_easy_setopt(remote->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(body));
        }
        code = curl_easy_perform(remote->curl);
        if (code == CURLE_OK)
            break;
    }
    curl_slist_free_all(list);
    curl_easy_getinfo(remote->curl, CURLINFO_RESPONSE_CODE, &answer->status);
    return code == CURLE_OK || request_failed(remote, code, error);
}

bool remote_ask(Remote *remote, const char *method, const char *path, const char *const *headers,
                RemoteAnswer *answer, GError **error)
{
    return perform(remote, method, path, headers, NULL, answer, error);
}

static size_t give_body(char *buffer, size_t one, size_t size, void *user)
{
    const RemoteBody *body = user;
    ssize_t got = body->read(body->data, buffer, one * size);
    return got < 0 ? CURL_READFUNC_ABORT : (size_t)got;
}

/* An answer that came while the body was still on its way says more than the connection's end. */
bool remote_send(Remote *remote, const char *path, const char *const *headers,
                 const RemoteBody *body, RemoteAnswer *answer, GError **error)
{
    g_autofree char *url = g_strconcat(remote->url, path, NULL);
    struct curl_slist *list = request_headers(remote, headers);
    answer->body = g_byte_array_new();
    answer->headers = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    *remote->fault = '\0';
    request_set(remote, "PUT", url, list, answer);
    curl_easy_setopt(remote->curl, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(remote->curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)body->size);
    curl_easy_setopt(remote->curl, CURLOPT_READFUNCTION, give_body);
    curl_easy_setopt(remote->curl, CURLOPT_READDATA, (void *)body);
    CURLcode code = curl_easy_perform(remote->curl);
    curl_slist_free_all(list);
    curl_easy_getinfo(remote->curl, CURLINFO_RESPONSE_CODE, &answer->status);
    return code == CURLE_OK || answer->status >= 400 || request_failed(remote, code, error);
}

/* -- JSON -- */

static RemoteError error_of_status(long status)
{
    if (status == 401 || status == 403 || status == 429)
        return REMOTE_ERROR_REFUSED;
    if (status == 404)
        return REMOTE_ERROR_NOT_FOUND;
    return status >= 500 ? REMOTE_ERROR_SERVER : REMOTE_ERROR_REQUEST;
}

void remote_answer_error(const Remote *remote, const RemoteAnswer *answer, GError **error)
{
    json_auto_t *body =
        json_loadb((const char *)answer->body->data, answer->body->len, JSON_ALLOW_NUL, NULL);
    const char *message = json_string_value(json_object_get(body, "error_msg"));
    if (!message)
        g_set_error(error, REMOTE_ERROR, REMOTE_ERROR_UNREACHABLE,
                    "%s answers %ld, not as a waybill server does", remote->url, answer->status);
    else if (answer->status == 401 && !remote->token)
        g_set_error(error, REMOTE_ERROR, REMOTE_ERROR_REFUSED,
                    "%s wants to know who asks: set WAYBILL_TOKEN (waybill token create makes "
                    "one)",
                    remote->url);
    else
        g_set_error(error, REMOTE_ERROR, error_of_status(answer->status), "%s", message);
}

json_t *remote_call(Remote *remote, const char *method, const char *path, const json_t *body,
                    GError **error)
{
    static const char *const JSON_HEADERS[] = {"Content-Type: application/json", NULL};
    g_auto(RemoteAnswer) answer = {0};
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    bool came = perform(remote, method, path, text ? JSON_HEADERS : NULL, text, &answer, error);
    free(text);
    if (!came)
        return NULL;
    if (answer.status >= 400) {
        remote_answer_error(remote, &answer, error);
        return NULL;
    }
    json_t *value = json_loadb((const char *)answer.body->data, answer.body->len, 0, NULL);
    if (!value)
        g_set_error(error, REMOTE_ERROR, REMOTE_ERROR_UNREACHABLE,
                    "%s does not answer as a waybill server does", remote->url);
    return value;
}
