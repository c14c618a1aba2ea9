/* A layer whose entries come one after another: from a tar archive that somebody else made, and
 * from memory. Made for base images, whose files have owners, modes and links of their own.
 *
 * Deterministic: mtime 0, no names of owners, no xattrs, ACLs or flags; the order is that of the
 * calls. Nothing is unpacked here, and what is packed cannot be unpacked outside: a path or a hard
 * link that is absolute, has a ".." or a control character is refused. Memory does not grow with
 * the archive. */
#pragma once

#include "base/progress.h"
#include "image/layout.h"

/* Errors about what an archive holds. */
#define ARCHIVE_ERROR (archive_error_quark())
GQuark archive_error_quark(void);
typedef enum { ARCHIVE_ERROR_MALFORMED, ARCHIVE_ERROR_ENTRY } ArchiveError;

typedef struct LayerArchive LayerArchive;

LayerArchive *layer_archive_new(Layout *layout, GError **error);
/* Drops the layer unless it was committed. */
void layer_archive_free(LayerArchive *archive);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(LayerArchive, layer_archive_free)

/* root's, 0755 and 0644. */
bool layer_archive_add_directory(LayerArchive *archive, const char *path, GError **error);
bool layer_archive_add_file(LayerArchive *archive, const char *path, const void *data, size_t size,
                            GError **error);

/* Whether an entry stays; its path has no "./" before it, and no '/' behind it. */
typedef bool (*LayerArchiveKeeps)(const char *path, bool is_directory);
/* Every directory, file and link of the tar archive that the descriptor gives, until its end, but
 * for devices, sockets and FIFOs. progress counts its bytes. G_IO_ERROR_CANCELLED: progress->stop
 * was seen, at most 200 ms ago; the writer at the other end may still live. */
bool layer_archive_copy(LayerArchive *archive, int fd, LayerArchiveKeeps keeps, Progress *progress,
                        GError **error);

/* After the last entry: the blob's digest. The caller's. */
char *layer_archive_finish(LayerArchive *archive, GError **error);
/* After that: its size, and making it durable. *existed: the layout had it already. */
int64_t layer_archive_size(const LayerArchive *archive);
bool layer_archive_commit(LayerArchive *archive, bool *existed, GError **error);
