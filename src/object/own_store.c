#include "object/own_store.h"

#include <gio/gio.h>
#include <string.h>

#include "base/digest.h"
#include "object/bucket.h"
#include "object/s3_event.h"
#include "object/s3_write.h"

#define READ_BYTES (1 << 20)
/* What lets the service set ACLs, as its administrator needs it. */
#define POLICY                                                                                     \
    "{\"Effect\":\"Allow\",\"Action\":[\"s3:PutObjectAcl\"],\"Resource\":[\"arn:aws:s3:::%s/%s*\"" \
    "]}"

struct OwnStore {
    S3 *s3;
    char *prefix; /* "" or "PREFIX/" */
};

bool own_store_check(const Settings *settings, GError **error)
{
    if (!own_store_is_set(settings))
        return true;
    g_autoptr(GError) failure = NULL;
    g_autoptr(S3Address) address =
        s3_address_parse(settings_text(settings, "objects.url"), &failure);
    g_autoptr(S3Service) service =
        address ? s3_service_of(settings, address, NULL, false, &failure) : NULL;
    if (!service)
        g_set_error(error, SETTINGS_ERROR, 0, "objects.url: %s", failure->message);
    return service != NULL;
}

bool own_store_is_set(const Settings *settings)
{
    return *settings_text(settings, "objects.url") != '\0';
}

OwnStore *own_store_open(const Settings *settings, Progress *progress, GError **error)
{
    g_autoptr(S3Address) address = s3_address_parse(settings_text(settings, "objects.url"), error);
    S3Service *service = address ? s3_service_of(settings, address, NULL, true, error) : NULL;
    S3 *s3 = service ? s3_open(settings, address, service, progress, error) : NULL;
    if (!s3)
        return NULL;
    OwnStore *store = g_new0(OwnStore, 1);
    store->s3 = s3;
    store->prefix = *address->prefix ? g_strconcat(address->prefix, "/", NULL) : g_strdup("");
    return store;
}

void own_store_free(OwnStore *store)
{
    if (!store)
        return;
    s3_free(store->s3);
    g_free(store->prefix);
    g_free(store);
}

S3 *own_store_s3(OwnStore *store)
{
    return store->s3;
}

char *own_store_place(const OwnStore *store, const char *directory)
{
    return g_strdup_printf("s3://%s/%s%s", s3_bucket(store->s3), store->prefix, directory);
}

char *own_store_key(const OwnStore *store, const char *name)
{
    return g_strconcat(store->prefix, name, NULL);
}

/* Beneath its own prefix, or above it. */
bool own_store_holds(const Settings *settings, const char *text)
{
    if (!own_store_is_set(settings))
        return false;
    g_autoptr(S3Address) own = s3_address_parse(settings_text(settings, "objects.url"), NULL);
    g_autoptr(S3Address) other = s3_address_parse(text, NULL);
    if (!own || !other || strcmp(own->bucket, other->bucket) != 0)
        return false;
    g_autofree char *ours = g_strconcat(own->prefix, *own->prefix ? "/" : "", NULL);
    g_autofree char *theirs = g_strconcat(other->prefix, *other->prefix ? "/" : "", NULL);
    return g_str_has_prefix(ours, theirs) || g_str_has_prefix(theirs, ours);
}

/* -- the bucket -- */

/* The kind of event 42. */
static const char *create_kind(const S3Failure *failure)
{
    const char *code = failure->code ? failure->code : "";
    if (strcmp(code, "BucketAlreadyExists") == 0)
        return "taken";
    if (strcmp(code, "TooManyBuckets") == 0)
        return "too_many";
    if (strcmp(code, "InvalidLocationConstraint") == 0 ||
        strcmp(code, "IllegalLocationConstraintException") == 0)
        return "region";
    return failure->status == 401 || failure->status == 403 ? "denied" : "other";
}

