#include "object/bucket.h"

#include <gio/gio.h>
#include <limits.h>
#include <string.h>

#include "base/digest.h"
#include "model/ignore.h"
#include "object/s3_event.h"

#define LISTING_MAX 20

typedef struct {
    PackageSource base;
    S3 *s3;
    char *prefix;      /* "" or "DIR/" */
    GHashTable *etags; /* key -> ETag: of what was listed or found */
} Bucket;

/* -- findings -- */

static char *key_of(const Bucket *bucket, const char *child, const char *path)
{
    g_autofree char *full = package_path_in_source(child, path);
    return g_strconcat(bucket->prefix, full, NULL);
}

static Event *finding_of(const char *child, const char *path, const char *kind)
{
    g_autofree char *full = package_path_in_source(child, path);
    return event_with_text(event_with_kind(event_model_files_copy_failed(), kind), "path", full);
}

static Event *finding_failed(const Bucket *bucket, const char *child, const char *path,
                             const GError *error)
{
    g_autofree char *key = key_of(bucket, child, path);
    Event *event = finding_of(child, path, s3_event_kind(error));
    event_with_text(event, "key", key);
    event_with_text(event, "action", s3_failure(bucket->s3)->action);
    event_with_text(event, "error", s3_event_error(bucket->s3, error));
    return s3_event_with(event, bucket->s3);
}

/* -- listing -- */

/* Objects know no inode: what tells this one from another under the same key is its ETag. */
static FileIdentity identity_of(const Bucket *bucket, const S3Object *object)
{
    g_autofree char *text =
        g_strdup_printf("%s %s %s", s3_bucket(bucket->s3), object->key, object->etag);
    g_autofree char *digest = digest_of(text, strlen(text));
    g_autofree char *half = g_strndup(digest_hex(digest), 15);
    int64_t time = object->modified_ms * 1000000;
    return (FileIdentity){.device = 0,
                          .inode = g_ascii_strtoull(half, NULL, 16),
                          .size = object->size,
                          .mtime_ns = time,
                          .ctime_ns = time};
}

/* What a key may be and a path in an image may not. */
static const char *path_fault(const char *path)
{
    g_auto(GStrv) parts = g_strsplit(path, "/", -1);
    for (char **part = parts; *part; part++) {
        if (!**part || strcmp(*part, ".") == 0 || strcmp(*part, "..") == 0)
            return "a part that is empty, . or ..";
        if (strlen(*part) > NAME_MAX)
            return "a part of more than 255 bytes";
    }
    return package_name_fault(path, path);
}

typedef struct {
    Bucket *bucket;
    const char *child;
    GPtrArray *files;
    Findings *findings;
    IgnoreRules *ignored;
    GPtrArray *objects; /* of S3Object: all that was listed */
    bool over;
} Listing;

/* A directory above it that is left out takes it along. The model directory's own .waybillignore is
 * no part of the package either. */
