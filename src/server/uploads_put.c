/* PUT /v1/{project_id}/uploads/{upload_id}/{path}: one file, whole or from the offset on that the
 * server has of it (Content-Range).
 *
 * Its bytes go to the disk as they arrive, in the connection's own thread: what the disk is slow to
 * take is not read from the socket. What ends a file (fsync, the digest, its place) is done aside.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/io.h"
#include "server/uploads.h"

#define MOST_FILES  100000
#define SEGMENT_MAX 255
#define LOOK_BYTES  (64 << 20) /* how often the free space is looked at */
#define TOUCH_MS    600000     /* how often a long transfer says that the upload lives */

typedef struct {
    Server *server;
    Upload *upload;
    char *path;
    char *digest;         /* that the client promised; or NULL */
    UploadWriter *writer; /* NULL until the row is there */
    int64_t from, end;    /* of this body in the file; end -1: where it ends */
    int64_t total;        /* of the file; -1: what the body brings */
    int64_t most;         /* bytes that it may have */
    int64_t looked, touched;
    HttpReply fault; /* what the handler answers at the end */
    bool aside;      /* the work that ends it was begun */
    bool whole;      /* every byte of it is here; set by that work */
    char *found;     /* the digest that it has, where that is another one */
    GError *failure; /* of that work */
} Put;

static void put_free(void *data)
{
    Put *put = data;
    upload_writer_free(put->writer); /* what arrived stays */
    upload_free(put->upload);
    if (put->fault.response)
        MHD_destroy_response(put->fault.response);
    g_clear_error(&put->failure);
    g_free(put->path);
    g_free(put->digest);
    g_free(put->found);
    g_free(put);
}

#define FAULT(status, ...) http_error(status, API_PARAMETER, __VA_ARGS__)

/* -- what the request says -- */

/* Names are checked as those of a package are, and before any of it is there. */
static HttpReply check_path(const char *path)
{
    g_auto(GStrv) parts = g_strsplit(path, "/", -1);
    for (char **part = parts; *part; part++) {
        const char *fault = package_name_fault(path, *part);
        if (!**part)
            fault = "a name that is empty";
        else if (strlen(*part) > SEGMENT_MAX)
            fault = "a name over 255 bytes";
        if (fault) {
            g_autofree char *shown = event_text(path);
            return FAULT(MHD_HTTP_BAD_REQUEST,
                         "the path \"%s\" has %s; expected the file's path in the package, such "
                         "as model/weights.bin",
                         shown, fault);
        }
    }
    return HTTP_WAITS;
}

/* "bytes A-B/TOTAL" (RFC 9110, 14.4), of which nothing may be left open. */
static bool parse_range(const char *text, Put *put)
{
    int used = 0;
    if (sscanf(text, "bytes %15" SCNd64 "-%15" SCNd64 "/%15" SCNd64 "%n", &put->from, &put->end,
               &put->total, &used) != 3 ||
        text[used])
        return false;
    put->end++;
    return put->from >= 0 && put->from < put->end && put->end <= put->total;
}

static bool content_length(const HttpRequest *request, int64_t *length)
{
    guint64 number;
    const char *text = http_header(request, MHD_HTTP_HEADER_CONTENT_LENGTH);
    if (text && g_ascii_string_to_unsigned(text, 10, 0, G_MAXINT64, &number, NULL))
        *length = (int64_t)number;
    return text != NULL;
}

/* Where in the file the body belongs, and how large the file is. */
static HttpReply read_place(const HttpRequest *request, Put *put)
{
    int64_t length = -1;
    const char *range = http_header(request, MHD_HTTP_HEADER_CONTENT_RANGE);
    bool known = content_length(request, &length);
    put->from = 0;
    put->end = put->total = length;
    if (!range)
        return HTTP_WAITS;
    if (!parse_range(range, put))
        return FAULT(MHD_HTTP_BAD_REQUEST,
                     "Content-Range is \"%s\"; expected bytes A-B/TOTAL, such as bytes "
                     "0-1023/4096",
                     range);
    if (known && length != put->end - put->from)
        return FAULT(MHD_HTTP_BAD_REQUEST,
                     "Content-Length is %" PRId64 ", but Content-Range says %" PRId64 " bytes",
                     length, put->end - put->from);
    return HTTP_WAITS;
}

