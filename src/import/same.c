#include "import/same.h"

#include <gio/gio.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/machine.h"
#include "event/timeline.h"
#include "image/layer.h"
#include "image/tar.h"
#include "import/dependencies.h"
#include "import/file_digests.h"
#include "import/pipeline.h"
#include "store/runtimes.h"

#define MOST_FILES 5
#define CHUNK      (1 << 20)

/* `old` is what was imported, `now` what is given. */
typedef struct {
    Service *service;
    const Model *model;
    Attempt *old;
    GPtrArray *layers; /* of LayerRow: the old model's own */
    int base_layers;
    Package files;       /* only its files: the old ones */
    GHashTable *digests; /* path -> what the old file held, where it shares a layer */
    Import now;
    GPtrArray *differences;
    int64_t differing_files;
    bool config_said; /* the config.json that is packed, too: as a file it is not said again */
    char *machine, *chunk;
    bool was_dynamic; /* what is there: its files are no layers */
} Same;

static void same_clear(Same *same)
{
    attempt_free(same->old);
    if (same->layers)
        g_ptr_array_unref(same->layers);
    if (same->files.files)
        g_ptr_array_unref(same->files.files);
    if (same->digests)
        g_hash_table_unref(same->digests);
    package_free(same->now.package);
    config_free(same->now.config);
    g_free(same->now.runtime);
    g_free(same->machine);
    g_free(same->chunk);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Same, same_clear)

