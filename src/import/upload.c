/* Imports from uploads: an upload is checked when it is submitted, kept while a job needs it, and
 * removed in the transaction that says that it was imported. */
#include "import/upload.h"

#include <string.h>

#include "import/bucket.h"
#include "store/homes.h"

bool import_request_resolve(Service *service, ImportRequest *request, GError **error)
{
    GError *failure = NULL;
    const char *id = import_request_upload(request);
    if (!id)
        return bucket_find_keys(service, request, error);
    g_free(request->source_path);
    g_autoptr(Upload) upload = upload_load(service->db, request->project, id, &failure);
    const bool is_here = upload && (db_engine(service->db) == DB_SQLITE ||
                                    g_strcmp0(upload->home, data_home(service->data)) == 0);
    request->source_path = is_here ? upload_files_path(service->data, upload) : NULL;
    g_free(request->upload_worker);
    request->upload_worker = NULL;
    if (upload && !is_here && upload->home)
        request->upload_worker =
            home_worker(service->db, upload->home, &request->upload_unseen_ms, &failure);
    request->upload_elsewhere = upload && !is_here;
    if (failure)
        g_propagate_error(error, failure);
    return !failure;
}

bool upload_is_ready(Service *service, const ImportRequest *request, GError **error)
{
    GError *failure = NULL;
    const char *id = import_request_upload(request);
    if (!id)
        return true;
    g_autoptr(Upload) upload = upload_load(service->db, request->project, id, &failure);
    g_autoptr(GPtrArray) files =
        upload ? upload_files_list(service->db, upload, true, &failure) : NULL;
    if (!upload && !failure)
        g_set_error(&failure, IMPORT_ERROR, IMPORT_ERROR_SOURCE,
                    "there is no upload %s in project %s: it expired, was imported, or never was",
                    id, request->project);
    else if (upload && !failure && upload->files == 0)
        g_set_error(&failure, IMPORT_ERROR, IMPORT_ERROR_SOURCE, "upload %s has no files yet", id);
    else if (files && files->len > 0)
        g_set_error(&failure, IMPORT_ERROR, IMPORT_ERROR_SOURCE,
                    "upload %s is not complete: %s has not arrived whole (%u such files)", id,
                    ((const UploadFile *)files->pdata[0])->path, files->len);
    bool ready = !failure;
    if (failure)
        g_propagate_error(error, failure);
    return ready;
}

bool upload_keep(Service *service, const ImportRequest *request, const char *model_id, int attempt,
                 GError **error)
{
    const char *id = import_request_upload(request);
    return !id || upload_use(service->db, request->project, id, model_id, attempt, error);
}

bool upload_bind(Service *service, const ImportRequest *request, int64_t job, GError **error)
{
    const char *id = import_request_upload(request);
    if (!id || db_engine(service->db) == DB_SQLITE)
        return true;
    GError *failure = NULL;
    g_autoptr(Upload) upload = upload_load(service->db, request->project, id, &failure);
    if (failure)
        g_propagate_error(error, failure);
    /* A rebuild begins behind the copy: the upload is gone, and nobody needs it. */
    return upload ? job_set_home(service->db, job, upload->home, error) : !failure;
}

bool upload_unbind(const Import *import, const char *stage, GError **error)
{
    Db *db = import->service->db;
    return strcmp(stage, "copy") != 0 || !import_request_upload(import->request) ||
           db_engine(db) == DB_SQLITE || job_set_home(db, import->job->id, NULL, error);
}

bool upload_imported(Import *import, char **directory, GError **error)
{
    const char *id = import_request_upload(import->request);
    *directory = NULL;
    return !id || upload_delete(import->service->db, import->request->project, id,
                                import->model->id, import->job->attempt, directory, error);
}

void upload_clean_up(const Service *service, const char *directory)
{
    g_autoptr(GError) error = NULL;
    if (directory && !upload_remove_directory(service->data, directory, &error))
        g_warning("an imported upload stays until gc: %s", error->message);
}