static Event *event_not_created(const OwnStore *store, const GError *failure)
{
    const S3Service *service = s3_service(store->s3);
    Event *event =
        event_with_kind(event_bucket_create_failed(), create_kind(s3_failure(store->s3)));
    event_with_text(event, "region", service->region);
    event_with_text(event, "endpoint", service->endpoint);
    event_with_text(event, "error", s3_event_error(store->s3, failure));
    return s3_event_with(event, store->s3);
}

/* -- keeping -- */

typedef struct {
    OwnStore *store;
    Package *package;
    char *prefix;      /* of the keys: PREFIX/DIRECTORY/CHILD/, or without the child */
    GHashTable *there; /* keys of a former attempt -> int64_t size */
    OwnCopy *copy;
    Progress *progress;
} Keeping;

static char *key_of(const Keeping *keeping, const PackageFile *file)
{
    return g_strconcat(keeping->prefix, file->path, NULL);
}

/* What says that the object is of this very file. */
static char *origin_of(const PackageFile *file)
{
    const FileIdentity *it = &file->identity;
    g_autofree char *text =
        g_strdup_printf("%" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT " %" G_GINT64_FORMAT
                        " %" G_GINT64_FORMAT " %" G_GINT64_FORMAT,
                        it->device, it->inode, it->size, it->mtime_ns, it->ctime_ns);
    return digest_of(text, strlen(text));
}

/* Of the service; of what stops it there is only *error. */
static bool fail(const Keeping *keeping, const PackageFile *file, GError *failure, Event **finding,
                 GError **error)
{
    OwnStore *store = keeping->store;
    if (failure->domain != S3_ERROR) {
        g_propagate_error(error, failure);
        return false;
    }
    g_autofree char *path = package_path_in_source(keeping->package->child, file->path);
    g_autofree char *key = key_of(keeping, file);
    Event *event = event_with_kind(event_model_files_copy_failed(), s3_event_kind(failure));
    event_with_text(event, "path", path);
    event_with_text(event, "key", key);
    event_with_text(event, "action", s3_failure(store->s3)->action);
    event_with_text(event, "error", s3_event_error(store->s3, failure));
    *finding = s3_event_with(event, store->s3);
    g_error_free(failure);
    return false;
}

static bool fail_acl(const Keeping *keeping, const PackageFile *file, GError *failure,
                     Event **finding, GError **error)
{
    OwnStore *store = keeping->store;
    if (!g_error_matches(failure, S3_ERROR, S3_ERROR_DENIED))
        return fail(keeping, file, failure, finding, error);
    g_autofree char *key = key_of(keeping, file);
    g_autofree char *policy = g_strdup_printf(POLICY, s3_bucket(store->s3), store->prefix);
    Event *event = event_put_object_acl_denied(s3_principal(store->s3));
    event_with_text(event, "key", key);
    event_with_text(event, "policy", policy);
    *finding = s3_event_with(event, store->s3);
    g_error_free(failure);
    return false;
}

static bool pass_bytes(const Keeping *keeping, PackageReader *reader, S3Writer *writer,
                       Event **finding, GError **failure)
{
    g_autofree unsigned char *buffer = g_malloc(READ_BYTES);
    ssize_t got;
    while ((got = reader->read(reader, buffer, READ_BYTES, finding)) > 0) {
        if (!s3_writer_write(writer, buffer, (size_t)got, failure))
            return false;
        progress_add(keeping->progress, got);
    }
    if (got < 0 && !*finding)
        g_set_error(failure, G_IO_ERROR, G_IO_ERROR_CANCELLED, "stopped");
    return got == 0 && reader->end(reader, finding) && s3_writer_finish(writer, failure);
}

/* *failure stays unset where the package's own side failed: that is in *finding. */
static bool send_file(const Keeping *keeping, const PackageFile *file, const char *key,
                      const char *origin, Event **finding, GError **failure)
{
    PackageSource *source = keeping->package->source;
    g_autoptr(PackageReader) reader = source->open(source, keeping->package->child, file, finding);
    if (!reader)
        return false;
    g_autoptr(S3Writer) writer = s3_write(keeping->store->s3, key, origin, file->identity.size);
    return pass_bytes(keeping, reader, writer, finding, failure);
}

