#include "object/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "model/ignore.h"

#define LISTING_MAX 20
#define DEPTH_MAX   255 /* of directories: each level of the walk holds a descriptor */

typedef struct {
    PackageSource base;
    int fd;
    char *directory;
    bool dereference;
} Folder;

/* Where the walk is: a directory's real path beneath the folder (links resolved) and its path in
 * the package. */
typedef struct Place Place;
struct Place {
    const Place *parent;
    const char *path; /* in the package, beneath the child; "" for the child itself */
    dev_t device;
    ino_t inode;
    int depth;
};

typedef struct {
    Folder *folder;
    const char *child;
    GPtrArray *files;
    Findings *findings;
    IgnoreRules *ignored; /* of paths in the source */
    bool over;            /* the limit of files was reached */
} Walk;

static char *path_join(const char *directory, const char *name)
{
    return *directory ? g_strconcat(directory, "/", name, NULL) : g_strdup(name);
}

static Event *finding_of(const char *child, const char *path, const char *kind)
{
    g_autofree char *full = package_path_in_source(child, path);
    return event_with_text(event_with_kind(event_model_files_copy_failed(), kind), "path", full);
}

static Event *finding_unreadable(const char *child, const char *path, int code)
{
    return event_with(finding_of(child, path, "unreadable"), "{s:i, s:s}", "errno", code, "error",
                      g_strerror(code));
}

static FileIdentity identity_of(const struct stat *about)
{
    return (FileIdentity){.device = about->st_dev,
                          .inode = about->st_ino,
                          .size = about->st_size,
                          .mtime_ns = about->st_mtim.tv_sec * 1000000000LL + about->st_mtim.tv_nsec,
                          .ctime_ns =
                              about->st_ctim.tv_sec * 1000000000LL + about->st_ctim.tv_nsec};
}

static const char *file_type_name(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFIFO:
        return "named pipe";
    case S_IFSOCK:
        return "socket";
    case S_IFCHR:
        return "character device";
    case S_IFBLK:
        return "block device";
    default:
        return "special file";
    }
}

static void walk_directory(Walk *walk, int fd, const Place *place);

static void walk_file(Walk *walk, int fd, const char *path, const struct stat *about)
{
    if (faccessat(fd, "", R_OK, AT_EMPTY_PATH | AT_EACCESS) < 0) {
        Event *event = finding_unreadable(walk->child, path, errno);
        g_autofree char *mode = g_strdup_printf("%04o", about->st_mode & 07777);
        findings_add(walk->findings,
                     event_with(event, "{s:s, s:i}", "mode", mode, "owner", (int)about->st_uid));
        return;
    }
    PackageFile *file = g_new0(PackageFile, 1);
    file->path = g_strdup(path);
    file->identity = identity_of(about);
    g_ptr_array_add(walk->files, file);
}

static bool is_own_ancestor(const Place *place, const struct stat *about)
{
    for (; place; place = place->parent)
        if (place->device == about->st_dev && place->inode == about->st_ino)
            return true;
    return false;
}

static void walk_into(Walk *walk, int fd, const char *path, const Place *parent,
                      const struct stat *about, const char *target)
{
    if (is_own_ancestor(parent, about)) {
        findings_add(walk->findings, event_with_text(finding_of(walk->child, path, "link_loop"),
                                                     "target", target ? target : ""));
        return;
    }
    const Place place = {.parent = parent,
                         .path = path,
                         .device = about->st_dev,
                         .inode = about->st_ino};
    walk_directory(walk, fd, &place);
}

/* An open entry that is no link any more: a file, a directory, or something that a package must not
 * hold. */
static void walk_opened(Walk *walk, int fd, const char *path, const Place *parent,
                        const struct stat *about, const char *target)
{
    if (S_ISREG(about->st_mode))
        walk_file(walk, fd, path, about);
    else if (S_ISDIR(about->st_mode))
        walk_into(walk, fd, path, parent, about, target);
    else
        findings_add(walk->findings, event_with(finding_of(walk->child, path, "special_file"),
                                                "{s:s}", "found", file_type_name(about->st_mode)));
}

