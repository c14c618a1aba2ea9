#include "build/pack.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/io.h"
#include "build/deputy.h"
#include "build/userns.h"
#include "image/blob_pipe.h"

#define READ_BYTES (1 << 20)

typedef struct {
    int upper;
    const char *opaque; /* the extended attribute */
    Layout *layout;
    Progress *progress;
    BlobPipe *pipe;
    struct archive *archive;
    GHashTable *links;  /* inode as text -> path of its first name */
    GPtrArray *parents; /* of char *: directories above that are not written yet */
    int64_t files;
    char *buffer;
    GError *error;
} Pack;

/* Paths whose content is nobody's but the build's. A '/' at the end: what is in the directory, but
 * not it. */
static const char *const LEFT_OUT[] = {"dev/",
                                       "proc/",
                                       "sys/",
                                       "run/",
                                       "tmp/",
                                       "var/tmp/",
                                       "root/.cache",
                                       "var/cache/apt/",
                                       "var/cache/debconf/",
                                       "var/cache/ldconfig/",
                                       "var/lib/apt/lists/",
                                       "var/log/",
                                       "etc/machine-id",
                                       "etc/resolv.conf",
                                       "var/lib/dpkg/lock",
                                       "var/lib/dpkg/lock-frontend",
                                       "var/lib/dpkg/triggers/Lock",
                                       "etc/.pwd.lock",
                                       "var/lib/dpkg/status-old",
                                       "var/lib/dpkg/diversions-old",
                                       "var/lib/dpkg/statoverride-old",
                                       "var/lib/dpkg/available-old"};

static bool is_left_out(const char *path, const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(LEFT_OUT); i++) {
        size_t length = strlen(LEFT_OUT[i]);
        bool inside = LEFT_OUT[i][length - 1] == '/';
        if (inside ? strncmp(path, LEFT_OUT[i], length) == 0 : strcmp(path, LEFT_OUT[i]) == 0)
            return true;
    }
    return strcmp(name, "__pycache__") == 0 || strcmp(name, "direct_url.json") == 0 ||
           g_str_has_suffix(name, ".pyc");
}

static bool fail(Pack *pack, const char *path)
{
    return pack->error ? false : io_fail(&pack->error, errno, "packing %s", path);
}

/* Whether what is in it is left out, so that it being empty says nothing. */
static bool is_left_out_inside(const char *path)
{
    for (size_t i = 0; i < G_N_ELEMENTS(LEFT_OUT); i++) {
        size_t length = strlen(LEFT_OUT[i]) - 1;
        if (LEFT_OUT[i][length] == '/' && strncmp(path, LEFT_OUT[i], length) == 0 && !path[length])
            return true;
    }
    return false;
}

/* -- writing -- */

static la_ssize_t write_bytes(struct archive *archive, void *data, const void *bytes, size_t size)
{
    Pack *pack = data;
    if (pack->error || !blob_pipe_append(pack->pipe, bytes, size, &pack->error)) {
        archive_set_error(archive, EIO, "the blob");
        return -1;
    }
    return (la_ssize_t)size;
}

static bool write_header(Pack *pack, struct archive_entry *entry)
{
    archive_entry_set_mtime(entry, 0, 0);
    if (archive_write_header(pack->archive, entry) >= ARCHIVE_WARN)
        return true;
    errno = archive_errno(pack->archive);
    return fail(pack, archive_entry_pathname(entry));
}

/* Of those that say something to whoever runs the image: file capabilities. */
static void take_xattrs(struct archive_entry *entry, int fd)
{
    char value[256];
    ssize_t size = fgetxattr(fd, "security.capability", value, sizeof value);
    if (size > 0)
        archive_entry_xattr_add_entry(entry, "security.capability", value, (size_t)size);
}

static struct archive_entry *entry_of(const char *path, const struct stat *about)
{
    struct archive_entry *entry = archive_entry_new();
    archive_entry_set_pathname(entry, path);
    archive_entry_set_mode(entry, about->st_mode);
    archive_entry_set_uid(entry, about->st_uid);
    archive_entry_set_gid(entry, about->st_gid);
    archive_entry_set_size(entry, S_ISREG(about->st_mode) ? about->st_size : 0);
    return entry;
}

