/* libarchive reads and writes the tar. It translates names between the locale and UTF-8, and would
 * write other bytes in another locale: so while it works the thread's locale is C.UTF-8, which
 * every glibc since 2.35 has by itself. */
#include "image/layer_archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <gio/gio.h>
#include <locale.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/error_domain.h"
#include "base/io.h"
#include "image/blob_pipe.h"

#define BUFFER_SIZE ((size_t)64 << 10)
#define STOP_MS     200

DEFINE_ERROR_DOMAIN(archive_error);

struct LayerArchive {
    BlobSink *sink;
    BlobPipe *pipe;
    struct archive *writer;
    bool dropped;    /* what still comes is the end of a layer that nobody wants */
    GError *failure; /* of the pipe: libarchive knows no GError */
    locale_t locale;
};

/* What the reading callback needs. */
typedef struct {
    int fd;
    Progress *progress;
    GError *failure;
    char buffer[BUFFER_SIZE];
} Reading;

typedef struct archive ArchiveReader;
static void archive_reader_free(ArchiveReader *reader)
{
    archive_read_free(reader);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ArchiveReader, archive_reader_free)

typedef struct archive_entry ArchiveEntry;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ArchiveEntry, archive_entry_free)

/* -- the writing side -- */

static la_ssize_t write_bytes(struct archive *writer, void *data, const void *buffer, size_t size)
{
    LayerArchive *archive = data;
    if (archive->dropped)
        return (la_ssize_t)size;
    if (archive->failure || !blob_pipe_append(archive->pipe, buffer, size, &archive->failure)) {
        archive_set_error(writer, EIO, "the layer could not be written");
        return -1;
    }
    return (la_ssize_t)size;
}

/* Always returns false. */
static bool fail_writing(LayerArchive *archive, GError **error)
{
    if (archive->failure)
        g_propagate_error(error, g_steal_pointer(&archive->failure));
    else
        io_fail(error, archive_errno(archive->writer), "a layer: %s",
                archive_error_string(archive->writer));
    return false;
}

LayerArchive *layer_archive_new(Layout *layout, GError **error)
{
    g_autoptr(LayerArchive) archive = g_new0(LayerArchive, 1);
    archive->locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    archive->sink = layout_sink(layout, error);
    archive->pipe = archive->sink ? blob_pipe_new(archive->sink, error) : NULL;
    if (!archive->pipe)
        return NULL;
    if (!archive->locale) {
        io_fail(error, errno, "the locale C.UTF-8");
        return NULL;
    }
    archive->writer = archive_write_new();
    archive_write_set_format_pax_restricted(archive->writer);
    archive_write_add_filter_none(archive->writer);
    archive_write_set_bytes_in_last_block(archive->writer, 1);
    if (archive_write_open2(archive->writer, archive, NULL, write_bytes, NULL, NULL) !=
        ARCHIVE_OK) {
        fail_writing(archive, error);
        return NULL;
    }
    return g_steal_pointer(&archive);
}

void layer_archive_free(LayerArchive *archive)
{
    if (!archive)
        return;
    archive->dropped = true;
    archive_write_free(archive->writer); /* it closes first, so that it frees all it has */
    blob_pipe_free(archive->pipe);
    blob_sink_free(archive->sink);
    g_clear_error(&archive->failure);
    if (archive->locale)
        freelocale(archive->locale);
    g_free(archive);
}

static ArchiveEntry *new_entry(const char *path, mode_t type, mode_t mode, int64_t size)
{
    ArchiveEntry *entry = archive_entry_new();
    archive_entry_set_pathname(entry, path);
    archive_entry_set_filetype(entry, type);
    archive_entry_set_perm(entry, mode);
    archive_entry_set_size(entry, size);
    archive_entry_set_mtime(entry, 0, 0);
    return entry;
}

/* A warning is a name that is no UTF-8: it is written as it is. */
static bool put_header(LayerArchive *archive, ArchiveEntry *entry, GError **error)
{
    locale_t before = uselocale(archive->locale);
    int status = archive_write_header(archive->writer, entry);
    uselocale(before);
    return status >= ARCHIVE_WARN || fail_writing(archive, error);
}