/* Beneath the folder; with dereference, wherever links lead. */
static int open_in_folder(const Folder *folder, const char *path, int flags)
{
    return folder->dereference ? openat(folder->fd, path, flags | O_CLOEXEC)
                               : io_open_beneath(folder->fd, path, flags);
}

/* The kind of finding that a link deserves which could not be opened. */
static const char *link_fault(const Folder *folder, const char *target, int code)
{
    if (!folder->dereference && (*target == '/' || code == EXDEV))
        return "link_outside";
    if (code == ELOOP)
        return "link_loop";
    return code == ENOENT || code == ENOTDIR ? "link_dangling" : NULL;
}

/* Opens a link's target. -1: *fault says why it is refused. */
static int open_link(Walk *walk, int fd, const char *name, const char *path, char **target,
                     Event **fault)
{
    g_autofree char *full = package_path_in_source(walk->child, path);
    char text[PATH_MAX] = "";
    ssize_t length = readlinkat(fd, name, text, sizeof text - 1);
    text[MAX(length, 0)] = '\0';
    *target = g_strdup(text);
    int code = EXDEV;
    if (*text != '/' || walk->folder->dereference) {
        int entry = open_in_folder(walk->folder, full, O_PATH);
        if (entry >= 0)
            return entry;
        code = errno;
    }
    const char *kind = link_fault(walk->folder, text, code);
    *fault = kind ? event_with_text(finding_of(walk->child, path, kind), "target", text)
                  : finding_unreadable(walk->child, path, code);
    return -1;
}

/* O_PATH opens without waking a named pipe or a device; what turns out to be a file or a directory
 * is readable or not. -1: *fault. */