static bool write_empty(Pack *pack, const char *path)
{
    const struct stat about = {.st_mode = S_IFREG | 0644};
    struct archive_entry *entry = entry_of(path, &about);
    bool done = write_header(pack, entry);
    archive_entry_free(entry);
    pack->files++;
    return done;
}

/* A path as the image-spec writes a whiteout. */
static bool write_whiteout(Pack *pack, const char *path)
{
    g_autofree char *parent = g_path_get_dirname(path), *name = g_path_get_basename(path);
    g_autofree char *whiteout = strcmp(parent, ".") == 0 ? g_strconcat(".wh.", name, NULL)
                                                         : g_strconcat(parent, "/.wh.", name, NULL);
    return write_empty(pack, whiteout);
}

static bool copy_content(Pack *pack, int fd, const char *path, int64_t left)
{
    while (left > 0) {
        if (progress_stopped(pack->progress)) {
            g_set_error(&pack->error, G_IO_ERROR, G_IO_ERROR_CANCELLED, "stopped");
            return false;
        }
        ssize_t got = read(fd, pack->buffer, (size_t)MIN(left, READ_BYTES));
        if (got == 0)
            errno = ESTALE;
        if (got <= 0 || archive_write_data(pack->archive, pack->buffer, (size_t)got) != got)
            return fail(pack, path);
        progress_add(pack->progress, got);
        left -= got;
    }
    return true;
}

static bool write_file(Pack *pack, int directory, const char *name, const char *path,
                       const struct stat *about)
{
    g_autofree char *inode = g_strdup_printf("%" G_GUINT64_FORMAT, (guint64)about->st_ino);
    const char *first = about->st_nlink > 1 ? g_hash_table_lookup(pack->links, inode) : NULL;
    struct archive_entry *entry = entry_of(path, about);
    autofd fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (first) {
        archive_entry_set_hardlink(entry, first);
        archive_entry_set_size(entry, 0);
    } else if (fd >= 0) {
        take_xattrs(entry, fd);
    }
    bool done = (first || fd >= 0 || fail(pack, path)) && write_header(pack, entry) &&
                (first || copy_content(pack, fd, path, about->st_size));
    archive_entry_free(entry);
    if (!first && about->st_nlink > 1)
        g_hash_table_insert(pack->links, g_steal_pointer(&inode), g_strdup(path));
    return done;
}

static bool write_link(Pack *pack, int directory, const char *name, const char *path,
                       const struct stat *about)
{
    char target[4096];
    ssize_t length = readlinkat(directory, name, target, sizeof target - 1);
    if (length < 0)
        return fail(pack, path);
    target[length] = '\0';
    struct archive_entry *entry = entry_of(path, about);
    archive_entry_set_symlink(entry, target);
    bool done = write_header(pack, entry);
    archive_entry_free(entry);
    return done;
}

/* The directories above, which have something in them now. */
static bool write_parents(Pack *pack)
{
    for (guint i = 0; i < pack->parents->len; i++) {
        struct stat about;
        const char *path = pack->parents->pdata[i];
        if (fstatat(pack->upper, path, &about, AT_SYMLINK_NOFOLLOW) < 0)
            return fail(pack, path);
        struct archive_entry *entry = entry_of(path, &about);
        bool done = write_header(pack, entry);
        archive_entry_free(entry);
        if (!done)
            return false;
    }
    g_ptr_array_set_size(pack->parents, 0);
    return true;
}

/* -- the walk -- */

static bool pack_directory(Pack *pack, int directory, const char *path);

