/* What the handlers of uploads share. */
#pragma once

#include "server/api.h"
#include "store/upload_file.h"

/* The upload of {project_id} and {upload_id}; NULL: *reply. */
Upload *uploads_find(const HttpRequest *request, Service *service, HttpReply *reply);
/* {path, size, bytes_received, complete}. A new reference. */
json_t *uploads_file_json(const Service *service, const Upload *upload, const UploadFile *file,
                          int64_t *received);
/* Upload-Offset and Upload-Complete, as in the IETF's draft "Resumable Uploads for HTTP". */
void uploads_set_offset(HttpReply *reply, int64_t received, bool complete);