static void say(Same *same, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void say(Same *same, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *line = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_ptr_array_add(same->differences, event_text(line));
}

static void say_path(Same *same, const char *path, const char *what)
{
    g_autofree char *shown = package_path_in_source(same->now.package->child, path);
    say(same, "%s: %s", shown, what);
}

/* One file: the first few are named, relative to the source as events do. */
static void say_file(Same *same, const char *path, const char *what)
{
    if (same->config_said && strcmp(path, "config.json") == 0)
        return;
    if (same->differing_files++ < MOST_FILES)
        say_path(same, path, what);
}

static void say_value(Same *same, const char *what, const char *old, const char *now)
{
    if (g_strcmp0(old, now) != 0)
        say(same, "%s: %s, was %s", what, now && *now ? now : "none", old && *old ? old : "none");
}

/* -- the config -- */

static char *line_shown(const char *line)
{
    g_autofree char *bare = g_strstrip(g_strdup(line ? line : ""));
    if (g_utf8_strlen(bare, -1) <= 60)
        return g_strdup(*bare ? bare : "nothing");
    g_autofree char *head = g_utf8_substring(bare, 0, 59);
    return g_strconcat(head, "…", NULL);
}

/* Names the first line that differs. */
static void compare_config(Same *same)
{
    const Config *config = same->now.config;
    const char *text = config && config->document ? config->document->text : NULL;
    const char *name = config && config->file ? config->file : "config.json";
    if (g_strcmp0(same->old->config, text) == 0)
        return;
    same->config_said = !same->now.request->config_text && g_str_has_suffix(name, "config.json");
    if (!text || !same->old->config) {
        say(same, "%s: %s", name, text ? "there was none" : "there is none that can be read");
        return;
    }
    g_auto(GStrv) old = g_strsplit(same->old->config, "\n", -1);
    g_auto(GStrv) now = g_strsplit(text, "\n", -1);
    int line = 0;
    while (old[line] && now[line] && strcmp(old[line], now[line]) == 0)
        line++;
    g_autofree char *was = line_shown(old[line]), *is = line_shown(now[line]);
    say(same, "%s line %d: %s, was %s", name, line + 1, is, was);
}

/* What the request says beside the package. Config.json's dependencies are compared with it; an
 * update may have given others since. */
static bool compare_request(Same *same, GError **error)
{
    static const char *const MODES[] = {"packed", "dynamic"};
    g_autoptr(ImportRequest) old = import_request_from_json(same->old->request, error);
    if (!old)
        return false;
    same->was_dynamic = old->dynamic;
    say_value(same, "load_mode", MODES[old->dynamic], MODES[same->now.request->dynamic]);
    if (!old->dependencies)
        return true;
    const Config *config = same->now.config;
    const char *text = config && config->document ? config->document->text : NULL;
    json_auto_t *was = dependencies_in_force(old, NULL),
                *is = dependencies_in_force(same->now.request, text);
    json_auto_t *was_normal = dependencies_normal(was), *is_normal = dependencies_normal(is);
    if (!json_equal(was_normal, is_normal))
        say(same, "dependencies: an update gave %s:%s others than the package has",
            same->model->name, same->model->version);
    return true;
}

/* -- the base image -- */

/* The digest that the newest build of it began with. *digest NULL: it is a custom image. */
static bool old_base(const Same *same, char **digest, GError **error)
{
    *digest = NULL;
    for (int attempt = same->old->attempt; attempt > 0 && !*digest; attempt--) {
        g_autofree char *base = NULL;
        if (!image_build_base(same->service->db, same->model->id, attempt, &base, digest, error))
            return false;
    }
    return true;
}

static bool compare_base(Same *same, GError **error)
{
    GError *failure = NULL;
    g_autofree char *old = NULL;
    const char *name = same->now.runtime;
    say_value(same, "runtime", same->old->runtime, name);
    g_autoptr(Runtime) runtime = old_base(same, &old, &failure) && name
                                     ? runtime_find(same->service->db, name, &failure)
                                     : NULL;
    if (failure) {
        g_propagate_error(error, failure);
        return false;
    }
    if (runtime && old)
        say_value(same, "base image", old, runtime->digest);
    return true;
}

/* -- the files -- */

static bool load_files(Same *same, GError **error)
{
    GError *failure = NULL;
    same->files.files = g_ptr_array_new_with_free_func((GDestroyNotify)package_file_free);
    same->digests = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, g_free);
    g_autoptr(DbRows) rows = db_query(
        same->service->db, error,
        "SELECT path, size, digest FROM files WHERE model_id = $1 AND attempt = $2 ORDER BY path",
        "si", same->model->id, (int64_t)same->old->attempt);
    while (rows && db_next(rows, &failure)) {
        PackageFile *file = g_new0(PackageFile, 1);
        file->path = g_strdup(db_text(rows, 0));
        file->identity.size = db_int(rows, 1);
        g_ptr_array_add(same->files.files, file);
        g_hash_table_insert(same->digests, file->path, g_strdup(db_text(rows, 2)));
    }
    if (failure)
        g_propagate_error(error, failure);
    return rows && !failure;
}

static bool load_layers(Same *same, GError **error)
{
    same->layers = layers_of(same->service->db, same->model->id, same->old->attempt, error);
    for (guint i = same->layers ? same->layers->len : 0; i > 0; i--) {
        const LayerRow *row = same->layers->pdata[i - 1];
        if (strcmp(row->origin, "model") == 0)
            continue;
        same->base_layers++;
        g_ptr_array_remove_index(same->layers, i - 1);
    }
    return same->layers != NULL;
}

/* The file of that path and size that is given now, whose content may be the same. */
static const PackageFile *counterpart(const Same *same, const PackageFile *old)
{
    const PackageFile *file = package_find(same->now.package, old->path);
    return file && file->identity.size == old->identity.size ? file : NULL;
}

