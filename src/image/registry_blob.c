/* A blob as it comes: the reader asks libcurl for bytes only when it has none, and a transfer that
 * is ahead of it pauses. A connection that breaks is taken up where it broke, with a Range, as
 * often as registry.retries allows in a row without a byte. */
#include <gio/gio.h>
#include <string.h>

#include "base/clock.h"
#include "image/registry_private.h"

#define BUFFER_BYTES ((size_t)256 << 10)
#define ERROR_BYTES  ((size_t)64 << 10)
#define POLL_MS      200
/* Of a transfer that broke: so many bytes are worth more tries. A connection that brings one byte
 * each is none that a blob will ever come through. */
#define HEADWAY      ((int64_t)64 << 10)

typedef struct {
    BlobReader reader;
    Registry *registry;
    char *digest, *url;
    int64_t size, done; /* bytes: of the blob; handed out */
    int64_t from;       /* where the transfer began */
    CURLM *multi;
    CURL *curl;
    struct curl_slist *headers;
    char fault[CURL_ERROR_SIZE];
    RegistryPatience patience;
    int logins; /* since the last byte */

    /* Of the transfer that is under way. */
    RegistryAnswer answer;
    char *buffer;
    size_t begin, end; /* bytes in the buffer */
    int64_t skip;      /* bytes that come again: the Range was not obeyed */
    bool begun, paused, ended;
    CURLcode result;
} RemoteBlob;

static const RegistryRequest *request_of(const RemoteBlob *blob, RegistryRequest *request)
{
    *request = (RegistryRequest){.part = REGISTRY_BLOB,
                                 .method = "GET",
                                 .url = blob->url,
                                 .actions = "pull"};
    return request;
}

static bool is_content(long status)
{
    return status == 200 || status == 206;
}

