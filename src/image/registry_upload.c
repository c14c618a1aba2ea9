/* A blob on its way to a registry: POST, one PATCH that streams, PUT with its digest; a small one
 * in the PUT itself.
 *
 *   window   bytes low … high of the blob, in a ring: low … sent were given to libcurl and are kept
 *            in case they have to go again, sent … high wait for it
 *
 * A connection that breaks loses what two sockets hold, often more than the window: then the
 * caller, who has the blob, brings the bytes again from where the registry has come to.
 *
 * libcurl works while the caller writes: until there is room for what he brings. */
#include <gio/gio.h>
#include <string.h>

#include "base/clock.h"
#include "image/registry_private.h"
#include "image/registry_push.h"

#define WINDOW_BYTES ((int64_t)4 << 20) /* a blob that it holds goes in one request */
#define ANSWER_BYTES ((size_t)1 << 20)
#define POLL_MS      200

struct RegistryUpload {
    Registry *registry;
    int64_t size;   /* of the whole blob; -1: not known */
    char *location; /* where the upload goes on; NULL: committed, or lost */
    char *window;
    int64_t low, sent, high; /* bytes of the blob */
    int64_t wire;
    bool closed;  /* no byte comes any more */
    bool arrived; /* low … high are all there */
    RegistryPatience patience;
    int64_t reached; /* as far as the registry has ever come */
    int logins;

    /* The PATCH that is under way. */
    CURLM *multi;
    CURL *curl; /* NULL: none */
    struct curl_slist *headers;
    RegistryAnswer answer;
    char fault[CURL_ERROR_SIZE];
    bool paused;
};

static RegistryRequest request_of(const RegistryUpload *upload, const char *method)
{
    return (RegistryRequest){.part = REGISTRY_UPLOAD,
                             .method = method,
                             .url = upload->location,
                             .actions = registry_location_actions(upload->location),
                             .limit = ANSWER_BYTES};
}

/* -- the window -- */

static void window_add(RegistryUpload *upload, const char *data, int64_t size)
{
    upload->low = MAX(upload->low, upload->high + size - WINDOW_BYTES);
    while (size > 0) {
        int64_t at = upload->high % WINDOW_BYTES, part = MIN(size, WINDOW_BYTES - at);
        memcpy(upload->window + at, data, (size_t)part);
        upload->high += part;
        data += part;
        size -= part;
    }
}

/* What fits without pushing out what was not sent yet. */
static int64_t window_room(const RegistryUpload *upload)
{
    return WINDOW_BYTES - (upload->high - upload->sent);
}

static size_t give_bytes(char *data, size_t one, size_t count, void *user)
{
    RegistryUpload *upload = user;
    int64_t at = upload->sent % WINDOW_BYTES;
    int64_t part = MIN((int64_t)(one * count), upload->high - upload->sent);
    part = MIN(part, WINDOW_BYTES - at);
    if (part == 0 && !upload->closed) {
        upload->paused = true;
        return CURL_READFUNC_PAUSE;
    }
    memcpy(data, upload->window + at, (size_t)part);
    upload->sent += part;
    upload->wire += part;
    return (size_t)part;
}

/* -- the PATCH -- */

static size_t take_body(char *data, size_t one, size_t size, void *user)
{
    RegistryAnswer *answer = &((RegistryUpload *)user)->answer;
    if (answer->body->len < ANSWER_BYTES)
        g_byte_array_append(answer->body, (const guint8 *)data, (guint)(one * size));
    return size;
}

static size_t take_header(char *data, size_t one, size_t size, void *user)
{
    RegistryAnswer *answer = &((RegistryUpload *)user)->answer;
    return registry_answer_take_header(answer, data, one * size) ? one * size : 0;
}