static bool put_data(LayerArchive *archive, const void *data, size_t size, GError **error)
{
    return archive_write_data(archive->writer, data, size) == (la_ssize_t)size ||
           fail_writing(archive, error);
}

bool layer_archive_add_directory(LayerArchive *archive, const char *path, GError **error)
{
    g_autoptr(ArchiveEntry) entry = new_entry(path, AE_IFDIR, 0755, 0);
    return put_header(archive, entry, error);
}

bool layer_archive_add_file(LayerArchive *archive, const char *path, const void *data, size_t size,
                            GError **error)
{
    g_autoptr(ArchiveEntry) entry = new_entry(path, AE_IFREG, 0644, (int64_t)size);
    return put_header(archive, entry, error) && put_data(archive, data, size, error);
}

char *layer_archive_finish(LayerArchive *archive, GError **error)
{
    if (archive_write_close(archive->writer) != ARCHIVE_OK) {
        fail_writing(archive, error);
        return NULL;
    }
    return blob_pipe_finish(archive->pipe, error);
}

int64_t layer_archive_size(const LayerArchive *archive)
{
    return blob_pipe_size(archive->pipe);
}

bool layer_archive_commit(LayerArchive *archive, bool *existed, GError **error)
{
    return blob_pipe_commit(archive->pipe, existed, error);
}

/* -- the reading side -- */

/* Waits until there is something to read. False: it was stopped, or failed. */
static bool wait_readable(Reading *reading)
{
    struct pollfd ready = {.fd = reading->fd, .events = POLLIN};
    for (;;) {
        if (progress_stopped(reading->progress)) {
            g_set_error(&reading->failure, G_IO_ERROR, G_IO_ERROR_CANCELLED, "stopped");
            return false;
        }
        int count = poll(&ready, 1, STOP_MS);
        if (count > 0)
            return true;
        if (count < 0 && errno != EINTR)
            return io_fail(&reading->failure, errno, "waiting for an archive");
    }
}

static la_ssize_t read_bytes(struct archive *reader, void *data, const void **buffer)
{
    Reading *reading = data;
    *buffer = reading->buffer;
    while (wait_readable(reading)) {
        ssize_t got = read(reading->fd, reading->buffer, BUFFER_SIZE);
        if (got >= 0) {
            progress_add(reading->progress, got);
            return got;
        }
        if (errno == EINTR || errno == EAGAIN)
            continue;
        io_fail(&reading->failure, errno, "reading an archive");
        break;
    }
    archive_set_error(reader, EIO, "the archive could not be read");
    return -1;
}

/* Always returns false. */
static bool fail_reading(Reading *reading, ArchiveReader *reader, GError **error)
{
    if (reading->failure)
        g_propagate_error(error, g_steal_pointer(&reading->failure));
    else
        g_set_error(error, ARCHIVE_ERROR, ARCHIVE_ERROR_MALFORMED, "no sound tar archive: %s",
                    archive_error_string(reader));
    return false;
}

/* The path below the root, without "./" and the '/' at its end; "" is the root itself. NULL: it
 * leads outside, or cannot be shown. */
static char *path_below(const char *path)
{
    if (!path || *path == '/')
        return NULL;
    g_auto(GStrv) parts = g_strsplit(path, "/", -1);
    g_autoptr(GString) below = g_string_new(NULL);
    for (char **part = parts; *part; part++) {
        if (strcmp(*part, "..") == 0)
            return NULL;
        if (!**part || strcmp(*part, ".") == 0)
            continue;
        g_string_append_printf(below, "%s%s", below->len ? "/" : "", *part);
    }
    for (const char *at = below->str; *at; at++)
        if (g_ascii_iscntrl(*at))
            return NULL;
    return g_string_free(g_steal_pointer(&below), FALSE);
}

