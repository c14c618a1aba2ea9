#include "build/unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <gio/gio.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/held.h"
#include "base/io.h"
#include "build/deputy.h"
#include "build/sandbox.h"
#include "build/userns.h"

#define NAME_DIGITS     24
#define READ_BYTES      (1 << 20)
#define WHITEOUT        ".wh."
#define WHITEOUT_OPAQUE ".wh..wh..opq"
#define TEMPORARY       "tmp-"
#define UNPACKED        "unpacked"
#define USERS           "user-" /* as userns_name */

typedef struct {
    int blob;
    const char *digest, *into, *opaque;
    int64_t ids; /* of owners that we can give */
    Progress *progress;
    bool done;
    GError *error;
} Unpack;

static bool fail_archive(Unpack *unpack, struct archive *archive, const char *path)
{
    int code = archive_errno(archive);
    if (code == ENOSPC || code == EDQUOT || code == EIO)
        return io_fail(&unpack->error, code, "unpacking %s", unpack->digest);
    g_set_error(&unpack->error, IMAGE_ERROR, IMAGE_ERROR_MALFORMED, "layer %s%s%s: %s",
                unpack->digest, path ? ", " : "", path ? path : "",
                archive_error_string(archive) ? archive_error_string(archive) : "no archive");
    return false;
}

/* Relative, without "." in it; NULL: the root itself, or what leads out of it. */
static const char *entry_path(const char *path)
{
    while (path && (*path == '/' || strncmp(path, "./", 2) == 0))
        path += *path == '/' ? 1 : 2;
    return path && *path && strcmp(path, ".") != 0 ? path : NULL;
}

static bool make_parents(const char *path)
{
    g_autofree char *parent = g_path_get_dirname(path);
    return strcmp(parent, ".") == 0 || g_mkdir_with_parents(parent, 0755) == 0;
}

/* *taken: the entry was a whiteout. The thread's working directory is the layer's root; parents
 * were made by the archive's own entries, which do not follow links out of it. */