/* What the lists alone say; *bytes: of what is to be compared. */
static void compare_lists(Same *same, int64_t *bytes)
{
    *bytes = 0;
    for (guint i = 0; i < same->files.files->len; i++) {
        const PackageFile *old = same->files.files->pdata[i];
        const PackageFile *now = package_find(same->now.package, old->path);
        if (!now) {
            say_file(same, old->path, "is not there any more");
        } else if (now->identity.size != old->identity.size) {
            g_autofree char *sizes =
                g_strdup_printf("%" G_GINT64_FORMAT " bytes, was %" G_GINT64_FORMAT,
                                now->identity.size, old->identity.size);
            say_file(same, old->path, sizes);
        } else {
            *bytes += old->identity.size;
        }
    }
    for (guint i = 0; i < same->now.package->files->len; i++) {
        const PackageFile *now = same->now.package->files->pdata[i];
        if (!package_find(&same->files, now->path))
            say_file(same, now->path, "was not there");
    }
}

static bool hash_file(Same *same, const PackageFile *file, Digest *digest, Event **finding,
                      GError **error)
{
    PackageSource *source = same->now.package->source;
    g_autoptr(PackageReader) reader = source->open(source, same->now.package->child, file, finding);
    if (!reader)
        return false;
    for (ssize_t got; (got = reader->read(reader, same->chunk, CHUNK, finding)) != 0;) {
        if (got < 0)
            return false;
        if (progress_stopped(&same->service->progress)) {
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED, "stopped while reading %s",
                        file->path);
            return false;
        }
        digest_update(digest, same->chunk, (size_t)got);
    }
    return reader->end(reader, finding);
}

/* plan: of the file's own layer, whose digest is wanted: over the content and what stands around
 * it. NULL: the content's. */
static char *compute_digest(Same *same, const PackageFile *file, const LayerPlan *plan,
                            Event **finding, GError **error)
{
    static const unsigned char ZEROS[2 * TAR_BLOCK];
    g_autoptr(Digest) digest = digest_new();
    if (plan) {
        g_autoptr(GByteArray) headers = g_byte_array_new();
        layer_plan_headers(plan, 0, headers);
        digest_update(digest, headers->data, headers->len);
    }
    if (!hash_file(same, file, digest, finding, error))
        return NULL;
    if (plan) {
        digest_update(digest, ZEROS, tar_padding(file->identity.size));
        digest_update(digest, ZEROS, sizeof ZEROS);
    }
    return digest_finish(digest);
}

static bool remember(Same *same, const PackageFile *file, const char *packed_as, const char *digest,
                     int64_t read_at_ns, GError **error)
{
    g_autoptr(DbTransaction) transaction = service_transaction(same->service, error);
    return transaction &&
           file_digest_remember(same->service->db, same->machine, file, packed_as, digest,
                                read_at_ns, error) &&
           db_commit(same->service->db, error);
}

/* The digest of a file as it is now: what is known for sure, else read. False: *error. *digest
 * NULL: it cannot be read, which was said. */
static bool now_digest(Same *same, const PackageFile *file, const LayerPlan *plan, char **digest,
                       GError **error)
{
    GError *failure = NULL;
    Event *unreadable = NULL;
    const char *packed_as = plan ? file->path : "";
    int64_t read_at_ns = g_get_real_time() * 1000;
    *digest = file_digest_known(same->service->db, same->machine, file, packed_as, &failure);
    if (!*digest && !failure) {
        *digest = compute_digest(same, file, plan, &unreadable, &failure);
        if (*digest && !remember(same, file, packed_as, *digest, read_at_ns, &failure))
            g_clear_pointer(digest, g_free);
    }
    progress_add(&same->service->progress, file->identity.size);
    if (unreadable)
        say_file(same, file->path, "cannot be read, or changes");
    event_free(unreadable);
    if (failure)
        g_propagate_error(error, failure);
    return !failure;
}

/* plan: of the layer that holds the file alone, whose digest is `was`; NULL: `was` is the
 * content's. NULL too: it was never hashed, so nothing says that it is the same. */
static bool compare_file(Same *same, const PackageFile *old, const LayerPlan *plan, const char *was,
                         GError **error)
{
    const PackageFile *now = counterpart(same, old);
    g_autofree char *digest = NULL;
    if (!now)
        return true;
    if (!now_digest(same, now, plan, &digest, error))
        return false;
    if (digest && g_strcmp0(digest, was) != 0)
        say_file(same, old->path, "other content");
    return true;
}