static bool copy_data(LayerArchive *archive, ArchiveReader *reader, Reading *reading, int64_t size,
                      GError **error)
{
    g_autofree char *buffer = g_malloc(BUFFER_SIZE);
    while (size > 0) {
        la_ssize_t got = archive_read_data(reader, buffer, (size_t)MIN((int64_t)BUFFER_SIZE, size));
        if (got <= 0)
            return fail_reading(reading, reader, error);
        if (!put_data(archive, buffer, (size_t)got, error))
            return false;
        size -= got;
    }
    return true;
}

static bool fail_entry(const char *what, const char *path, GError **error)
{
    g_autofree char *shown = g_utf8_make_valid(path ? path : "", -1);
    g_set_error(error, ARCHIVE_ERROR, ARCHIVE_ERROR_ENTRY,
                "the archive has %s %s, expected one below its root", what, shown);
    return false;
}

/* A file, directory or link as the layer has it; NULL: it is left out, or (*error) refused. */
static ArchiveEntry *clean_entry(ArchiveEntry *given, LayerArchiveKeeps keeps, GError **error)
{
    mode_t type = archive_entry_filetype(given);
    const char *target = archive_entry_hardlink(given);
    g_autofree char *path = path_below(archive_entry_pathname(given));
    if (!path) {
        fail_entry("the entry", archive_entry_pathname(given), error);
        return NULL;
    }
    if (!*path || !keeps(path, type == AE_IFDIR) ||
        (!target && type != AE_IFREG && type != AE_IFDIR && type != AE_IFLNK))
        return NULL;
    g_autoptr(ArchiveEntry) entry =
        new_entry(path, target ? AE_IFREG : type, archive_entry_perm(given),
                  target || type != AE_IFREG ? 0 : archive_entry_size(given));
    archive_entry_set_uid(entry, archive_entry_uid(given));
    archive_entry_set_gid(entry, archive_entry_gid(given));
    if (target) {
        g_autofree char *below = path_below(target);
        if (!below || !*below) {
            fail_entry("a hard link to", target, error);
            return NULL;
        }
        archive_entry_set_hardlink(entry, below);
    } else if (type == AE_IFLNK) {
        archive_entry_set_symlink(entry, archive_entry_symlink(given));
    }
    return g_steal_pointer(&entry);
}

static bool copy_entry(LayerArchive *archive, ArchiveReader *reader, Reading *reading,
                       ArchiveEntry *given, LayerArchiveKeeps keeps, GError **error)
{
    GError *refused = NULL;
    g_autoptr(ArchiveEntry) entry = clean_entry(given, keeps, &refused);
    if (refused)
        g_propagate_error(error, refused);
    if (!entry)
        return !refused;
    return put_header(archive, entry, error) &&
           copy_data(archive, reader, reading, archive_entry_size(entry), error);
}

static bool copy_entries(LayerArchive *archive, ArchiveReader *reader, Reading *reading,
                         LayerArchiveKeeps keeps, GError **error)
{
    ArchiveEntry *entry;
    int status;
    while ((status = archive_read_next_header(reader, &entry)) == ARCHIVE_OK ||
           status == ARCHIVE_WARN)
        if (!copy_entry(archive, reader, reading, entry, keeps, error))
            return false;
    return status == ARCHIVE_EOF || fail_reading(reading, reader, error);
}

bool layer_archive_copy(LayerArchive *archive, int fd, LayerArchiveKeeps keeps, Progress *progress,
                        GError **error)
{
    g_autofree Reading *reading = g_new0(Reading, 1);
    reading->fd = fd;
    reading->progress = progress;
    g_autoptr(ArchiveReader) reader = archive_read_new();
    archive_read_support_format_tar(reader);
    archive_read_support_filter_none(reader);
    locale_t before = uselocale(archive->locale);
    bool copied = (archive_read_open(reader, reading, NULL, read_bytes, NULL) == ARCHIVE_OK ||
                   fail_reading(reading, reader, error)) &&
                  copy_entries(archive, reader, reading, keeps, error);
    uselocale(before);
    g_clear_error(&reading->failure);
    return copied;
}