/* X-Content-Sha256: 64 hex digits, of the whole file. */
static HttpReply read_digest(HttpRequest *request, Put *put)
{
    const char *hex = http_header(request, "X-Content-Sha256");
    if (!hex)
        return HTTP_WAITS;
    g_autofree char *lower = g_ascii_strdown(hex, -1);
    put->digest = g_strconcat("sha256:", lower, NULL);
    if (!digest_is_valid(put->digest))
        return FAULT(MHD_HTTP_BAD_REQUEST, "X-Content-Sha256 is \"%s\"; expected 64 hex digits",
                     hex);
    if (put->from == 0)
        http_hash_body(request); /* else it is read again at the end */
    return HTTP_WAITS;
}

/* -- whether there is room for it -- */

static HttpReply check_room(const Put *put, const Service *service, int64_t needed)
{
    g_autofree char *why = server_lacks_room(put->server, service, needed);
    return why ? http_error(MHD_HTTP_INSUFFICIENT_STORAGE, "ModelArts.0010", "%s", why)
               : HTTP_WAITS;
}

static HttpReply too_large(const Put *put)
{
    return FAULT(MHD_HTTP_CONTENT_TOO_LARGE,
                 "upload %s would be larger than %s GiB (upload.limit_gib): %s may have %" PRId64
                 " bytes beside its other files",
                 put->upload->id, settings_text(put->server->settings, "upload.limit_gib"),
                 put->path, put->most);
}

static HttpReply check_limits(Put *put, const Service *service, const UploadFile *before)
{
    int64_t others = put->upload->bytes - (before ? MAX(before->size, 0) : 0);
    put->most = MAX(settings_bytes(put->server->settings, "upload.limit_gib") - others, 0);
    if (put->total > put->most)
        return too_large(put);
    if (!before && put->upload->files >= MOST_FILES)
        return FAULT(MHD_HTTP_CONTENT_TOO_LARGE,
                     "upload %s has %d files already, the most there may be", put->upload->id,
                     MOST_FILES);
    return check_room(put, service, put->end >= 0 ? put->end - put->from : 0);
}

/* -- the beginning -- */

static HttpReply in_use(const Put *put)
{
    return FAULT(MHD_HTTP_CONFLICT, "upload %s is being imported from: nothing of it can change",
                 put->upload->id);
}

static HttpReply gone(const Put *put)
{
    return FAULT(MHD_HTTP_NOT_FOUND, "there is no upload %s any more", put->upload->id);
}

/* Of the disk: which of them the client can do something about. */
static HttpReply failed(const Put *put, const GError *error)
{
    bool io = error->domain == IO_ERROR;
    if (io && error->code == EBUSY)
        return FAULT(MHD_HTTP_CONFLICT, "another request is writing %s", put->path);
    if (io && (error->code == ENOTDIR || error->code == EISDIR))
        return FAULT(MHD_HTTP_CONFLICT, "%s is both a file and a directory in what was uploaded",
                     put->path);
    if (io && (error->code == ENOSPC || error->code == EDQUOT))
        return http_error(MHD_HTTP_INSUFFICIENT_STORAGE, "ModelArts.0010",
                          "the server's disk is full: %" PRId64 " bytes of %s are kept",
                          put->writer ? put->writer->received : 0, put->path);
    return io && error->code == ENOENT ? gone(put) : api_failed(error);
}

static HttpReply wrong_offset(const Put *put, int64_t received, bool complete)
{
    HttpReply reply =
        FAULT(MHD_HTTP_RANGE_NOT_SATISFIABLE,
              "the body begins at %" PRId64 ", but %" PRId64 " bytes of %s are here: go on there",
              put->from, received, put->path);
    uploads_set_offset(&reply, received, complete);
    return reply;
}

