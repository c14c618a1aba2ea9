/* /v1/{project_id}/uploads: an upload as a whole, and what is known of its files. */
#include "server/uploads.h"

#include <inttypes.h>

#include "model/model.h"

#define HOUR_MS 3600000

static json_t *upload_summary(const Server *server, const Upload *upload)
{
    int64_t lives = settings_int(server->settings, "upload.expire_hours") * HOUR_MS;
    return json_pack("{s:s, s:I, s:I, s:I, s:I, s:b}", "upload_id", upload->id, "create_at",
                     (json_int_t)upload->created_at, "expires_at",
                     (json_int_t)(upload->written_at + lives), "files", (json_int_t)upload->files,
                     "bytes", (json_int_t)upload->bytes, "in_use", upload->in_use);
}

Upload *uploads_find(const HttpRequest *request, Service *service, HttpReply *reply)
{
    g_autoptr(GError) error = NULL;
    const char *project = request->arguments[0], *id = request->arguments[1];
    g_autofree char *lower = g_ascii_strdown(id, -1);
    Upload *upload =
        upload_id_is_valid(lower) ? upload_load(service->db, project, lower, &error) : NULL;
    if (error)
        *reply = api_failed(error);
    else if (!upload)
        *reply = http_error(MHD_HTTP_NOT_FOUND, API_PARAMETER, "there is no upload %s", id);
    return upload;
}

/* -- making one -- */

static bool check_new(const HttpRequest *request, Service *service, const char *id,
                      HttpReply *reply)
{
    int64_t known;
    g_autoptr(GError) error = NULL;
    const char *rule = model_rule_name(request->arguments[0]);
    if (rule)
        *reply = http_error(MHD_HTTP_BAD_REQUEST, API_PARAMETER,
                            "project_id is \"%s\"; expected %s", request->arguments[0], rule);
    else if (!upload_id_is_valid(id))
        *reply = http_error(MHD_HTTP_BAD_REQUEST, API_PARAMETER,
                            "the upload's id is \"%s\"; expected a UUID such as "
                            "3b241101-e2bb-4255-8caf-4136c566a962",
                            id);
    else if (!db_query_int(service->db, &known, 0, &error,
                           "SELECT count(*) FROM projects WHERE id = $1", "s",
                           request->arguments[0]))
        *reply = api_failed(error);
    else if (!known)
        *reply = http_error(MHD_HTTP_NOT_FOUND, API_PARAMETER, "there is no project %s",
                            request->arguments[0]);
    else
        return true;
    return false;
}

/* Makes it unless it is there already. *full: the project has as many as it may have. NULL with
 * *error unset: only then. */
static Upload *upload_make(const HttpRequest *request, Service *service, const char *id, bool *full,
                           GError **error)
{
    int64_t open, most = settings_int(request->server->settings, "upload.max_open");
    const char *project = request->arguments[0];
    GError *failure = NULL;
    *full = false;
    g_autoptr(DbTransaction) transaction = service_transaction(service, error);
    if (!transaction)
        return NULL;
    g_autoptr(Upload) upload = upload_load(service->db, project, id, &failure);
    if (upload || failure) {
        if (failure)
            g_propagate_error(error, failure);
        return g_steal_pointer(&upload);
    }
    if (!uploads_count(service->db, project, &open, error))
        return NULL;
    *full = open >= most;
    if (*full || !upload_insert(service->db, service->data, project, id, request->actor, error) ||
        !(upload = upload_load(service->db, project, id, error)) || !db_commit(service->db, error))
        return NULL;
    return g_steal_pointer(&upload);
}

static HttpReply create(HttpRequest *request, const char *id)
{
    HttpReply reply;
    bool full;
    g_autoptr(GError) error = NULL;
    Service *service = api_service(request, &reply);
    if (!service || !check_new(request, service, id, &reply))
        return reply;
    g_autoptr(Upload) upload = upload_make(request, service, id, &full, &error);
    if (full)
        return http_error(MHD_HTTP_CONFLICT, API_PARAMETER,
                          "project %s has %" PRId64 " uploads already (upload.max_open): import "
                          "from them, or delete them",
                          request->arguments[0],
                          settings_int(request->server->settings, "upload.max_open"));
    return upload ? http_json(MHD_HTTP_OK, upload_summary(request->server, upload))
                  : api_failed(error);
}