static bool make_object(const Keeping *keeping, const PackageFile *file, const char *key,
                        const char *origin, Event **finding, GError **failure)
{
    S3 *s3 = keeping->store->s3;
    BucketOriginal original;
    if (!bucket_source_original(keeping->package->source, s3, keeping->package->child, file,
                                &original))
        return send_file(keeping, file, key, origin, finding, failure);
    bool done = s3_copy(s3, &original.original, key, origin, failure);
    g_free(original.key);
    if (done) {
        keeping->copy->copied_there += file->identity.size;
        progress_add(keeping->progress, file->identity.size);
    }
    return done;
}

/* An object of a former attempt that was made of the same file. */
static bool is_kept(const Keeping *keeping, const PackageFile *file, const char *key,
                    const char *origin, bool *kept, GError **failure)
{
    const int64_t *size = g_hash_table_lookup(keeping->there, key);
    g_autofree char *had = NULL;
    int64_t has;
    *kept = false;
    if (!size || *size != file->identity.size)
        return true;
    if (!s3_head(keeping->store->s3, key, kept, &has, &had, failure))
        return false;
    *kept = *kept && has == file->identity.size && g_strcmp0(had, origin) == 0;
    return true;
}

static bool keep_file(const Keeping *keeping, const PackageFile *file, Event **finding,
                      GError **error)
{
    GError *failure = NULL;
    g_autofree char *key = key_of(keeping, file), *origin = origin_of(file);
    bool kept, supported = false;
    if (!is_kept(keeping, file, key, origin, &kept, &failure))
        return fail(keeping, file, failure, finding, error);
    if (kept) {
        keeping->copy->kept += file->identity.size;
        progress_add(keeping->progress, file->identity.size);
    } else if (!make_object(keeping, file, key, origin, finding, &failure)) {
        return failure && fail(keeping, file, failure, finding, error);
    }
    if (keeping->copy->acls && !s3_grant_owner(keeping->store->s3, key, &supported, &failure))
        return fail_acl(keeping, file, failure, finding, error);
    keeping->copy->acls = supported;
    return true;
}

static bool note_there(gpointer data, S3Object *object, GError **error G_GNUC_UNUSED)
{
    GHashTable *there = data;
    g_hash_table_replace(there, g_steal_pointer(&object->key),
                         g_memdup2(&object->size, sizeof object->size));
    return true;
}

/* What former attempts left: objects, and uploads that were never finished. */
static bool look_there(Keeping *keeping, const char *prefix, GError **failure)
{
    S3 *s3 = keeping->store->s3;
    return s3_each(s3, prefix, note_there, keeping->there, failure) &&
           s3_abort_uploads(s3, prefix, failure);
}

/* What the package has no more. */
static bool remove_rest(const Keeping *keeping, const char *prefix, GError **failure)
{
    GHashTableIter iterator;
    gpointer key;
    for (guint i = 0; i < keeping->package->files->len; i++) {
        g_autofree char *name = key_of(keeping, keeping->package->files->pdata[i]);
        g_hash_table_remove(keeping->there, name);
    }
    g_hash_table_iter_init(&iterator, keeping->there);
    while (g_hash_table_iter_next(&iterator, &key, NULL))
        if (g_str_has_prefix(key, prefix) && !s3_delete(keeping->store->s3, key, failure))
            return false;
    return true;
}

/* A refusal of HEAD may be one to look, or say that the bucket is another's: creating it tells.
 * Only what was tried to be created can be said not to be (42). */
static bool make_ready(const Keeping *keeping, Event **finding, GError **error)
{
    OwnStore *store = keeping->store;
    const PackageFile whole = {.path = (char *)""};
    GError *failure = NULL;
    bool there, created;
    if (!s3_has_bucket(store->s3, &there, &failure) &&
        !g_error_matches(failure, S3_ERROR, S3_ERROR_DENIED))
        return fail(keeping, &whole, failure, finding, error);
    g_clear_error(&failure);
    if (there || s3_create_bucket(store->s3, &created, &failure))
        return true;
    if (failure->domain != S3_ERROR)
        return fail(keeping, &whole, failure, finding, error);
    *finding = event_not_created(store, failure);
    g_error_free(failure);
    return false;
}