static HttpReply check_before(const Put *put, const UploadFile *before)
{
    if (put->from == 0 || !before)
        return HTTP_WAITS;
    if (before->complete)
        return wrong_offset(put, before->size, true);
    if (before->size >= 0 && before->size != put->total)
        return FAULT(MHD_HTTP_CONFLICT,
                     "%s began as a file of %" PRId64 " bytes, and is now said to have %" PRId64,
                     put->path, before->size, put->total);
    return HTTP_WAITS;
}

/* The row says that the file is not complete before its first byte is here, so that no import can
 * begin meanwhile. The transaction makes that and the limits true for all who send at once. */
static HttpReply put_record(Put *put, Service *service, bool complete)
{
    GError *failure = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(DbTransaction) transaction = service_transaction(service, &error);
    g_autoptr(Upload) now =
        transaction ? upload_load(service->db, put->upload->project, put->upload->id, &error)
                    : NULL;
    if (error)
        return api_failed(error);
    if (!now || strcmp(now->directory, put->upload->directory) != 0)
        return gone(put);
    if (now->in_use)
        return in_use(put);
    g_autoptr(UploadFile) before = upload_file_load(service->db, now, put->path, &failure);
    HttpReply refusal = HTTP_WAITS;
    upload_free(put->upload);
    put->upload = g_steal_pointer(&now);
    if (!failure && !complete) {
        refusal = check_before(put, before);
        if (!refusal.response)
            refusal = check_limits(put, service, before);
    }
    if (!refusal.response && !failure &&
        upload_file_set(service->db, put->upload, put->path, put->total, complete, &failure))
        db_commit(service->db, &failure);
    if (!failure)
        return refusal;
    refusal = api_failed(failure);
    g_error_free(failure);
    return refusal;
}

/* An answer that is there lets go of the file: who reads it may ask for the same file at once. */
static HttpReply put_answer(Put *put, HttpReply reply)
{
    if (reply.response)
        g_clear_pointer(&put->writer, upload_writer_free);
    return reply;
}

static HttpReply put_open(Put *put, Service *service)
{
    g_autoptr(GError) error = NULL;
    put->writer = upload_writer_open(service->data, put->upload, put->path, &error);
    if (!put->writer)
        return failed(put, error);
    g_autoptr(UploadFile) before = upload_file_load(service->db, put->upload, put->path, &error);
    if (error)
        return api_failed(error);
    if (before && before->complete && put->from > 0)
        return wrong_offset(put, before->size, true);
    if (put->from > 0 && put->from != put->writer->received)
        return wrong_offset(put, put->writer->received, false);
    HttpReply refusal = put_record(put, service, false);
    if (!refusal.response && put->from == 0 && !upload_writer_restart(put->writer, &error))
        return failed(put, error);
    return refusal;
}

static HttpReply put_begin(HttpRequest *request)
{
    HttpReply reply;
    Service *service = api_service(request, &reply);
    Upload *upload = service ? uploads_find(request, service, &reply) : NULL;
    if (!upload)
        return reply;
    Put *put = g_new0(Put, 1);
    *put = (Put){.server = request->server,
                 .upload = upload,
                 .path = g_strdup(request->arguments[2]),
                 .touched = clock_monotonic_ms()};
    request->state = put;
    request->state_free = put_free;
    reply = check_path(put->path);
    if (!reply.response && !upload_is_here(service->db, service->data, upload))
        reply = http_error(MHD_HTTP_MISDIRECTED_REQUEST, API_PARAMETER,
                           "upload %s lies on another server: send its files to the one that it "
                           "was begun with (session affinity)",
                           upload->id);
    if (!reply.response)
        reply = read_place(request, put);
    if (!reply.response)
        reply = read_digest(request, put);
    if (!reply.response)
        reply = put_open(put, service);
    return put_answer(put, reply);
}

/* -- the body -- */