static bool is_ignored(const Listing *listing, const char *path)
{
    if (strcmp(path, IGNORE_FILE) == 0)
        return true;
    g_autofree char *full = package_path_in_source(listing->child, path);
    for (char *slash = strchr(full, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        bool left_out = ignore_rules_match(listing->ignored, full, true);
        *slash = '/';
        if (left_out)
            return true;
    }
    return ignore_rules_match(listing->ignored, full, false);
}

static void take_object(Listing *listing, const S3Object *object, const char *path)
{
    Bucket *bucket = listing->bucket;
    if (!*path || g_str_has_suffix(path, "/") || is_ignored(listing, path))
        return;
    const char *fault = object->has_nul ? "a NUL byte" : path_fault(path);
    if (fault) {
        findings_add(listing->findings,
                     event_with_text(finding_of(listing->child, path, "unsafe_name"), "found",
                                     fault));
        return;
    }
    listing->over = listing->files->len >= PACKAGE_MAX_FILES;
    if (listing->over) {
        findings_add(listing->findings,
                     event_with(finding_of(listing->child, path, "too_many_files"), "{s:i}",
                                "limit", PACKAGE_MAX_FILES));
        return;
    }
    PackageFile *file = g_new0(PackageFile, 1);
    *file = (PackageFile){g_strdup(path), identity_of(bucket, object)};
    g_hash_table_replace(bucket->etags, g_strdup(object->key), g_strdup(object->etag));
    g_ptr_array_add(listing->files, file);
}

/* One more than there may be says that there are too many. */
static bool keep_object(gpointer data, S3Object *object, GError **error G_GNUC_UNUSED)
{
    Listing *listing = data;
    S3Object *kept = g_new(S3Object, 1);
    *kept = *object;
    object->key = object->etag = NULL;
    g_ptr_array_add(listing->objects, kept);
    return listing->objects->len <= PACKAGE_MAX_FILES;
}

/* The names at the prefix: what there is in place of the child. */
static json_t *names_there(const Bucket *bucket)
{
    json_t *names = json_array();
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(S3Page) page = s3_list(bucket->s3, bucket->prefix, NULL, NULL);
    for (guint i = 0; page && i < page->objects->len; i++) {
        const S3Object *object = page->objects->pdata[i];
        const char *rest = object->key + MIN(strlen(bucket->prefix), strlen(object->key));
        size_t length = strcspn(rest, "/");
        char *name = g_strndup(rest, length + (rest[length] == '/'));
        g_autofree char *text = event_text(name);
        if (*name && json_array_size(names) < LISTING_MAX && g_hash_table_add(seen, name))
            json_array_append_new(names, json_string(text));
    }
    return names;
}

/* -- reading -- */

typedef struct {
    PackageReader base;
    Bucket *bucket;
    S3Reader *reader;
    char *child, *path;
} ObjectReader;

static ssize_t object_read(PackageReader *base, void *data, size_t size, Event **finding)
{
    ObjectReader *object = (ObjectReader *)base;
    g_autoptr(GError) error = NULL;
    ssize_t got = s3_reader_read(object->reader, data, size, &error);
    if (got < 0 && error->domain == S3_ERROR)
        *finding = finding_failed(object->bucket, object->child, object->path, error);
    return got;
}

/* Each part came of the object with the ETag that was listed. */
static bool object_end(PackageReader *base G_GNUC_UNUSED, Event **finding G_GNUC_UNUSED)
{
    return true;
}

static void object_free(PackageReader *base)
{
    ObjectReader *object = (ObjectReader *)base;
    s3_reader_free(object->reader);
    g_free(object->child);
    g_free(object->path);
    g_free(object);
}

static PackageReader *bucket_open(PackageSource *source, const char *child, const PackageFile *file,
                                  Event **finding G_GNUC_UNUSED)
{
    Bucket *bucket = (Bucket *)source;
    g_autofree char *key = key_of(bucket, child, file->path);
    const char *etag = g_hash_table_lookup(bucket->etags, key);
    ObjectReader *object = g_new0(ObjectReader, 1);
    object->base = (PackageReader){object_read, object_end, object_free};
    object->bucket = bucket;
    object->reader = s3_read(bucket->s3, key, etag ? etag : "", file->identity.size);
    object->child = g_strdup(child);
    object->path = g_strdup(file->path);
    return &object->base;
}

static PackageFile *bucket_find(PackageSource *source, const char *path, Event **finding)
{
    Bucket *bucket = (Bucket *)source;
    g_autofree char *key = key_of(bucket, ".", path);
    g_autoptr(GError) error = NULL;
    if (bucket->base.unread)
        return NULL;
    /* Of the keys that begin with it, it is the first. A listing says why it is refused; the answer
     * to HEAD has no body that could. */
    g_autoptr(S3Page) page = s3_list(bucket->s3, key, NULL, &error);
    const S3Object *object = page && page->objects->len ? page->objects->pdata[0] : NULL;
    if (!page && error->domain == S3_ERROR)
        *finding = finding_failed(bucket, ".", path, error);
    if (!object || strcmp(object->key, key) != 0)
        return NULL;
    PackageFile *file = g_new0(PackageFile, 1);
    *file = (PackageFile){g_strdup(path), identity_of(bucket, object)};
    g_hash_table_replace(bucket->etags, g_strdup(key), g_strdup(object->etag));
    return file;
}

/* -- .waybillignore -- */

static void read_ignored(Listing *listing, const char *directory)
{
    PackageSource *source = &listing->bucket->base;
    Event *finding = NULL;
    g_autofree char *path = package_path_in_source(directory, IGNORE_FILE);
    g_autoptr(PackageFile) file = bucket_find(source, path, &finding);
    g_autoptr(GBytes) content =
        file ? package_source_read(source, ".", file, IGNORE_MAX_BYTES, &finding) : NULL;
    if (finding)
        findings_add(listing->findings, finding);
    if (!content)
        return;
    gsize size;
    const void *data = g_bytes_get_data(content, &size);
    const char *base = strcmp(directory, ".") == 0 ? "" : directory;
    g_autofree char *fault = ignore_rules_add(listing->ignored, base, data, size);
    if (fault)
        findings_add(listing->findings,
                     event_with_text(finding_of(".", path, "ignore_file"), "error", fault));
}

/* A key may be that of an object and the beginning of another one's, with a slash behind it; a path
 * is one of both. Each such is named once. */
static void find_files_that_are_folders(const Listing *listing)
{
    g_autoptr(GHashTable) paths = g_hash_table_new(g_str_hash, g_str_equal);
    for (guint i = 0; i < listing->files->len; i++)
        g_hash_table_add(paths, ((PackageFile *)listing->files->pdata[i])->path);
    for (guint i = 0; i < listing->files->len; i++) {
        g_autofree char *above = g_strdup(((PackageFile *)listing->files->pdata[i])->path);
        for (char *slash = strrchr(above, '/'); slash; slash = strrchr(above, '/')) {
            *slash = '\0';
            if (g_hash_table_remove(paths, above))
                findings_add(listing->findings,
                             event_with_text(finding_of(listing->child, above, "unsafe_name"),
                                             "found", "files beneath it, and is a file"));
        }
    }
}

static void take_all(Listing *listing, const char *prefix)
{
    read_ignored(listing, ".");
    if (strcmp(listing->child, ".") != 0)
        read_ignored(listing, listing->child);
    for (guint i = 0; i < listing->objects->len && !listing->over; i++) {
        const S3Object *object = listing->objects->pdata[i];
        if (g_str_has_prefix(object->key, prefix))
            take_object(listing, object, object->key + strlen(prefix));
    }
    find_files_that_are_folders(listing);
}

static bool bucket_list(PackageSource *source, const char *child, GPtrArray *files,
                        Findings *findings, GError **error)
{
    Bucket *bucket = (Bucket *)source;
    g_autoptr(GError) failure = NULL;
    g_autoptr(IgnoreRules) ignored = ignore_rules_new();
    g_autoptr(GPtrArray) objects = g_ptr_array_new_with_free_func((GDestroyNotify)s3_object_free);
    Listing listing = {.bucket = bucket,
                       .child = child,
                       .files = files,
                       .findings = findings,
                       .ignored = ignored,
                       .objects = objects};
    g_autofree char *below = strcmp(child, ".") == 0 ? g_strdup("") : g_strconcat(child, "/", NULL);
    g_autofree char *prefix = g_strconcat(bucket->prefix, below, NULL);
    bool listed = s3_each(bucket->s3, prefix, keep_object, &listing, &failure);
    if (!listed && failure->domain != S3_ERROR) {
        g_propagate_error(error, g_steal_pointer(&failure));
        return false;
    }
    source->unread = !listed;
    g_autofree char *where = g_strdup_printf("s3://%s/%s", s3_bucket(bucket->s3), bucket->prefix);
    if (!listed)
        findings_add(findings, finding_failed(bucket, ".", below, failure));
    else if (objects->len == 0)
        findings_add(findings, package_child_missing(where, child, "nothing", names_there(bucket)));
    else
        take_all(&listing, prefix);
    return true;
}

static void bucket_free(PackageSource *source)
{
    Bucket *bucket = (Bucket *)source;
    s3_free(bucket->s3);
    g_hash_table_unref(bucket->etags);
    g_free(bucket->prefix);
    g_free(bucket);
}

bool bucket_source_original(PackageSource *source, const S3 *by, const char *child,
                            const PackageFile *file, BucketOriginal *original)
{
    Bucket *bucket = (Bucket *)source;
    if (source->list != bucket_list || !s3_is_same_service(bucket->s3, by))
        return false;
    original->key = key_of(bucket, child, file->path);
    const char *etag = g_hash_table_lookup(bucket->etags, original->key);
    original->original = (S3Original){.bucket = s3_bucket(bucket->s3),
                                      .key = original->key,
                                      .etag = etag ? etag : "",
                                      .size = file->identity.size};
    return true;
}

PackageSource *bucket_source_new(S3 *s3, const char *prefix)
{
    Bucket *bucket = g_new0(Bucket, 1);
    bucket->base = (PackageSource){.list = bucket_list,
                                   .open = bucket_open,
                                   .find = bucket_find,
                                   .free = bucket_free};
    bucket->s3 = s3;
    bucket->prefix = *prefix ? g_strconcat(prefix, "/", NULL) : g_strdup("");
    bucket->etags = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    return &bucket->base;
}