static size_t take_bytes(char *data, size_t one, size_t size, void *user)
{
    RemoteBlob *blob = user;
    RegistryAnswer *answer = &blob->answer;
    curl_easy_getinfo(blob->curl, CURLINFO_RESPONSE_CODE, &answer->status);
    if (!is_content(answer->status)) {
        if (answer->body->len < ERROR_BYTES)
            g_byte_array_append(answer->body, (const guint8 *)data, (guint)size);
        return size;
    }
    if (blob->begin == blob->end)
        blob->begin = blob->end = 0;
    if (size > BUFFER_BYTES - blob->end) {
        blob->paused = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    if (!blob->begun && answer->status == 200) /* a Range that was not obeyed */
        blob->skip = blob->done;
    blob->begun = true;
    size_t skipped = (size_t)MIN(blob->skip, (int64_t)size);
    blob->skip -= (int64_t)skipped;
    memcpy(blob->buffer + blob->end, data + skipped, size - skipped);
    blob->end += size - skipped;
    return size;
}

static size_t take_header(char *data, size_t one, size_t size, void *user)
{
    return registry_answer_take_header(&((RemoteBlob *)user)->answer, data, one * size) ? size : 0;
}

static void end_transfer(RemoteBlob *blob)
{
    if (blob->curl) {
        curl_multi_remove_handle(blob->multi, blob->curl);
        g_clear_pointer(&blob->curl, curl_easy_cleanup);
        blob->registry->last = blob->registry->curl;
    }
    g_clear_pointer(&blob->headers, curl_slist_free_all);
    registry_answer_clear(&blob->answer);
}

static void set_headers(RemoteBlob *blob)
{
    const Registry *registry = blob->registry;
    if (registry_is_authorized(registry, "pull")) {
        g_autofree char *line = g_strconcat("Authorization: ", registry->authorization, NULL);
        blob->headers = curl_slist_append(blob->headers, line);
    }
    if (blob->done > 0) {
        g_autofree char *range = g_strdup_printf("Range: bytes=%" G_GINT64_FORMAT "-", blob->done);
        blob->headers = curl_slist_append(blob->headers, range);
    }
    curl_easy_setopt(blob->curl, CURLOPT_HTTPHEADER, blob->headers);
}

/* From the first byte that is missing. */
static bool begin_transfer(RemoteBlob *blob, GError **error)
{
    end_transfer(blob);
    blob->curl = curl_easy_init();
    if (!blob->curl) {
        g_set_error(error, REGISTRY_ERROR, REGISTRY_ERROR_UNREACHABLE, "libcurl cannot be used");
        return false;
    }
    g_autofree char *url = g_strconcat(blob->registry->root, blob->url, NULL);
    registry_answer_begin(&blob->answer);
    blob->registry->asking = REGISTRY_BLOB;
    blob->begin = blob->end = 0;
    blob->from = blob->done;
    blob->skip = 0;
    blob->begun = blob->paused = blob->ended = false;
    *blob->fault = '\0';
    registry_configure(blob->registry, blob->curl, blob->fault);
    set_headers(blob);
    curl_easy_setopt(blob->curl, CURLOPT_URL, url);
    curl_easy_setopt(blob->curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(blob->curl, CURLOPT_BUFFERSIZE, (long)BUFFER_BYTES);
    curl_easy_setopt(blob->curl, CURLOPT_WRITEFUNCTION, take_bytes);
    curl_easy_setopt(blob->curl, CURLOPT_WRITEDATA, blob);
    curl_easy_setopt(blob->curl, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(blob->curl, CURLOPT_HEADERDATA, blob);
    curl_multi_add_handle(blob->multi, blob->curl);
    blob->patience.tries++;
    return true;
}

/* -- its end, good or bad -- */

static void note_transfer(const RemoteBlob *blob)
{
    Registry *registry = blob->registry;
    RegistryRequest request;
    g_strlcpy(registry->fault, blob->fault, sizeof(registry->fault));
    registry_note(registry, request_of(blob, &request), &blob->patience,
                  blob->result == CURLE_OK ? &blob->answer : NULL, blob->result);
}

static bool fail_transfer(const RemoteBlob *blob, GError **error)
{
    const Registry *registry = blob->registry;
    if (blob->result == CURLE_OK && blob->answer.status == 404) {
        g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_NO_BLOB, "%s has no %s", registry->name,
                    blob->digest);
        return false;
    }
    return registry_fail(registry, error);
}

/* Whether it is to be begun again. */
static bool outlast(RemoteBlob *blob, GError **error)
{
    g_autoptr(GError) failure = NULL;
    const RegistryAnswer *answer = blob->result == CURLE_OK ? &blob->answer : NULL;
    bool again = false;
    note_transfer(blob);
    if (registry_is_stopped(blob->registry))
        g_set_error(&failure, G_IO_ERROR, G_IO_ERROR_CANCELLED, "stopped while reading %s",
                    blob->digest);
    else if (answer && answer->status == 401)
        again = blob->logins++ == 0 &&
                registry_authorize(blob->registry, &answer->challenge, "pull", &failure);
    else if (answer ? answer->status == 429 || answer->status >= 500
                    : registry_is_worth_a_try(blob->registry, blob->result, blob->fault))
        again = registry_wait(blob->registry, &blob->patience, answer, &failure);
    if (again)
        return true;
    if (failure)
        g_propagate_error(error, g_steal_pointer(&failure));
    else
        fail_transfer(blob, error);
    return false;
}

/* A transfer that broke when nothing was left to come ended well. One that ended well before the
 * blob did: either the blob is shorter than it should be, for whoever verifies it to see, or
 * nothing told where the body ends, and the connection broke. */
static void settle(RemoteBlob *blob)
{
    const RegistryAnswer *answer = &blob->answer;
    if (blob->done == blob->size && is_content(answer->status))
        blob->result = CURLE_OK;
    if (blob->result != CURLE_OK || !is_content(answer->status) || blob->done >= blob->size ||
        registry_answer_header(answer, "content-length") ||
        registry_answer_header(answer, "transfer-encoding"))
        return;
    blob->result = CURLE_PARTIAL_FILE;
    g_strlcpy(blob->fault, "the answer ended too early", sizeof(blob->fault));
}

/* Lets libcurl work until there are bytes, or the transfer has ended. */
static void turn(RemoteBlob *blob)
{
    int running, left;
    if (blob->paused && blob->begin == blob->end) {
        blob->paused = false;
        curl_easy_pause(blob->curl, CURLPAUSE_CONT);
    }
    curl_multi_perform(blob->multi, &running);
    const CURLMsg *message = curl_multi_info_read(blob->multi, &left);
    if (message && message->msg == CURLMSG_DONE) {
        blob->ended = true;
        blob->result = message->data.result;
        curl_easy_getinfo(blob->curl, CURLINFO_RESPONSE_CODE, &blob->answer.status);
    } else if (blob->begin == blob->end) {
        curl_multi_poll(blob->multi, NULL, 0, POLL_MS, NULL);
    }
}

static ssize_t hand_out(RemoteBlob *blob, void *data, size_t size)
{
    size_t part = MIN(size, blob->end - blob->begin);
    memcpy(data, blob->buffer + blob->begin, part);
    blob->begin += part;
    blob->done += (int64_t)part;
    if (blob->done - blob->from >= HEADWAY) {
        blob->patience = (RegistryPatience){.tries = 1, .began = clock_monotonic_ms()};
        blob->logins = 0;
    }
    return (ssize_t)part;
}

static ssize_t reader_read(BlobReader *base, void *data, size_t size, GError **error)
{
    RemoteBlob *blob = (RemoteBlob *)base;
    for (;;) {
        if (blob->end > blob->begin)
            return hand_out(blob, data, size);
        if (blob->ended) {
            settle(blob);
            if (blob->result == CURLE_OK && is_content(blob->answer.status))
                return 0;
        }
        if ((blob->ended && !outlast(blob, error)) ||
            ((blob->ended || !blob->curl) && !begin_transfer(blob, error)))
            return -1;
        turn(blob);
    }
}

static void reader_free(BlobReader *base)
{
    RemoteBlob *blob = (RemoteBlob *)base;
    end_transfer(blob);
    curl_multi_cleanup(blob->multi);
    g_free(blob->digest);
    g_free(blob->url);
    g_free(blob->buffer);
    g_free(blob);
}

BlobReader *registry_open_blob(ImageSource *source, const Descriptor *descriptor, GError **error)
{
    Registry *registry = registry_of(source);
    RemoteBlob *blob = g_new0(RemoteBlob, 1);
    blob->reader = (BlobReader){reader_read, reader_free};
    blob->registry = registry;
    blob->digest = g_strdup(descriptor->digest);
    blob->url = g_strdup_printf("/v2/%s/blobs/%s", registry->repository, descriptor->digest);
    blob->size = descriptor->size;
    blob->multi = curl_multi_init();
    blob->buffer = g_malloc(BUFFER_BYTES);
    blob->patience.began = clock_monotonic_ms();
    return &blob->reader;
}