/* Now and then: whether there is room still, and that the upload is in use. */
static HttpReply put_look(Put *put)
{
    g_autoptr(GError) error = NULL;
    Service *service = server_service(put->server, &error);
    if (!service)
        return api_failed(error);
    if (put->writer->received - put->looked >= LOOK_BYTES) {
        put->looked = put->writer->received;
        HttpReply full = check_room(put, service, 0);
        if (full.response)
            return full;
    }
    if (clock_monotonic_ms() - put->touched < TOUCH_MS)
        return HTTP_WAITS;
    put->touched = clock_monotonic_ms();
    g_autoptr(DbTransaction) transaction = service_transaction(service, &error);
    if (!transaction || !upload_touch(service->db, put->upload, &error) ||
        !db_commit(service->db, &error))
        g_warning("an upload: %s", error->message);
    return HTTP_WAITS;
}

static bool put_data(HttpRequest *request, const void *data, size_t size)
{
    Put *put = request->state;
    g_autoptr(GError) error = NULL;
    int64_t reaches = put->writer->received + (int64_t)size;
    if (put->end >= 0 && reaches > put->end)
        put->fault = FAULT(MHD_HTTP_BAD_REQUEST, "the body is longer than Content-Range says");
    else if (reaches > put->most)
        put->fault = too_large(put);
    else if (!upload_writer_write(put->writer, data, size, &error))
        put->fault = failed(put, error);
    else
        put->fault = put_look(put);
    return !put->fault.response;
}

/* -- the end -- */

/* Aside. A file of another digest is dropped: nobody can tell which part of it is wrong. */
static void put_end_work(gpointer data)
{
    Put *put = data;
    put->whole = put->writer->received == put->total;
    if (!put->whole) {
        upload_writer_sync(put->writer, &put->failure);
        return;
    }
    if (put->digest && !put->found)
        put->found = upload_writer_digest(put->writer, &put->failure);
    if (put->failure)
        return;
    if (put->digest && strcmp(put->digest, put->found) != 0)
        upload_writer_drop(put->writer);
    else
        upload_writer_finish(put->writer, &put->failure);
}

static HttpReply put_dropped(Put *put, Service *service)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(DbTransaction) transaction = service_transaction(service, &error);
    if (!transaction || !upload_file_forget(service->db, put->upload, put->path, &error) ||
        !db_commit(service->db, &error))
        return api_failed(error);
    return FAULT(MHD_HTTP_BAD_REQUEST,
                 "%s has the SHA-256 %s, but X-Content-Sha256 says %s: it was dropped", put->path,
                 digest_hex(put->found), digest_hex(put->digest));
}

static HttpReply put_done(Put *put, Service *service)
{
    if (put->failure)
        return failed(put, put->failure);
    if (put->whole && put->digest && strcmp(put->digest, put->found) != 0)
        return put_dropped(put, service);
    HttpReply refusal = put->whole ? put_record(put, service, true) : HTTP_WAITS;
    if (refusal.response)
        return refusal;
    json_t *size = put->total >= 0 ? json_integer((json_int_t)put->total) : json_null();
    HttpReply reply =
        http_json(MHD_HTTP_OK, json_pack("{s:s, s:o, s:I, s:b}", "path", put->path, "size", size,
                                         "bytes_received", (json_int_t)put->writer->received,
                                         "complete", put->whole));
    uploads_set_offset(&reply, put->writer->received, put->whole);
    return reply;
}

HttpReply uploads_put_file(HttpRequest *request)
{
    HttpReply reply;
    Put *put = request->state;
    if (put->fault.response) {
        reply = put->fault;
        put->fault.response = NULL;
        return put_answer(put, reply);
    }
    if (!put->aside) {
        put->aside = true;
        if (put->total < 0)
            put->total = put->writer->received; /* a body that did not say its length */
        put->found = http_body_digest(request);
        aside_lend(put->server->aside, request->connection, put_end_work, put);
        return HTTP_WAITS;
    }
    Service *service = api_service(request, &reply);
    return put_answer(put, service ? put_done(put, service) : reply);
}

const HttpSink UPLOADS_SINK = {put_begin, put_data};