HttpReply uploads_create(HttpRequest *request)
{
    g_autofree char *id = g_uuid_string_random();
    return create(request, id);
}

HttpReply uploads_create_named(HttpRequest *request)
{
    g_autofree char *id = g_ascii_strdown(request->arguments[1], -1);
    return create(request, id);
}

/* -- looking at it -- */

json_t *uploads_file_json(const Service *service, const Upload *upload, const UploadFile *file,
                          int64_t *received)
{
    *received =
        file->complete ? file->size : upload_partial_bytes(service->data, upload, file->path);
    json_t *size = file->size >= 0 ? json_integer((json_int_t)file->size) : json_null();
    return json_pack("{s:s, s:o, s:I, s:b}", "path", file->path, "size", size, "bytes_received",
                     (json_int_t)*received, "complete", file->complete);
}

HttpReply uploads_get(HttpRequest *request)
{
    HttpReply reply;
    int64_t unused;
    g_autoptr(GError) error = NULL;
    Service *service = api_service(request, &reply);
    g_autoptr(Upload) upload = service ? uploads_find(request, service, &reply) : NULL;
    if (!upload)
        return reply;
    g_autoptr(GPtrArray) files = upload_files_list(service->db, upload, false, &error);
    if (!files)
        return api_failed(error);
    json_t *list = json_array();
    for (guint i = 0; i < files->len; i++)
        json_array_append_new(list, uploads_file_json(service, upload, files->pdata[i], &unused));
    json_t *body = upload_summary(request->server, upload);
    json_object_set_new(body, "count", json_integer(files->len));
    json_object_set_new(body, "files", list);
    return http_json(MHD_HTTP_OK, body);
}

void uploads_set_offset(HttpReply *reply, int64_t received, bool complete)
{
    g_autofree char *offset = g_strdup_printf("%" PRId64, received);
    http_set_header(reply, "Upload-Offset", offset);
    http_set_header(reply, "Upload-Complete", complete ? "?1" : "?0");
}

HttpReply uploads_get_file(HttpRequest *request)
{
    HttpReply reply;
    int64_t received;
    g_autoptr(GError) error = NULL;
    Service *service = api_service(request, &reply);
    g_autoptr(Upload) upload = service ? uploads_find(request, service, &reply) : NULL;
    if (!upload)
        return reply;
    g_autoptr(UploadFile) file =
        upload_file_load(service->db, upload, request->arguments[2], &error);
    if (error)
        return api_failed(error);
    if (!file)
        return http_error(MHD_HTTP_NOT_FOUND, API_PARAMETER, "nothing of %s has arrived",
                          request->arguments[2]);
    json_t *body = uploads_file_json(service, upload, file, &received);
    reply = http_json(MHD_HTTP_OK, body);
    uploads_set_offset(&reply, received, file->complete);
    return reply;
}

/* -- removing it -- */

HttpReply uploads_delete(HttpRequest *request)
{
    HttpReply reply;
    g_autofree char *directory = NULL;
    g_autoptr(GError) error = NULL;
    Service *service = api_service(request, &reply);
    g_autoptr(Upload) upload = service ? uploads_find(request, service, &reply) : NULL;
    if (!upload)
        return reply;
    g_autoptr(DbTransaction) transaction = service_transaction(service, &error);
    if (!transaction ||
        !upload_delete(service->db, upload->project, upload->id, "", 0, &directory, &error))
        return api_failed(error);
    if (!directory)
        return http_error(MHD_HTTP_CONFLICT, API_PARAMETER,
                          "upload %s is being imported from: cancel the import first", upload->id);
    if (!db_commit(service->db, &error))
        return api_failed(error);
    if (!upload_remove_directory(service->data, directory, &error))
        g_warning("a deleted upload stays until gc: %s", error->message);
    return http_json(MHD_HTTP_OK, json_pack("{s:s}", "upload_id", upload->id));
}