static void patch_end(RegistryUpload *upload)
{
    if (upload->curl) {
        if (upload->registry->last == upload->curl)
            upload->registry->last = upload->registry->curl;
        curl_multi_remove_handle(upload->multi, upload->curl);
        g_clear_pointer(&upload->curl, curl_easy_cleanup);
    }
    g_clear_pointer(&upload->headers, curl_slist_free_all);
}

static void add_header(RegistryUpload *upload, const char *name, const char *value)
{
    g_autofree char *line = g_strdup_printf("%s: %s", name, value);
    upload->headers = curl_slist_append(upload->headers, line);
}

static void set_patch_headers(RegistryUpload *upload)
{
    const Registry *registry = upload->registry;
    const char *actions = registry_location_actions(upload->location);
    add_header(upload, "Content-Type", "application/octet-stream");
    add_header(upload, "Expect", "");
    if (actions && registry_is_authorized(registry, actions))
        add_header(upload, "Authorization", registry->authorization);
    if (upload->size < 0)
        return;
    g_autofree char *range =
        g_strdup_printf("%" G_GINT64_FORMAT "-%" G_GINT64_FORMAT, upload->sent, upload->size - 1);
    add_header(upload, "Content-Range", range);
    curl_easy_setopt(upload->curl, CURLOPT_INFILESIZE_LARGE,
                     (curl_off_t)(upload->size - upload->sent));
}

static bool patch_begin(RegistryUpload *upload, GError **error)
{
    Registry *registry = upload->registry;
    upload->curl = curl_easy_init();
    if (!upload->curl) {
        g_set_error(error, REGISTRY_ERROR, REGISTRY_ERROR_UNREACHABLE, "libcurl cannot be used");
        return false;
    }
    CURL *curl = upload->curl;
    registry_answer_begin(&upload->answer);
    registry->asking = REGISTRY_UPLOAD;
    upload->paused = false;
    *upload->fault = '\0';
    registry_configure(registry, curl, upload->fault);
    g_autofree char *url = *upload->location == '/'
                               ? g_strconcat(registry->root, upload->location, NULL)
                               : g_strdup(upload->location);
    set_patch_headers(upload);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(curl, CURLOPT_UPLOAD_BUFFERSIZE, 256L << 10);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, "PATCH");
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, upload->headers);
    curl_easy_setopt(curl, CURLOPT_READFUNCTION, give_bytes);
    curl_easy_setopt(curl, CURLOPT_READDATA, upload);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, upload);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, upload);
    curl_multi_add_handle(upload->multi, curl);
    upload->patience.tries++;
    return true;
}

/* -- after a PATCH that failed -- */

static bool fail_lost(const RegistryUpload *upload, GError **error)
{
    g_set_error(error, REGISTRY_ERROR, REGISTRY_ERROR_UPLOAD_LOST,
                "%s does not know the torn upload any more", upload->registry->name);
    return false;
}

static bool fail_torn(RegistryUpload *upload, int64_t offset, GError **error)
{
    upload->low = upload->sent = upload->high = offset;
    upload->arrived = upload->closed = false;
    g_set_error(error, REGISTRY_ERROR, REGISTRY_ERROR_UPLOAD_TORN,
                "the upload to %s has to go on from byte %" G_GINT64_FORMAT, upload->registry->name,
                offset);
    return false;
}

/* Range: 0-N, the last byte that is there; registries say 0-0 when they have none. -1: unreadable.
 */
static int64_t offset_of(const RegistryAnswer *answer)
{
    const char *range = registry_answer_header(answer, "range");
    guint64 last;
    const char *dash = range ? strchr(range, '-') : NULL;
    if (!dash || !g_ascii_string_to_unsigned(dash + 1, 10, 0, G_MAXINT64 - 1, &last, NULL))
        return -1;
    return last ? (int64_t)last + 1 : 0;
}

static bool set_location(RegistryUpload *upload, const RegistryAnswer *answer)
{
    char *next = registry_location(upload->registry, answer, NULL);
    if (!next)
        return false;
    g_free(upload->location);
    upload->location = next;
    return true;
}

