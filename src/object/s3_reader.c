/* An object in parts: several requests are under way at once, and what they bring is handed out in
 * order. A part whose connection breaks is asked for again from where it broke.
 *
 *   parts   a ring; `head` is the part that is read from, behind it come the next ones of the
 * object */
#include <gio/gio.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "object/s3_private.h"

#define PART_BYTES  ((int64_t)8 << 20)
#define PART_COUNT  4
#define POLL_MS     200
#define ERROR_BYTES ((guint)64 << 10)

typedef struct {
    S3Reader *reader;
    CURL *curl;
    struct curl_slist *headers;
    char *range, *if_match;
    char fault[CURL_ERROR_SIZE];
    S3Answer answer;
    int64_t begin, size; /* of the object; size 0: there is none left */
    int64_t got, taken;  /* bytes of the part that came, and that were handed out */
    unsigned char *data;
    int tries;
    int64_t began, retry_at; /* monotonic ms; retry_at 0: it is under way, or done */
    bool surplus;            /* more came than was asked for */
    bool checked;            /* nothing is handed out before its checksum was looked at */
} Part;

struct S3Reader {
    S3 *s3;
    char *key, *etag;
    int64_t size, next; /* next: the byte that no part has yet */
    Part parts[PART_COUNT];
    int head;
};

static bool is_stopped(const S3 *s3)
{
    return s3->progress && progress_stopped(s3->progress);
}

/* -- a part -- */

static bool part_is_whole(const Part *part)
{
    return part->got == part->size;
}

/* Of the whole object in one request the service may know the checksum. */
static bool may_be_checked(const Part *part)
{
    return part->size == part->reader->size && part->got == 0;
}

/* Bytes to hand out, or it is over. */
static bool part_has_some(const Part *part)
{
    return !part->checked && (part->got > part->taken || part_is_whole(part));
}

/* An error's body is kept by itself; a 200 is the whole object, which is one part's only when it is
 * all there is. */
static size_t take_bytes(char *data, size_t one, size_t size, void *user)
{
    Part *part = user;
    const size_t length = one * size;
    long status = 0;
    curl_easy_getinfo(part->curl, CURLINFO_RESPONSE_CODE, &status);
    bool whole = status == 200 && part->begin + part->got == 0 && part->size == part->reader->size;
    if (status != 206 && !whole) {
        if (part->answer.body->len + length <= ERROR_BYTES)
            g_byte_array_append(part->answer.body, (const guint8 *)data, (guint)length);
        return length;
    }
    part->surplus = (int64_t)length > part->size - part->got;
    if (part->surplus)
        return 0;
    if (may_be_checked(part))
        part->checked = part->answer.checksum != NULL;
    memcpy(part->data + part->got, data, length);
    part->got += (int64_t)length;
    if (!part->checked)
        part->tries = 1;
    return length;
}

/* What came, all of it, has the checksum that the service says, or it says none. */
static bool checksum_fits(const Part *part)
{
    if (!part->checked)
        return true;
    g_autofree char *found = digest_of(part->data, (size_t)part->size);
    return strcmp(found, part->answer.checksum) == 0;
}

static S3Ask ask_of(const Part *part, const char *headers[4])
{
    int count = 0;
    headers[count++] = part->range;
    if (may_be_checked(part))
        headers[count++] = "x-amz-checksum-mode:ENABLED";
    if (*part->reader->etag)
        headers[count++] = part->if_match;
    headers[count] = NULL;
    return (S3Ask){.method = "GET", .action = "read", .key = part->reader->key, .headers = headers};
}

static void part_start(Part *part)
{
    S3 *s3 = part->reader->s3;
    const char *headers[4];
    if (part->checked) /* its checksum is of one answer */
        part->got = 0;
    part->checked = false;
    g_free(part->range);
    part->range = g_strdup_printf("range:bytes=%" G_GINT64_FORMAT "-%" G_GINT64_FORMAT,
                                  part->begin + part->got, part->begin + part->size - 1);
    const S3Ask ask = ask_of(part, headers);
    s3_answer_begin(s3, &part->answer);
    if (!part->curl)
        part->curl = curl_easy_init();
    curl_easy_reset(part->curl);
    *part->fault = '\0';
    s3_prepare(s3, part->curl, &ask, &part->headers, part->fault);
    curl_easy_setopt(part->curl, CURLOPT_PRIVATE, part);
    curl_easy_setopt(part->curl, CURLOPT_HEADERFUNCTION, s3_answer_header);
    curl_easy_setopt(part->curl, CURLOPT_HEADERDATA, &part->answer);
    curl_easy_setopt(part->curl, CURLOPT_WRITEFUNCTION, take_bytes);
    curl_easy_setopt(part->curl, CURLOPT_WRITEDATA, part);
    curl_easy_setopt(part->curl, CURLOPT_BUFFERSIZE, 256L << 10);
    curl_multi_add_handle(s3->multi, part->curl);
    part->retry_at = 0;
}

static void part_stop(Part *part)
{
    if (part->headers)
        curl_multi_remove_handle(part->reader->s3->multi, part->curl);
    g_clear_pointer(&part->headers, curl_slist_free_all);
}

/* The next part of the object, where there is one. */
static void part_next(Part *part)
{
    S3Reader *reader = part->reader;
    part->begin = reader->next;
    part->size = MIN(PART_BYTES, reader->size - reader->next);
    part->got = part->taken = 0;
    part->checked = false;
    part->tries = 1;
    part->began = clock_monotonic_ms();
    reader->next += part->size;
    if (part->size == 0)
        return;
    if (!part->data)
        part->data = g_malloc((gsize)MIN(PART_BYTES, reader->size));
    part_start(part);
}