static bool take_whiteout(Unpack *unpack, const char *path, bool *taken)
{
    g_autofree char *name = g_path_get_basename(path), *parent = g_path_get_dirname(path);
    g_autofree char *removed = g_build_filename(parent, name + MIN(strlen(name), 4), NULL);
    *taken = g_str_has_prefix(name, WHITEOUT);
    if (!*taken)
        return true;
    autofd root = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (strcmp(parent, ".") != 0 && io_open_beneath(root, parent, O_PATH | O_DIRECTORY) < 0 &&
        !make_parents(path))
        return io_fail(&unpack->error, errno, "unpacking %s: %s", unpack->digest, parent);
    autofd directory = io_open_beneath(root, parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        return io_fail(&unpack->error, errno, "unpacking %s: %s", unpack->digest, parent);
    bool opaque = strcmp(name, WHITEOUT_OPAQUE) == 0;
    if (opaque ? fsetxattr(directory, unpack->opaque, "y", 1, 0) == 0
               : mknodat(directory, name + 4, S_IFCHR, makedev(0, 0)) == 0 || errno == EEXIST)
        return true;
    return io_fail(&unpack->error, errno, "unpacking %s: %s", unpack->digest, removed);
}

static bool copy_data(Unpack *unpack, struct archive *from, struct archive *to, const char *path)
{
    const void *data;
    size_t size;
    la_int64_t offset;
    int code;
    while ((code = archive_read_data_block(from, &data, &size, &offset)) == ARCHIVE_OK) {
        if (archive_write_data_block(to, data, size, offset) < ARCHIVE_WARN)
            return fail_archive(unpack, to, path);
        progress_add(unpack->progress, (int64_t)size);
    }
    return code == ARCHIVE_EOF || fail_archive(unpack, from, path);
}

/* libarchive would only warn, and leave the file to the caller. */
static bool has_owner(Unpack *unpack, struct archive_entry *entry, const char *path)
{
    const int64_t owner = MAX(archive_entry_uid(entry), archive_entry_gid(entry));
    if (owner < unpack->ids)
        return true;
    g_set_error(&unpack->error, SANDBOX_ERROR, SANDBOX_ERROR_ROOT,
                "layer %s, %s: it belongs to id %" G_GINT64_FORMAT
                ", and a user namespace has %" G_GINT64_FORMAT " here; root has them all",
                unpack->digest, path, owner, unpack->ids);
    return false;
}

static bool take_entry(Unpack *unpack, struct archive *from, struct archive *to,
                       struct archive_entry *entry)
{
    bool whiteout;
    const char *path = entry_path(archive_entry_pathname(entry));
    const char *link = entry_path(archive_entry_hardlink(entry));
    int type = archive_entry_filetype(entry);
    if (!path || type == AE_IFCHR || type == AE_IFBLK || type == AE_IFIFO || type == AE_IFSOCK)
        return true;
    g_autofree char *relative = g_strdup(path), *target = g_strdup(link);
    if (!take_whiteout(unpack, relative, &whiteout) || whiteout)
        return whiteout && !unpack->error;
    if (!has_owner(unpack, entry, relative))
        return false;
    archive_entry_set_pathname(entry, relative);
    if (target)
        archive_entry_set_hardlink(entry, target);
    if (archive_write_header(to, entry) < ARCHIVE_WARN)
        return fail_archive(unpack, to, relative);
    if (archive_entry_size(entry) > 0 && !copy_data(unpack, from, to, relative))
        return false;
    return archive_write_finish_entry(to) >= ARCHIVE_WARN || fail_archive(unpack, to, relative);
}

static bool take_entries(Unpack *unpack, struct archive *from, struct archive *to)
{
    struct archive_entry *entry;
    int code;
    while ((code = archive_read_next_header(from, &entry)) == ARCHIVE_OK || code == ARCHIVE_WARN) {
        if (progress_stopped(unpack->progress)) {
            g_set_error(&unpack->error, G_IO_ERROR, G_IO_ERROR_CANCELLED, "stopped");
            return false;
        }
        if (!take_entry(unpack, from, to, entry))
            return false;
    }
    return code == ARCHIVE_EOF || fail_archive(unpack, from, NULL);
}

/* In a thread with a working directory and a umask of its own, which is what libarchive writes
 * by. */
static void *unpack_run(void *data)
{
    Unpack *unpack = data;
    if (unshare(CLONE_FS) < 0 || chdir(unpack->into) < 0) {
        io_fail(&unpack->error, errno, "%s", unpack->into);
        return NULL;
    }
    umask(0);
    struct archive *from = archive_read_new(), *to = archive_write_disk_new();
    archive_read_support_filter_all(from);
    archive_read_support_format_tar(from);
    archive_read_support_format_empty(from);
    archive_write_disk_set_options(to, ARCHIVE_EXTRACT_OWNER | ARCHIVE_EXTRACT_PERM |
                                           ARCHIVE_EXTRACT_TIME | ARCHIVE_EXTRACT_XATTR |
                                           ARCHIVE_EXTRACT_SECURE_SYMLINKS |
                                           ARCHIVE_EXTRACT_SECURE_NODOTDOT |
                                           ARCHIVE_EXTRACT_SECURE_NOABSOLUTEPATHS);
    if (archive_read_open_fd(from, unpack->blob, READ_BYTES) != ARCHIVE_OK)
        fail_archive(unpack, from, NULL);
    else
        unpack->done = take_entries(unpack, from, to);
    if (archive_write_close(to) < ARCHIVE_WARN && unpack->done)
        unpack->done = fail_archive(unpack, to, NULL);
    archive_write_free(to);
    archive_read_free(from);
    return NULL;
}

bool unpack_layer(Layout *layout, const char *digest, const char *into, Progress *progress,
                  GError **error)
{
    pthread_t thread;
    if (userns_needed())
        return deputy_unpack(layout, digest, into, progress, error);
    autofd blob = layout_open_blob(layout, digest, error);
    if (blob < 0)
        return false;
    Unpack unpack = {.blob = blob,
                     .digest = digest,
                     .into = into,
                     .opaque = userns_opaque(),
                     .ids = userns_ids(),
                     .progress = progress};
    int code = pthread_create(&thread, NULL, unpack_run, &unpack);
    if (code)
        return io_fail(error, code, "a thread");
    pthread_join(thread, NULL);
    if (unpack.error)
        g_propagate_error(error, unpack.error);
    return unpack.done;
}

/* What is gone already is as it should be: who is still dying may remove it, too. */
static int remove_entry(const char *path, const struct stat *about, int type, struct FTW *at)
{
    return remove(path) == 0 || errno == ENOENT ? 0 : -1;
}

static bool is_gone(const char *path)
{
    struct stat about;
    const int code = errno;
    const bool gone = lstat(path, &about) < 0 && errno == ENOENT;
    errno = code;
    return gone;
}

bool unpack_remove(const char *path, GError **error)
{
    if (nftw(path, remove_entry, 64, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) == 0 || is_gone(path))
        return true;
    if (userns_needed()) /* most likely the directory of another one of our ids */
        return deputy_remove(path, error);
    return io_fail(error, errno, "%s", path);
}

char *unpack_directory(const char *data)
{
    g_autofree char *users = userns_name();
    return g_build_filename(data, UNPACKED, users, NULL);
}

char *unpack_name(const char *digest)
{
    const char *hex = strchr(digest, ':');
    return g_strndup(hex ? hex + 1 : digest, NAME_DIGITS);
}

/* Durable before it has its name: after a power cut a name stands for a whole layer. */
static bool publish(const char *temporary, const char *final, GError **error)
{
    autofd fd = open(temporary, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || syncfs(fd) < 0)
        return io_fail(error, errno, "%s", temporary);
    if (rename(temporary, final) == 0)
        return true;
    if (errno == EEXIST || errno == ENOTEMPTY) /* somebody else was faster */
        return unpack_remove(temporary, error);
    return io_fail(error, errno, "%s", final);
}

static bool unpack_once(const char *directory, Layout *layout, const char *digest, const char *name,
                        Progress *progress, GError **error)
{
    g_autofree char *final = g_build_filename(directory, name, NULL);
    if (g_file_test(final, G_FILE_TEST_IS_DIR))
        return true;
    autofd lock = -1;
    g_autofree char *temporary = held_make(directory, TEMPORARY, 0755, &lock, error);
    if (!temporary)
        return false;
    if (unpack_layer(layout, digest, temporary, progress, error) &&
        publish(temporary, final, error))
        return true;
    unpack_remove(temporary, NULL);
    return false;
}

/* The same layer twice is no overlay: the upper one says all that counts. */
static void names_push(GPtrArray *names, char *name)
{
    guint at;
    if (g_ptr_array_find_with_equal_func(names, name, g_str_equal, &at))
        g_ptr_array_remove_index(names, at);
    g_ptr_array_insert(names, 0, name);
}

GPtrArray *unpack_image(const char *directory, Layout *layout, const Image *image,
                        Progress *progress, GError **error)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    if (!io_make_directories(directory, 0700, error))
        return NULL;
    for (guint i = 0; i < image->layers->len; i++) {
        const Descriptor *layer = image->layers->pdata[i];
        char *name = unpack_name(layer->digest);
        names_push(names, name);
        if (!unpack_once(directory, layout, layer->digest, name, progress, error))
            return NULL;
    }
    return g_steal_pointer(&names);
}