/* Asks how far the registry came, and goes back to there. */
static bool rewind_upload(RegistryUpload *upload, GError **error)
{
    g_auto(RegistryAnswer) answer = {0};
    const RegistryRequest request = request_of(upload, "GET");
    if (!registry_request(upload->registry, &request, &answer, error))
        return false;
    int64_t offset = answer.status == 204 || answer.status == 200 ? offset_of(&answer) : -1;
    if (offset < 0 || offset > upload->high)
        return fail_lost(upload, error);
    set_location(upload, &answer); /* where it says one */
    if (offset > upload->reached)
        upload->patience.tries = 1;
    upload->reached = MAX(upload->reached, offset);
    if (offset < upload->low)
        return fail_torn(upload, offset, error);
    upload->sent = offset;
    upload->arrived = offset == upload->high && (upload->closed || offset == upload->size);
    return true;
}

/* Whether it is worth going on: waits for that. */
static bool outlast(RegistryUpload *upload, CURLcode code, GError **error)
{
    Registry *registry = upload->registry;
    RegistryAnswer *answer = &upload->answer;
    const RegistryRequest request = request_of(upload, "PATCH");
    g_autoptr(GError) failure = NULL;
    bool again = false;
    if (registry_is_stopped(registry))
        g_set_error(&failure, G_IO_ERROR, G_IO_ERROR_CANCELLED, "stopped while pushing");
    else if (answer->status == 401 && request.actions)
        again = upload->logins++ == 0 &&
                registry_authorize(registry, &answer->challenge, request.actions, &failure);
    else if (answer->status == 416)
        again = upload->patience.tries <= registry->retries;
    else if (answer->status == 404)
        fail_lost(upload, &failure);
    else if (answer->status ? answer->status < 400 || answer->status == 429 || answer->status >= 500
                            : registry_is_worth_a_try(registry, code, upload->fault))
        again =
            registry_wait(registry, &upload->patience, answer->status ? answer : NULL, &failure);
    if (again)
        return true;
    if (!failure)
        registry_fail(registry, &failure);
    g_propagate_error(error, g_steal_pointer(&failure));
    return false;
}

static void note_patch(const RegistryUpload *upload, CURLcode code)
{
    Registry *registry = upload->registry;
    const RegistryAnswer *answer = upload->answer.status ? &upload->answer : NULL;
    const RegistryRequest request = request_of(upload, "PATCH");
    g_strlcpy(registry->fault, upload->fault, sizeof(registry->fault));
    registry_note(registry, &request, &upload->patience, answer, code);
}

/* The PATCH has ended: all of it arrived, or the next one begins where it broke. */
static bool patch_ended(RegistryUpload *upload, CURLcode code, GError **error)
{
    RegistryAnswer *answer = &upload->answer;
    curl_easy_getinfo(upload->curl, CURLINFO_RESPONSE_CODE, &answer->status);
    bool arrived = code == CURLE_OK && (answer->status == 202 || answer->status == 204);
    if (!arrived) /* while its connection can be asked */
        note_patch(upload, code);
    patch_end(upload);
    upload->arrived = arrived && set_location(upload, answer);
    if (upload->arrived) {
        upload->logins = 0;
        return true;
    }
    return outlast(upload, code, error) && rewind_upload(upload, error);
}

/* Lets libcurl work. */
static bool turn(RegistryUpload *upload, GError **error)
{
    int running, left;
    if (!upload->curl && !patch_begin(upload, error))
        return false;
    if (upload->paused && (upload->sent < upload->high || upload->closed)) {
        upload->paused = false;
        curl_easy_pause(upload->curl, CURLPAUSE_CONT);
    }
    curl_multi_perform(upload->multi, &running);
    const CURLMsg *message = curl_multi_info_read(upload->multi, &left);
    if (message && message->msg == CURLMSG_DONE)
        return patch_ended(upload, message->data.result, error);
    if (!upload->paused || (upload->sent == upload->high && upload->closed))
        curl_multi_poll(upload->multi, NULL, 0, POLL_MS, NULL);
    return true;
}