/* An answer of 200 or 206 whose body is not what was asked for. */
static void note_body(Part *part, const S3Ask *ask, CURLcode code)
{
    S3 *s3 = part->reader->s3;
    const char *what = *part->fault ? part->fault : curl_easy_strerror(code);
    S3ErrorCode error = S3_ERROR_UNREACHABLE;
    if (part->surplus) {
        what = "more bytes came than were asked for";
        error = S3_ERROR_MALFORMED;
    } else if (part->answer.body->len) {
        what = "all of the object came for a part of it: the service knows no ranges";
        error = S3_ERROR_MALFORMED;
    } else if (part_is_whole(part)) {
        what = "other bytes came than its checksum says";
        error = S3_ERROR_CHECKSUM;
    } else if (code == CURLE_OK || code == CURLE_PARTIAL_FILE) {
        what = "the body is shorter than it has to be";
        error = S3_ERROR_SHORT_BODY;
    }
    part->answer.status = 0;
    s3_note(s3, ask, &part->answer, code, what, part->tries, part->began);
    s3->failure.unanswered = error;
}

/* Its request has ended. False: *error, the object cannot be read on. */
static bool part_ended(Part *part, CURLcode code, GError **error)
{
    S3 *s3 = part->reader->s3;
    const char *headers[4];
    long status = 0;
    curl_easy_getinfo(part->curl, CURLINFO_RESPONSE_CODE, &status);
    part_stop(part);
    if (part_is_whole(part) && checksum_fits(part)) {
        part->checked = false;
        return true;
    }
    if (is_stopped(s3)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED, "stopped while reading %s",
                    part->reader->key);
        return false;
    }
    const S3Ask ask = ask_of(part, headers);
    const bool of_body = status == 200 || status == 206;
    part->answer.status = code == CURLE_OK || status >= 300 ? status : 0;
    if (of_body)
        note_body(part, &ask, code);
    else
        s3_note(s3, &ask, &part->answer, code, part->fault, part->tries, part->began);
    const bool again = (of_body || s3_is_worth_a_try(&part->answer, code)) && !part->surplus &&
                       part->tries <= s3->retries &&
                       part->answer.retry_after_s <= s3->timeout_seconds;
    if (!again)
        return s3_fail(s3, error);
    part->retry_at = clock_monotonic_ms() + s3_wait_ms(&part->answer, part->tries);
    part->tries++;
    return true;
}

/* -- all of them -- */

static bool take_ended(S3Reader *reader, GError **error)
{
    int left;
    CURLMsg *message;
    while ((message = curl_multi_info_read(reader->s3->multi, &left))) {
        Part *part = NULL;
        if (message->msg != CURLMSG_DONE)
            continue;
        CURLcode code = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&part);
        if (!part_ended(part, code, error))
            return false;
    }
    return true;
}

static void start_due(S3Reader *reader)
{
    int64_t now = clock_monotonic_ms();
    for (int i = 0; i < PART_COUNT; i++)
        if (reader->parts[i].retry_at && reader->parts[i].retry_at <= now)
            part_start(&reader->parts[i]);
}

/* Until the head has something, or is over. */
static bool wait_for_head(S3Reader *reader, GError **error)
{
    Part *head = &reader->parts[reader->head];
    int running;
    while (!part_has_some(head)) {
        start_due(reader);
        curl_multi_perform(reader->s3->multi, &running);
        if (!take_ended(reader, error))
            return false;
        if (!part_has_some(head))
            curl_multi_poll(reader->s3->multi, NULL, 0, POLL_MS, NULL);
        if (is_stopped(reader->s3)) {
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED, "stopped while reading %s",
                        reader->key);
            return false;
        }
    }
    return true;
}

S3Reader *s3_read(S3 *s3, const char *key, const char *etag, int64_t size)
{
    S3Reader *reader = g_new0(S3Reader, 1);
    reader->s3 = s3;
    reader->key = g_strdup(key);
    reader->etag = g_strdup(etag);
    reader->size = size;
    for (int i = 0; i < PART_COUNT; i++) {
        Part *part = &reader->parts[i];
        part->reader = reader;
        part->if_match = g_strdup_printf("if-match:\"%s\"", etag);
        part_next(part);
    }
    return reader;
}

ssize_t s3_reader_read(S3Reader *reader, void *data, size_t size, GError **error)
{
    for (;;) {
        Part *head = &reader->parts[reader->head];
        if (head->size == 0)
            return 0;
        if (!wait_for_head(reader, error))
            return -1;
        int64_t some = MIN((int64_t)size, head->got - head->taken);
        if (some > 0) {
            memcpy(data, head->data + head->taken, (size_t)some);
            head->taken += some;
            return (ssize_t)some;
        }
        part_stop(head); /* it is over */
        part_next(head);
        reader->head = (reader->head + 1) % PART_COUNT;
    }
}

void s3_reader_free(S3Reader *reader)
{
    if (!reader)
        return;
    for (int i = 0; i < PART_COUNT; i++) {
        Part *part = &reader->parts[i];
        part_stop(part);
        if (part->curl)
            curl_easy_cleanup(part->curl);
        s3_answer_clear(&part->answer);
        g_free(part->range);
        g_free(part->if_match);
        g_free(part->data);
    }
    g_free(reader->key);
    g_free(reader->etag);
    g_free(reader);
}