static bool keep_all(Keeping *keeping, const char *prefix, Event **finding, GError **error)
{
    const PackageFile whole = {.path = (char *)""};
    GError *failure = NULL;
    if (!make_ready(keeping, finding, error))
        return false;
    if (!look_there(keeping, prefix, &failure))
        return fail(keeping, &whole, failure, finding, error);
    for (guint i = 0; i < keeping->package->files->len; i++) {
        if (progress_stopped(keeping->progress)) {
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED, "stopped");
            return false;
        }
        if (!keep_file(keeping, keeping->package->files->pdata[i], finding, error))
            return false;
    }
    return remove_rest(keeping, prefix, &failure) || fail(keeping, &whole, failure, finding, error);
}

bool own_store_keep(OwnStore *store, Package *package, const char *directory, OwnCopy *copy,
                    Event **finding, GError **error)
{
    const bool below = strcmp(package->child, ".") != 0;
    g_autofree char *prefix = g_strconcat(store->prefix, directory, "/", NULL);
    g_autofree char *keys =
        g_strconcat(prefix, below ? package->child : "", below ? "/" : "", NULL);
    *copy = (OwnCopy){.files = package->files->len, .bytes = package->bytes, .acls = true};
    Keeping keeping = {.store = store,
                       .package = package,
                       .prefix = keys,
                       .there = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free),
                       .copy = copy,
                       .progress = s3_progress(store->s3)};
    bool done = keep_all(&keeping, prefix, finding, error);
    g_hash_table_unref(keeping.there);
    return done;
}

PackageSource *own_store_source(OwnStore *store, const char *directory)
{
    g_autofree char *prefix = g_strconcat(store->prefix, directory, NULL);
    PackageSource *source = bucket_source_new(g_steal_pointer(&store->s3), prefix);
    own_store_free(store);
    return source;
}

/* -- what is there -- */

typedef struct {
    OwnStore *store;
    bool (*look)(gpointer data, const char *directory, GError **error);
    gpointer data;
    char *last;
} Models;

/* PROJECT/MODEL_ID of each object's key, once. */
static bool look_at_model(gpointer data, S3Object *object, GError **error)
{
    Models *models = data;
    const char *rest = object->key + strlen(models->store->prefix);
    const char *slash = strchr(rest, '/');
    slash = slash ? strchr(slash + 1, '/') : NULL;
    g_autofree char *directory = slash ? g_strndup(rest, (size_t)(slash - rest)) : NULL;
    if (!directory || g_strcmp0(directory, models->last) == 0)
        return true;
    g_free(models->last);
    models->last = g_strdup(directory);
    return models->look(models->data, directory, error);
}

bool own_store_models(OwnStore *store,
                      bool (*look)(gpointer data, const char *directory, GError **error),
                      gpointer data, GError **error)
{
    Models models = {store, look, data, NULL};
    bool done = s3_each(store->s3, store->prefix, look_at_model, &models, error);
    g_free(models.last);
    return done;
}

typedef struct {
    S3 *s3;
    bool dry_run;
    int64_t bytes;
} Removal;

static bool remove_object(gpointer data, S3Object *object, GError **error)
{
    Removal *removal = data;
    removal->bytes += object->size;
    return removal->dry_run || s3_delete(removal->s3, object->key, error);
}

bool own_store_remove(OwnStore *store, const char *directory, bool dry_run, int64_t *bytes,
                      GError **error)
{
    g_autofree char *prefix = g_strconcat(store->prefix, directory, "/", NULL);
    Removal removal = {store->s3, dry_run, 0};
    bool done = s3_each(store->s3, prefix, remove_object, &removal, error) &&
                (dry_run || s3_abort_uploads(store->s3, prefix, error));
    *bytes = removal.bytes;
    return done;
}