/* -- from outside -- */

RegistryUpload *registry_upload_new(Registry *registry, int64_t size, GError **error)
{
    g_auto(RegistryAnswer) answer = {0};
    g_autofree char *url = g_strdup_printf("/v2/%s/blobs/uploads/", registry->repository);
    const RegistryRequest request = {.part = REGISTRY_UPLOAD,
                                     .method = "POST",
                                     .url = url,
                                     .actions = registry_location_actions(url),
                                     .limit = ANSWER_BYTES};
    if (!registry_request(registry, &request, &answer, error))
        return NULL;
    if (answer.status != 202) {
        registry_refuse(registry, &request, &answer, error);
        return NULL;
    }
    char *location = registry_location(registry, &answer, error);
    if (!location)
        return NULL;
    RegistryUpload *upload = g_new0(RegistryUpload, 1);
    upload->registry = registry;
    upload->size = size;
    upload->location = location;
    upload->window = g_malloc((gsize)(size < 0 ? WINDOW_BYTES : MIN(size + 1, WINDOW_BYTES)));
    upload->multi = curl_multi_init();
    upload->patience.began = clock_monotonic_ms();
    return upload;
}

bool registry_upload_write(RegistryUpload *upload, const void *data, size_t size, GError **error)
{
    const char *at = data;
    g_assert(upload->size < 0 || (int64_t)size <= upload->size - upload->high);
    while (size > 0) {
        int64_t part = MIN((int64_t)size, window_room(upload));
        window_add(upload, at, part);
        at += part;
        size -= (size_t)part;
        if (part > 0)
            upload->arrived = false;
        if ((upload->curl || window_room(upload) == 0) && !turn(upload, error))
            return false;
    }
    return true;
}

/* PUT LOCATION?digest=…, with what was not sent by a PATCH. */
static bool put(RegistryUpload *upload, const char *digest, GError **error)
{
    g_auto(RegistryAnswer) answer = {0};
    g_autofree char *url = g_strdup_printf("%s%cdigest=%s", upload->location,
                                           strchr(upload->location, '?') ? '&' : '?', digest);
    RegistryRequest request = request_of(upload, "PUT");
    static const char *const HEADERS[] = {"Content-Type: application/octet-stream", NULL};
    request.url = url;
    request.headers = HEADERS;
    request.patient = true; /* the registry may hash all of it again */
    if (!upload->arrived) { /* it is small, and goes as a whole */
        request.body = upload->window;
        request.body_size = (size_t)upload->high;
        upload->wire += upload->high;
    }
    if (!registry_request(upload->registry, &request, &answer, error))
        return false;
    if (answer.status == 404)
        return fail_lost(upload, error);
    if (answer.status != 201 && answer.status != 204)
        return registry_refuse(upload->registry, &request, &answer, error);
    g_clear_pointer(&upload->location, g_free);
    return true;
}

bool registry_upload_commit(RegistryUpload *upload, const char *digest, GError **error)
{
    upload->closed = true;
    bool small = !upload->curl && upload->sent == 0 && upload->high < WINDOW_BYTES;
    while (!small && !upload->arrived)
        if (!turn(upload, error))
            return false;
    return put(upload, digest, error);
}

int64_t registry_upload_offset(const RegistryUpload *upload)
{
    return upload->high;
}

int64_t registry_upload_sent(const RegistryUpload *upload)
{
    return upload->wire;
}

void registry_upload_free(RegistryUpload *upload)
{
    if (!upload)
        return;
    patch_end(upload);
    if (upload->location)
        registry_upload_cancel(upload->registry, upload->location);
    registry_answer_clear(&upload->answer);
    curl_multi_cleanup(upload->multi);
    g_free(upload->location);
    g_free(upload->window);
    g_free(upload);
}
