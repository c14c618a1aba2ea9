/* Uploads: packages that clients send file by file, to be imported as upload://ID.
 *
 *   uploads/DIRECTORY/files/PATH       a file that is complete
 *   uploads/DIRECTORY/partial/HASH     what has arrived of one that is not (store/upload_file.h)
 *
 * The store says what belongs to an upload, the disk how much of a file is there. Rows go first and
 * directories after them: a directory without a row is garbage. An upload that an open job imports
 * from is neither changed nor removed; another one is removed when nothing was written to it for a
 * while, or when it was imported. */
#pragma once

#include "store/data.h"

#define UPLOADS_DIRECTORY "uploads"

typedef struct {
    char *project, *id; /* id: a UUID in lower case */
    char *directory;    /* its name beneath uploads/ */
    int64_t created_at, written_at;
    int64_t files, bytes; /* of what is complete or begun, as large as it was said to be */
    bool in_use;          /* an open job imports from it */
    char *home;           /* data_home of the data directory that has its files, or NULL */
} Upload;
void upload_free(Upload *upload);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Upload, upload_free)

/* Whether the text can be an id. */
bool upload_id_is_valid(const char *id);
/* Within the caller's transaction; its directory is made when the first file comes. */
bool upload_insert(Db *db, const DataDirectory *data, const char *project, const char *id,
                   const char *owner, GError **error);
/* Whether its files are in this data directory. */
bool upload_is_here(Db *db, const DataDirectory *data, const Upload *upload);
/* NULL with *error unset: there is none. */
Upload *upload_load(Db *db, const char *project, const char *id, GError **error);
bool uploads_count(Db *db, const char *project, int64_t *count, GError **error);
/* Where its files are. The caller frees it. */
char *upload_files_path(const DataDirectory *data, const Upload *upload);

typedef struct {
    char *path;
    int64_t size; /* of the whole; -1: not known yet */
    bool complete;
} UploadFile;
void upload_file_free(UploadFile *file);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(UploadFile, upload_file_free)
/* NULL with *error unset: there is none. */
UploadFile *upload_file_load(Db *db, const Upload *upload, const char *path, GError **error);
/* All of them by path, or those alone that are not complete: of UploadFile. */
GPtrArray *upload_files_list(Db *db, const Upload *upload, bool incomplete, GError **error);
/* Within the caller's transaction; makes the row where it is new, and counts as a write. */
bool upload_file_set(Db *db, const Upload *upload, const char *path, int64_t size, bool complete,
                     GError **error);
bool upload_file_forget(Db *db, const Upload *upload, const char *path, GError **error);
/* It lives on: as if something had been written. Within the caller's transaction. */
bool upload_touch(Db *db, const Upload *upload, GError **error);

/* Within the caller's transaction: the attempt imports from it, if it is still there. */
bool upload_use(Db *db, const char *project, const char *id, const char *model_id, int attempt,
                GError **error);
/* Within the caller's transaction: the row, with all that hangs on it, unless another attempt
 * imports from it; *directory is then what upload_remove_directory takes afterwards, else NULL. */
bool upload_delete(Db *db, const char *project, const char *id, const char *model_id, int attempt,
                   char **directory, GError **error);
/* Nothing where it is gone. Does not follow links. */
bool upload_remove_directory(const DataDirectory *data, const char *directory, GError **error);

/* Removes uploads that nobody wrote to since `before` (ms since 1970) and that are not in use, and
 * directories that belong to none. dry_run: counts only. *count and *bytes are added to. */
bool uploads_sweep(Db *db, const DataDirectory *data, int64_t before, bool dry_run, int *count,
                   int64_t *bytes, GError **error);
