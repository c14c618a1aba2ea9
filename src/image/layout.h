/* A directory in the OCI image layout (image-spec, image-layout.md): the embedded image store, and
 * where base and custom images come from.
 *
 * A blob appears under its final name only when it is whole and durable: temporary file in DIR/tmp
 * (held with an OFD lock by its writer, so that gc can tell it from a left-over), fsync, rename
 * without clobber, fsync of the directory. */
#pragma once

#include "image/source.h"

/* What a layout lacks has the domain IMAGE_ERROR, what the disk refuses IO_ERROR. */
typedef struct Layout Layout;

#define LAYOUT_VERSION "1.0.0"
#define LAYOUT_MARKER  "{\"imageLayoutVersion\":\"" LAYOUT_VERSION "\"}" /* the file oci-layout */
/* index.json of a layout that holds one image. The caller frees it. */
char *layout_index_of_one(const Descriptor *manifest, const char *tag);

/* Opens a layout that exists; it is only read. */
Layout *layout_open(const char *directory, GError **error);
/* The embedded store: made when it is not there. */
Layout *layout_create(const char *directory, GError **error);
void layout_free(Layout *layout);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Layout, layout_free)

const char *layout_directory(const Layout *layout);
/* The layout as a source; its own. */
ImageSource *layout_source(Layout *layout);
int layout_fd(const Layout *layout);

/* The ref.names of index.json, sorted; NULL-terminated. */
char **layout_tags(Layout *layout, GError **error);
/* The descriptor {mediaType, digest, size, …} that a tag names in index.json (IMAGE_ERROR_NO_TAG).
 * A new reference. */
json_t *layout_resolve(Layout *layout, const char *tag, GError **error);
/* The same of a manifest or index that a digest names (IMAGE_ERROR_NO_MANIFEST); it need not be in
 * index.json. */
json_t *layout_resolve_digest(Layout *layout, const char *digest, GError **error);

/* By its size only; -1: of any size. */
bool layout_has_blob(const Layout *layout, const char *digest, int64_t size);
/* Bytes; -1: it is not there. */
int64_t layout_blob_size(const Layout *layout, const char *digest);
/* Opened for reading; -1: IMAGE_ERROR_NO_BLOB or IO_ERROR. */
int layout_open_blob(const Layout *layout, const char *digest, GError **error);
/* A second name for a blob, in a directory of the same file system. */
bool layout_link_blob(const Layout *layout, const char *digest, int directory, const char *name,
                      GError **error);
/* A small blob (JSON), verified against its digest; at most 4 MiB. */
GBytes *layout_read_blob(const Layout *layout, const char *digest, GError **error);
/* Re-hashes a blob. expected_size -1: any. *found, when not NULL, is set to what its bytes hash to
 * (the caller frees it), or to NULL: it is missing, or larger than expected and so not read. */
bool layout_verify_blob(const Layout *layout, const char *digest, int64_t expected_size,
                        char **found, GError **error);
/* Stores bytes; returns their digest. Does nothing when they are there. */
char *layout_put(Layout *layout, const void *data, size_t size, GError **error);

/* A blob that is being written. */
typedef struct BlobWriter BlobWriter;
BlobWriter *layout_begin_blob(Layout *layout, GError **error);
bool blob_writer_write(BlobWriter *writer, const void *data, size_t size, GError **error);
/* Makes it durable under its digest. *existed: it was there, ours is dropped. Frees the writer,
 * also on failure. */
bool blob_writer_commit(BlobWriter *writer, const char *digest, bool *existed, GError **error);
/* Drops it and leaves no trace. */
void blob_writer_abort(BlobWriter *writer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BlobWriter, blob_writer_abort)
/* Bytes written, those of earlier parts too. */
int64_t blob_writer_size(const BlobWriter *writer);
/* What they hash to, read again from the file. The caller frees it. NULL: *error. */
char *blob_writer_digest(const BlobWriter *writer, GError **error);

/* -- a blob that comes in parts, over days and restarts perhaps: DIR/partial/NAME -- */

/* Goes on behind what is there; `name` is one of the caller's without slashes. A commit that fails
 * keeps the file. NULL, with IO_ERROR and EBUSY: somebody writes it now. */
BlobWriter *layout_resume_blob(Layout *layout, const char *name, GError **error);
/* Frees the writer; what it wrote stays. */
void blob_writer_keep(BlobWriter *writer);
/* Bytes of it; 0: nothing has arrived. */
int64_t layout_partial_size(const Layout *layout, const char *name);
/* The names in DIR/partial (char *). */
GPtrArray *layout_partial_names(const Layout *layout, GError **error);
/* Removes it, or with dry_run does not, unless somebody writes it now; adds to *count and *bytes,
 * which may be NULL. */
bool layout_remove_partial(Layout *layout, const char *name, bool dry_run, int *count,
                           int64_t *bytes, GError **error);

/* What index.json is to list. */
typedef struct {
    char *name; /* org.opencontainers.image.ref.name */
    char *media_type, *digest;
    int64_t size;
} LayoutEntry;
void layout_entry_free(LayoutEntry *entry);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(LayoutEntry, layout_entry_free)
/* Writes index.json anew (under an flock of the layout, by rename), from the list of LayoutEntry
 * that `entries` returns once the lock is held; sorts and frees it. The same list again writes
 * nothing. */
typedef GPtrArray *(*LayoutEntriesFunc)(gpointer data, GError **error);
bool layout_write_index(Layout *layout, LayoutEntriesFunc entries, gpointer data, GError **error);
/* Adds one entry to index.json, in place of those of its tag; the others stay as they are. */
bool layout_add_tag(Layout *layout, const Descriptor *manifest, const char *tag, GError **error);
/* Whether index.json is what layout_write_index would write. */
bool layout_index_is_current(Layout *layout, LayoutEntriesFunc entries, gpointer data,
                             bool *current, GError **error);

/* Every blob of the layout: called with its digest and size. Names that are no digest are passed as
 * they are (stray files). */
typedef bool (*LayoutBlobFunc)(const char *name, int64_t size, gpointer data, GError **error);
bool layout_each_blob(Layout *layout, LayoutBlobFunc call, gpointer data, GError **error);
bool layout_remove_blob(Layout *layout, const char *name, GError **error);
/* Removes temporary files whose writer is gone, or with dry_run only counts them; *count, *bytes:
 * how many and how much. */
bool layout_sweep_temporary(Layout *layout, bool dry_run, int *count, int64_t *bytes,
                            GError **error);

/* Publishing a blob and recording the row that refers to it exclude gc's removal: shared for those,
 * exclusive for gc. Returns a file descriptor that holds the lock until it is closed. */
int layout_lock(Layout *layout, bool exclusive, GError **error);
/* Exclusive, or not at all: IO_ERROR and EWOULDBLOCK, somebody has it. */
int layout_try_lock(Layout *layout, GError **error);