void unpack_sweep(const char *directory)
{
    g_autoptr(GDir) dir = g_dir_open(directory, 0, NULL);
    const char *name;
    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *path = g_build_filename(directory, name, NULL);
        if (!g_str_has_prefix(name, TEMPORARY))
            continue;
        autofd lock = held_take(path);
        if (lock >= 0)
            unpack_remove(path, NULL);
    }
}

int unpack_hold(const char *directory, GError **error)
{
    if (!io_make_directories(directory, 0700, error))
        return -1;
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0 && flock(fd, LOCK_SH) == 0)
        return fd;
    io_fail(error, errno, "%s", directory);
    io_close(&fd);
    return -1;
}

/* -- collecting -- */

typedef struct {
    GHashTable *kept;
    char *users; /* userns_name; NULL: root, who may remove anybody's */
    bool dry_run;
    int count;
} Collection;

static int lock_alone(const char *directory)
{
    autofd fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 ? io_steal_fd(&fd) : -1;
}

static bool collect(Collection *collection, const char *directory, GError **error);

/* A range of ids that the caller has no more is nobody's: what he can of it he removes, the rest is
 * for root. */
static bool collect_users(Collection *collection, const char *directory, const char *name,
                          GError **error)
{
    if (!collection->users || strcmp(name, collection->users) == 0)
        return collect(collection, directory, error);
    autofd alone = lock_alone(directory);
    if (alone >= 0 && !collection->dry_run)
        unpack_remove(directory, NULL);
    return true;
}

static bool collect(Collection *collection, const char *directory, GError **error)
{
    autofd alone = lock_alone(directory);
    g_autoptr(GDir) dir = alone >= 0 ? g_dir_open(directory, 0, NULL) : NULL;
    const char *name;
    if (dir && !collection->dry_run)
        unpack_sweep(directory);
    while (dir && (name = g_dir_read_name(dir))) {
        if (g_str_has_prefix(name, TEMPORARY) || g_hash_table_contains(collection->kept, name))
            continue;
        g_autofree char *path = g_build_filename(directory, name, NULL);
        if (g_str_has_prefix(name, USERS)) {
            if (!collect_users(collection, path, name, error))
                return false;
            continue;
        }
        collection->count++;
        if (!collection->dry_run && !unpack_remove(path, error))
            return false;
    }
    return true;
}

bool unpack_collect(const char *data, GHashTable *kept, bool dry_run, int *count, GError **error)
{
    g_autofree char *directory = g_build_filename(data, UNPACKED, NULL);
    g_autofree char *users = userns_name();
    Collection collection = {.kept = kept, .users = users, .dry_run = dry_run};
    bool done = collect(&collection, directory, error);
    *count = collection.count;
    return done;
}