static int open_entry(Walk *walk, int fd, const char *name, const char *path, char **target,
                      struct stat *about, Event **fault)
{
    const char *unsafe = package_name_fault(path, name);
    if (unsafe) {
        *fault = event_with(finding_of(walk->child, path, "unsafe_name"), "{s:s}", "found", unsafe);
        return -1;
    }
    bool is_link = fstatat(fd, name, about, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(about->st_mode);
    autofd entry = is_link ? open_link(walk, fd, name, path, target, fault)
                           : openat(fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (!*fault && (entry < 0 || fstat(entry, about) < 0))
        *fault = finding_unreadable(walk->child, path, errno);
    return *fault ? -1 : io_steal_fd(&entry);
}

/* The model directory's own .waybillignore is no part of the package either. */
static bool is_ignored(const Walk *walk, const char *path, bool is_directory)
{
    g_autofree char *full = package_path_in_source(walk->child, path);
    return strcmp(path, IGNORE_FILE) == 0 || ignore_rules_match(walk->ignored, full, is_directory);
}

static int name_compare(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorted, so that findings come in the same order on every machine. NULL: errno. */
static GPtrArray *directory_names(int fd)
{
    autofd again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = again < 0 ? NULL : fdopendir(again);
    if (!directory)
        return NULL;
    io_steal_fd(&again);
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    for (struct dirent *entry; (entry = readdir(directory));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            g_ptr_array_add(names, g_strdup(entry->d_name));
    closedir(directory);
    g_ptr_array_sort(names, name_compare);
    return names;
}

/* What is left out gives no finding, whatever is wrong with it. */
static void walk_name(Walk *walk, int fd, const char *name, const Place *place)
{
    g_autofree char *path = path_join(place->path, name);
    g_autofree char *target = NULL;
    struct stat about;
    Event *fault = NULL;
    autofd entry = open_entry(walk, fd, name, path, &target, &about, &fault);
    if (is_ignored(walk, path, entry >= 0 && S_ISDIR(about.st_mode)))
        event_free(fault);
    else if (fault)
        findings_add(walk->findings, fault);
    else
        walk_opened(walk, entry, path, place, &about, target);
}

/* Links to directories can make few entries look like endlessly many: the walk ends there. */
static bool walk_is_over(Walk *walk, const char *path)
{
    if (walk->files->len < PACKAGE_MAX_FILES)
        return false;
    if (!walk->over)
        findings_add(walk->findings, event_with(finding_of(walk->child, path, "too_many_files"),
                                                "{s:i}", "limit", PACKAGE_MAX_FILES));
    walk->over = true;
    return true;
}

static void walk_directory(Walk *walk, int fd, const Place *place)
{
    g_autoptr(GPtrArray) names = directory_names(fd);
    if (!names) {
        findings_add(walk->findings,
                     finding_unreadable(walk->child, *place->path ? place->path : ".", errno));
        return;
    }
    for (guint i = 0; i < names->len && !walk_is_over(walk, place->path); i++)
        walk_name(walk, fd, names->pdata[i], place);
}

static json_t *folder_listing(const Folder *folder)
{
    json_t *listing = json_array();
    g_autoptr(GPtrArray) names = directory_names(folder->fd);
    for (guint i = 0; names && i < names->len && json_array_size(listing) < LISTING_MAX; i++) {
        struct stat about;
        bool directory =
            fstatat(folder->fd, names->pdata[i], &about, 0) == 0 && S_ISDIR(about.st_mode);
        g_autofree char *name = g_strconcat(names->pdata[i], directory ? "/" : "", NULL);
        g_autofree char *text = event_text(name);
        json_array_append_new(listing, json_string(text));
    }
    return listing;
}

/* -- .waybillignore -- */

static Event *finding_ignore(const char *path, const char *text)
{
    return event_with_text(finding_of(".", path, "ignore_file"), "error", text);
}

/* The rules in `directory` of the source, where it has any. What is wrong with them is a finding:
 * without it, what they leave out would be packed. */
static void read_ignored(Walk *walk, const char *directory)
{
    g_autofree char *path = path_join(directory, IGNORE_FILE);
    g_autofree char *data = g_malloc(IGNORE_MAX_BYTES + 1);
    g_autoptr(GError) error = NULL;
    autofd fd = open_in_folder(walk->folder, path, O_RDONLY | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        int code = errno;
        struct stat about; /* a link that dangles is no missing file */
        if (fstatat(walk->folder->fd, path, &about, AT_SYMLINK_NOFOLLOW) == 0 || code != ENOENT)
            findings_add(walk->findings, finding_unreadable(".", path, code));
        return;
    }
    ssize_t size = io_read_full(fd, data, IGNORE_MAX_BYTES + 1, &error);
    if (size < 0) {
        findings_add(walk->findings, finding_unreadable(".", path, error->code));
        return;
    }
    g_autofree char *fault = ignore_rules_add(walk->ignored, directory, data, (size_t)size);
    if (fault)
        findings_add(walk->findings, finding_ignore(path, fault));
}

static void walk_child(Folder *folder, const char *child, int fd, const struct stat *about,
                       GPtrArray *files, Findings *findings)
{
    g_autoptr(IgnoreRules) ignored = ignore_rules_new();
    Walk walk = {
        .folder = folder, .child = child, .files = files, .findings = findings, .ignored = ignored};
    const Place place = {.path = "", .device = about->st_dev, .inode = about->st_ino};
    read_ignored(&walk, "");
    if (strcmp(child, ".") != 0)
        read_ignored(&walk, child);
    walk_directory(&walk, fd, &place);
}

static bool folder_list(PackageSource *source, const char *child, GPtrArray *files,
                        Findings *findings, GError **error)
{
    Folder *folder = (Folder *)source;
    autofd fd = open_in_folder(folder, child, O_PATH);
    int code = errno;
    struct stat about;
    if (fd < 0 && code != ENOENT && code != ENOTDIR) {
        Event *event = code == EXDEV ? finding_of(".", child, "link_outside")
                                     : finding_unreadable(".", child, code);
        findings_add(findings, event);
        return true;
    }
    if (fd < 0 || fstat(fd, &about) < 0 || !S_ISDIR(about.st_mode)) {
        findings_add(findings, package_child_missing(folder->directory, child,
                                                     fd < 0 ? "nothing" : "no directory",
                                                     folder_listing(folder)));
        return true;
    }
    walk_child(folder, child, fd, &about, files, findings);
    return true;
}

/* -- reading -- */

typedef struct {
    PackageReader base;
    int fd;
    char *child, *path;
    FileIdentity identity;
} FileReader;

static json_t *identity_json(const FileIdentity *identity)
{
    return json_pack("{s:I, s:I}", "size", (json_int_t)identity->size, "mtime",
                     (json_int_t)(identity->mtime_ns / 1000000));
}

static Event *finding_changed(const FileReader *reader, const FileIdentity *now)
{
    Event *event = finding_of(reader->child, reader->path, "changed");
    event_with_json(event, "before", identity_json(&reader->identity));
    return event_with_json(event, "after", identity_json(now));
}

static ssize_t file_read(PackageReader *base, void *data, size_t size, Event **finding)
{
    FileReader *reader = (FileReader *)base;
    ssize_t got;
    do
        got = read(reader->fd, data, size);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        *finding = finding_unreadable(reader->child, reader->path, errno);
    return got;
}

static bool file_is_same(const FileIdentity *a, const FileIdentity *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns;
}

static bool file_end(PackageReader *base, Event **finding)
{
    FileReader *reader = (FileReader *)base;
    struct stat about;
    if (fstat(reader->fd, &about) < 0) {
        *finding = finding_unreadable(reader->child, reader->path, errno);
        return false;
    }
    FileIdentity now = identity_of(&about);
    if (file_is_same(&reader->identity, &now))
        return true;
    *finding = finding_changed(reader, &now);
    return false;
}

static void file_free(PackageReader *base)
{
    FileReader *reader = (FileReader *)base;
    io_close(&reader->fd);
    g_free(reader->child);
    g_free(reader->path);
    g_free(reader);
}

static PackageReader *folder_open(PackageSource *source, const char *child, const PackageFile *file,
                                  Event **finding)
{
    Folder *folder = (Folder *)source;
    g_autofree char *full = package_path_in_source(child, file->path);
    /* O_NONBLOCK: what was a file when it was listed may be a named pipe now. */
    autofd fd = open_in_folder(folder, full, O_RDONLY | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        *finding = finding_unreadable(child, file->path, errno);
        return NULL;
    }
    FileReader *reader = g_new0(FileReader, 1);
    reader->base = (PackageReader){.read = file_read, .end = file_end, .free = file_free};
    reader->fd = io_steal_fd(&fd);
    reader->child = g_strdup(child);
    reader->path = g_strdup(file->path);
    reader->identity = file->identity;
    if (file_end(&reader->base, finding))
        return &reader->base;
    file_free(&reader->base);
    return NULL;
}

static PackageFile *folder_find(PackageSource *source, const char *path, Event **finding)
{
    autofd fd = open_in_folder((Folder *)source, path, O_PATH);
    struct stat about;
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return NULL;
    if (fd < 0 || fstat(fd, &about) < 0) {
        *finding = finding_unreadable(".", path, errno);
        return NULL;
    }
    if (!S_ISREG(about.st_mode))
        return NULL;
    PackageFile *file = g_new0(PackageFile, 1);
    *file = (PackageFile){.path = g_strdup(path), .identity = identity_of(&about)};
    return file;
}

static void folder_free(PackageSource *source)
{
    Folder *folder = (Folder *)source;
    io_close(&folder->fd);
    g_free(folder->directory);
    g_free(folder);
}

PackageSource *folder_source_new(const char *directory, bool dereference, GError **error)
{
    autofd fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        io_fail(error, errno, "%s", directory);
        return NULL;
    }
    Folder *folder = g_new0(Folder, 1);
    folder->base = (PackageSource){.list = folder_list,
                                   .open = folder_open,
                                   .find = folder_find,
                                   .free = folder_free};
    folder->fd = io_steal_fd(&fd);
    folder->directory = g_strdup(directory);
    folder->dereference = dereference;
    return &folder->base;
}

char *folder_source_place(const PackageSource *source, GError **error)
{
    const Folder *folder = (const Folder *)source;
    g_autofree char *link = g_strdup_printf("/proc/self/fd/%d", folder->fd);
    char place[PATH_MAX];
    ssize_t length = readlink(link, place, sizeof place);
    if (length >= 0 && (size_t)length < sizeof place)
        return g_strndup(place, (gsize)length);
    io_fail(error, length < 0 ? errno : ENAMETOOLONG, "%s", folder->directory);
    return NULL;
}

void folder_source_set_name(PackageSource *source, const char *name)
{
    Folder *folder = (Folder *)source;
    g_free(folder->directory);
    folder->directory = g_strdup(name);
}