/* Of a dynamic model: each file is a blob, whose digest is its content's. */
static bool compare_blobs(Same *same, GError **error)
{
    for (guint i = 0; i < same->files.files->len; i++) {
        const PackageFile *old = same->files.files->pdata[i];
        if (!compare_file(same, old, NULL, g_hash_table_lookup(same->digests, old->path), error))
            return false;
    }
    return true;
}

static bool compare_content(Same *same, GError **error)
{
    if (same->was_dynamic)
        return compare_blobs(same, error);
    g_autoptr(GPtrArray) plans = layer_plan(&same->files, LAYER_MAX_COUNT - same->base_layers);
    if (plans->len != same->layers->len) {
        say(same, "its %u layers are not those of its %u files", same->layers->len,
            same->files.files->len);
        return true;
    }
    for (guint i = 0; i < plans->len; i++) {
        const LayerPlan *plan = plans->pdata[i];
        const LayerRow *row = same->layers->pdata[i];
        bool single = layer_plan_is_single(plan);
        for (guint k = 0; k < plan->files->len; k++) {
            const PackageFile *old = plan->files->pdata[k];
            const char *was = single ? row->digest : g_hash_table_lookup(same->digests, old->path);
            if (!compare_file(same, old, single ? plan : NULL, was, error))
                return false;
        }
    }
    return true;
}

static bool compare_files(Same *same, GError **error)
{
    int64_t bytes;
    if (!load_files(same, error) || !load_layers(same, error))
        return false;
    same->machine = machine_id();
    same->chunk = g_malloc(CHUNK);
    compare_lists(same, &bytes);
    progress_begin(&same->service->progress, bytes);
    bool done = compare_content(same, error);
    progress_end(&same->service->progress);
    if (same->differing_files > MOST_FILES)
        say(same, "and %" G_GINT64_FORMAT " more files", same->differing_files - MOST_FILES);
    return done;
}

/* -- */

static bool compare_image(Same *same, GError **error)
{
    g_autoptr(GError) failure = NULL;
    g_autofree char *digest = source_image_digest(&same->now, &failure);
    if (!digest && failure->domain == DB_ERROR) {
        g_propagate_error(error, g_steal_pointer(&failure));
        return false;
    }
    if (!digest)
        say(same, "the image cannot be read: %s", failure->message);
    else
        say_value(same, "image", same->old->image_digest, digest);
    return true;
}

static bool look(Same *same, GError **error)
{
    Import *now = &same->now;
    g_autoptr(Findings) findings = findings_new();
    same->old = attempt_load(same->service->db, same->model->id, same->model->attempt, error);
    g_autoptr(GPtrArray) runtimes = same->old ? runtimes_list(same->service->db, error) : NULL;
    return runtimes &&
           import_check(same->service->settings, runtimes, now->request, &same->service->progress,
                        findings, &now->package, &now->config, &now->runtime, error);
}

bool import_differences(Service *service, const Model *model, const ImportRequest *request,
                        GPtrArray *differences, GError **error)
{
    g_auto(Same) same = {.service = service,
                         .model = model,
                         .now = {.service = service, .request = (ImportRequest *)request},
                         .differences = differences};
    if (!look(&same, error))
        return false;
    const char *type = same.now.config && same.now.config->model_type ? same.now.config->model_type
                                                                      : request->type;
    say_value(&same, "model type", model->type, type);
    compare_config(&same);
    if (!compare_request(&same, error))
        return false;
    say_value(&same, "description", model->description, request->description);
    bool was_image = g_strcmp0(model->type, "Image") == 0, is_image = import_is_image(&same.now);
    if (was_image != is_image)
        return true; /* the model type says so */
    return is_image ? compare_image(&same, error)
                    : compare_base(&same, error) && compare_files(&same, error);
}
