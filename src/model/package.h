/* The model package: files that come from a folder now and from object stores later.
 *
 * The interface is declared here, below those who implement it (object/). Specification:
 * model-package.md. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "event/finding.h"

#define PACKAGE_DEFAULT_CHILD "model"
#define PACKAGE_MAX_PATH      4096 /* bytes */
#define PACKAGE_MAX_FILES     1000000

/* What says that a file is still the one that was read before. */
typedef struct {
    uint64_t device, inode;
    int64_t size;               /* bytes */
    int64_t mtime_ns, ctime_ns; /* ns since 1970 */
} FileIdentity;

typedef struct {
    char *path; /* beneath the child directory, UTF-8, '/' between, no leading one */
    FileIdentity identity;
} PackageFile;

void package_file_free(PackageFile *file);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PackageFile, package_file_free)

typedef struct PackageReader PackageReader;
typedef struct PackageSource PackageSource;

/* Reading of one file. On failure read and end return false / -1 and hand over a finding (29) in
 * *finding. */
struct PackageReader {
    /* Up to size bytes into data; 0 is the end of the file. -1 without a finding: it was stopped.
     */
    ssize_t (*read)(PackageReader *reader, void *data, size_t size, Event **finding);
    /* After the last byte: whether the file stayed the same while it was read. */
    bool (*end)(PackageReader *reader, Event **finding);
    void (*free)(PackageReader *reader);
};

struct PackageSource {
    bool unread; /* set by list: it could not tell what there is, and a finding says why */
    /* Appends every regular file beneath the child directory to files (of PackageFile, unsorted);
     * unsafe entries and what cannot be read become findings (29), a missing child directory the
     * finding 43 alone. False: *error says why. */
    bool (*list)(PackageSource *source, const char *child, GPtrArray *files, Findings *findings,
                 GError **error);
    PackageReader *(*open)(PackageSource *source, const char *child, const PackageFile *file,
                           Event **finding);
    /* The regular file at that path beneath the source, listed or not; it is opened with the child
     * ".". NULL: there is none, or *finding says why it cannot be told. */
    PackageFile *(*find)(PackageSource *source, const char *path, Event **finding);
    void (*free)(PackageSource *source);
};

void package_source_free(PackageSource *source);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PackageSource, package_source_free)
void package_reader_free(PackageReader *reader);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PackageReader, package_reader_free)

/* A listed package: its files sorted by byte, their sizes added up; without what file managers left
 * there. */
typedef struct {
    PackageSource *source; /* owned */
    char *directory;       /* as the request wrote it: what events name, never a resolved path */
    char *child;           /* "model"; "." is the source itself */
    bool child_found;      /* and its listing could be read */
    GPtrArray *files;      /* of PackageFile, sorted by the bytes of path */
    int64_t bytes;
    GPtrArray *leftovers; /* the same, of what is no part of it (model/leftovers.h) */
} Package;

/* Takes the source over, also on failure. */
Package *package_open(PackageSource *source, const char *directory, const char *child,
                      Findings *findings, GError **error);
void package_free(Package *package);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Package, package_free)

/* What a name must not be, the last one of its path: bytes that are no UTF-8 or control characters,
 * a path over its limit. NULL: it may be. Static text, behind "has ". */
const char *package_name_fault(const char *path, const char *name);

/* A path beneath the child directory as evidence names it, relative to the source:
 * "model/weights.bin". The caller frees it. */
char *package_path_in_source(const char *child, const char *path);

/* The finding 43. found: what lies there, "nothing"; listing, taken over: the names at the source,
 * in which folders end with a slash: of them the nearest is named, and whether they look like the
 * model directory itself. */
Event *package_child_missing(const char *directory, const char *child, const char *found,
                             json_t *listing);

const PackageFile *package_find(const Package *package, const char *path);
/* The content of a small file of a source, at most limit bytes. NULL with *finding set, or NULL and
 * *finding NULL: it is larger. */
GBytes *package_source_read(PackageSource *source, const char *child, const PackageFile *file,
                            size_t limit, Event **finding);
GBytes *package_read(Package *package, const PackageFile *file, size_t limit, Event **finding);

typedef struct {
    int64_t model_file_bytes, model_bytes;
    const char *model_file_gib,
        *model_gib; /* as the settings write them: the numbers in the texts */
} PackageLimits;

/* 41 for each file over its limit, 10 for the whole. */
void package_check_limits(const Package *package, const char *name, const PackageLimits *limits,
                          Findings *findings);
/* 44, 45: the files that the engine needs (model-package.md, table). Unknown types are left alone:
 * 8 names them. */
void package_check_engine(const Package *package, const char *model_type, Findings *findings);

/* Whether the path can be a model file of that engine. */
bool package_is_model_file(const char *model_type, const char *path);
/* LfsPointerFound and PackageNote. model_type may be NULL. */
void package_check_notes(Package *package, const char *model_type, Findings *findings);

/* SHA-256 over paths and identities: equal means that nothing needs to be looked at again. */
char *package_listing_digest(const Package *package);