static gint compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static GPtrArray *names_of(Pack *pack, int directory, const char *path)
{
    int fd = dup(directory);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir) {
        fail(pack, path);
        io_close(&fd);
        return NULL;
    }
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    const struct dirent *entry;
    while ((entry = readdir(dir)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            g_ptr_array_add(names, g_strdup(entry->d_name));
    closedir(dir);
    g_ptr_array_sort(names, compare_names);
    return names;
}

/* A directory that overlayfs says is opaque replaced the one below. */
static bool is_opaque(const Pack *pack, int fd)
{
    char value[2];
    return fgetxattr(fd, pack->opaque, value, sizeof value) == 1 && value[0] == 'y';
}

static bool pack_below(Pack *pack, int directory, const char *name, const char *path)
{
    autofd fd = openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return fail(pack, path);
    g_ptr_array_add(pack->parents, g_strdup(path));
    guint depth = pack->parents->len;
    if (is_opaque(pack, fd)) {
        g_autofree char *opaque = g_strconcat(path, "/.wh..wh..opq", NULL);
        if (!write_parents(pack) || !write_empty(pack, opaque))
            return false;
    }
    if (!pack_directory(pack, fd, path))
        return false;
    if (pack->parents->len == depth) /* nothing in it was packed */
        g_ptr_array_set_size(pack->parents, depth - 1);
    return true;
}

static bool pack_entry(Pack *pack, int directory, const char *name, const char *path)
{
    struct stat about;
    if (fstatat(directory, name, &about, AT_SYMLINK_NOFOLLOW) < 0)
        return fail(pack, path);
    if (S_ISDIR(about.st_mode))
        return pack_below(pack, directory, name, path);
    if (S_ISFIFO(about.st_mode) || S_ISSOCK(about.st_mode) || S_ISBLK(about.st_mode) ||
        (S_ISCHR(about.st_mode) && about.st_rdev != 0))
        return true;
    if (!write_parents(pack))
        return false;
    if (S_ISCHR(about.st_mode))
        return write_whiteout(pack, path);
    pack->files++;
    return S_ISLNK(about.st_mode) ? write_link(pack, directory, name, path, &about)
                                  : write_file(pack, directory, name, path, &about);
}

static bool pack_directory(Pack *pack, int directory, const char *path)
{
    g_autoptr(GPtrArray) names = names_of(pack, directory, path);
    if (names && names->len == 0 && *path && !is_left_out_inside(path))
        return write_parents(pack); /* made by a package, which may want it */
    for (guint i = 0; names && i < names->len; i++) {
        const char *name = names->pdata[i];
        g_autofree char *below = *path ? g_strconcat(path, "/", name, NULL) : g_strdup(name);
        if (!is_left_out(below, name) && !pack_entry(pack, directory, name, below))
            return false;
    }
    return names != NULL;
}

static bool pack_all(Pack *pack)
{
    archive_write_set_format_pax_restricted(pack->archive);
    archive_write_add_filter_none(pack->archive);
    archive_write_set_bytes_per_block(pack->archive, 0);
    if (archive_write_open(pack->archive, pack, NULL, write_bytes, NULL) != ARCHIVE_OK)
        return fail(pack, "the layer");
    return pack_directory(pack, pack->upper, "") &&
           (archive_write_close(pack->archive) == ARCHIVE_OK || fail(pack, "the layer"));
}

bool pack_upper(int upper, Layout *layout, Progress *progress, PackedLayer *layer, GError **error)
{
    *layer = (PackedLayer){0};
    if (userns_needed())
        return deputy_pack(upper, layout, progress, layer, error);
    g_autoptr(BlobSink) sink = layout_sink(layout, error);
    g_autoptr(BlobPipe) pipe = sink ? blob_pipe_new(sink, error) : NULL;
    if (!pipe)
        return false;
    g_autofree char *buffer = g_malloc(READ_BYTES);
    Pack pack = {.upper = upper,
                 .opaque = userns_opaque(),
                 .layout = layout,
                 .progress = progress,
                 .pipe = pipe,
                 .archive = archive_write_new(),
                 .links = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free),
                 .parents = g_ptr_array_new_with_free_func(g_free),
                 .buffer = buffer};
    bool done = pack_all(&pack);
    archive_write_free(pack.archive);
    g_hash_table_unref(pack.links);
    g_ptr_array_unref(pack.parents);
    if (pack.error) {
        g_propagate_error(error, pack.error);
        return false;
    }
    if (!done || pack.files == 0)
        return done;
    layer->digest = blob_pipe_finish(pipe, error);
    layer->size = blob_pipe_size(pipe);
    layer->files = pack.files;
    return layer->digest && blob_pipe_commit(pipe, &layer->existed, error);
}

void packed_layer_clear(PackedLayer *layer)
{
    g_clear_pointer(&layer->digest, g_free);
}
