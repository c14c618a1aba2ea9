/* All checks that need no build, so that their findings come together: config, package, engine,
 * limits. Closes with ModelSizeCalculated; for an image reference there is no package, and no
 * event. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/io.h"
#include "event/timeline.h"
#include "image/reference.h"
#include "import/dependencies.h"
#include "import/pipeline.h"
#include "import/source_package.h"
#include "import/sources.h"
#include "store/runtimes.h"

typedef struct {
    const ImportRequest *request;
    const Settings *settings;
    GPtrArray *runtimes; /* of Runtime */
    Progress *progress;  /* ends what an object store is waited for; or NULL */
    Findings *findings;
    Package *package;
    Config *config;
    char *runtime;
} Look;

static bool look_at_package(Look *look, Findings *unsafe, GError **error)
{
    const PlaceOfSource place = {look->request, look->settings, look->progress};
    return source_open_package(&place, look->findings, unsafe, &look->package, error);
}

static Event *finding_no_config(const Package *package)
{
    g_autofree char *path = package_path_in_source(package->child, "config.json");
    Event *event = event_with_kind(event_config_value_invalid("config.json"), "no_config");
    event_with_text(event, "directory", package->directory);
    event_with_text(event, "source", package->directory);
    event_with_text(event, "file", path);
    return event_with(event, "{s:s, s:s, s:s}", "pointer", "", "found", "missing", "expected",
                      "a config.json in the model directory, or one given with --config");
}

static Event *finding_config_too_large(const PackageFile *file, const char *name)
{
    Event *event = event_with_kind(event_config_value_invalid("config.json"), "syntax");
    g_autofree char *found = g_strdup_printf("%" G_GINT64_FORMAT " bytes", file->identity.size);
    return event_with(event, "{s:s, s:s, s:s, s:s, s:i, s:i, s:I, s:I}", "file", name, "pointer",
                      "", "found", found, "expected", "at most 1 MiB", "line", 1, "column", 1,
                      "size", (json_int_t)file->identity.size, "limit",
                      (json_int_t)DOCUMENT_MAX_BYTES);
}

static void look_at_config_bytes(Look *look, const void *bytes, size_t size, const char *name)
{
    g_autofree const char **names = g_new0(const char *, look->runtimes->len + 1);
    for (guint i = 0; i < look->runtimes->len; i++)
        names[i] = ((Runtime *)look->runtimes->pdata[i])->name;
    const ConfigContext context = {.request_type = look->request->type,
                                   .request_runtime = look->request->runtime,
                                   .health_url = settings_text(look->settings, "image.health_url"),
                                   .runtimes = names,
                                   .dependencies_apart = look->request->dependencies != NULL,
                                   .package = look->package};
    look->config = config_read(bytes, size, name, &context, look->findings);
}

/* child: what the file's path is beneath. name: as evidence names it. */
static void look_at_config_file(Look *look, const char *child, const PackageFile *file,
                                const char *name)
{
    Event *finding = NULL;
    g_autoptr(GBytes) bytes =
        package_source_read(look->package->source, child, file, DOCUMENT_MAX_BYTES, &finding);
    if (bytes) {
        gsize size;
        const void *data = g_bytes_get_data(bytes, &size);
        look_at_config_bytes(look, data, size, name);
    } else {
        findings_add(look->findings, finding ? finding : finding_config_too_large(file, name));
    }
}

/* The one that `waybill init` writes beside the model directory. False: there is none. */
static bool look_at_config_beside(Look *look)
{
    PackageSource *source = look->package->source;
    Event *finding = NULL;
    g_autoptr(PackageFile) file = source->find(source, CONFIG_BESIDE, &finding);
    if (finding)
        findings_add(look->findings, finding);
    if (file)
        look_at_config_file(look, ".", file, CONFIG_BESIDE);
    return file || finding;
}

/* The request's config wins, then the one beside the model directory; with either, a config.json in
 * the package is an ordinary file. An image reference needs none. */
static void look_at_config(Look *look)
{
    if (look->request->config_text) {
        look_at_config_bytes(look, look->request->config_text, strlen(look->request->config_text),
                             look->request->config_file);
        return;
    }
    if (!look->package || look_at_config_beside(look))
        return;
    const PackageFile *file = package_find(look->package, "config.json");
    if (!file) {
        findings_add(look->findings, finding_no_config(look->package));
        return;
    }
    g_autofree char *name = package_path_in_source(look->package->child, "config.json");
    look_at_config_file(look, look->package->child, file, name);
}

static const char *look_type(const Look *look)
{
    const char *type = look->config ? look->config->model_type : NULL;
    return type ? type : look->request->type;
}

/* A fault of a member of config.json's root: at its place, or at the root's when it is absent. */
static Event *finding_of_member(const Config *config, const char *member, const char *kind,
                                const char *expected)
{
    Event *event = event_with_kind(event_config_value_invalid(member), kind);
    const Document *document = config ? config->document : NULL;
    const Node *root = document ? document->root : NULL;
    const Node *node = root ? node_member(root, member) : NULL;
    const Node *place = node ? node : root;
    g_autofree char *pointer = g_strconcat("/", member, NULL);
    g_autofree char *found = node ? node_found(document, node) : g_strdup("missing");
    event_with(event, "{s:s, s:s, s:s, s:i, s:i}", "pointer", pointer, "found", found, "expected",
               expected, "line", place ? place->line : 1, "column", place ? place->column : 1);
    if (place)
        event_with_json(event, "snippet",
                        document_snippet(document, place->line, place->start,
                                         node ? node->length : 1));
    return config ? event_with_text(event, "file", config->file) : event;
}

/* Where a platform was asked for, it is told of each. */
static json_t *runtimes_listing(const Look *look)
{
    json_t *listing = json_array();
    for (guint i = 0; i < look->runtimes->len && i < 20; i++) {
        const Runtime *runtime = look->runtimes->pdata[i];
        json_array_append_new(listing,
                              look->request->platform
                                  ? json_sprintf("%s (%s)", runtime->name, runtime->platform)
                                  : json_string(runtime->name));
    }
    return listing;
}

static bool runtime_fits(const Look *look, const Runtime *runtime, const char *type)
{
    const char *platform = look->request->platform;
    return runtime_serves(runtime, type) &&
           (!platform || image_platform_fits(platform, runtime->platform));
}

static const Runtime *runtime_chosen(const Look *look, const char *type, const char *wanted)
{
    for (guint i = 0; i < look->runtimes->len; i++) {
        const Runtime *runtime = look->runtimes->pdata[i];
        if (wanted ? strcmp(runtime->name, wanted) == 0 : runtime_fits(look, runtime, type))
            return runtime;
    }
    return NULL;
}

static char *runtime_expected(const Look *look, const char *type)
{
    const char *platform = look->request->platform;
    return g_strdup_printf("a runtime that serves %s%s%s", type, platform ? " for " : "",
                           platform ? platform : "");
}

/* The runtime that is named, or the first that serves the engine for the platform. One that is
 * named and unknown was found by config_read already. */
static void look_at_runtime(Look *look, const char *type)
{
    const char *in_config = look->config ? look->config->runtime : NULL;
    const char *wanted = look->request->runtime ? look->request->runtime : in_config;
    const Runtime *runtime = runtime_chosen(look, type, wanted);
    if (runtime && runtime_fits(look, runtime, type)) {
        look->runtime = g_strdup(runtime->name);
        return;
    }
    if (!runtime && wanted && !look->request->runtime)
        return;
    g_autofree char *expected = runtime_expected(look, type);
    Event *event = finding_of_member(look->config, "runtime", "no_runtime", expected);
    event_with(event, "{s:s}", "engine", type);
    if (look->request->platform)
        event_with_text(event, "platform", look->request->platform);
    if (wanted)
        event_with_text(event, "wanted", wanted);
    if (look->request->runtime)
        event_with_text(event, "found", look->request->runtime);
    findings_add(look->findings, event_with_json(event, "listing", runtimes_listing(look)));
}

/* Nobody learns whether there is a layout that may not be read. */
static bool image_location_is_allowed(const Look *look, const Reference *reference)
{
    if (reference->kind == REFERENCE_REGISTRY)
        return sources_allow_registry(look->settings, look->request, reference);
    g_autofree char *directory = import_request_directory(look->request, reference->directory);
    return sources_allow_layout(look->settings, look->request, directory);
}

/* swr_location of a package of type Image: a reference that this version can read. */
static void look_at_image_location(Look *look)
{
    if (!look->config || !look->config->swr_location)
        return;
    g_autoptr(GError) failure = NULL;
    g_autoptr(Reference) reference = reference_parse(look->config->swr_location, &failure);
    if (!reference)
        findings_add(look->findings,
                     finding_of_member(look->config, "swr_location", "value", failure->message));
    else if (!image_location_is_allowed(look, reference))
        findings_add(look->findings,
                     finding_of_member(look->config, "swr_location", "value",
                                       import_request_upload(look->request)
                                           ? "oci:DIR:TAG with a DIR inside of the upload, or "
                                             "a registry that this project may import from"
                                           : "an image that this project may import from"));
}

static void look_at_engine(Look *look)
{
    const char *type = look_type(look);
    if (!type || !config_is_model_type(type))
        return;
    if (strcmp(type, "Image") == 0) {
        look_at_image_location(look);
        return;
    }
    look_at_runtime(look, type);
    if (look->package)
        package_check_engine(look->package, type, look->findings);
}

/* A dynamic model has none: its files are no part of the image. */
static void look_at_limits(Look *look)
{
    if (look->request->dynamic)
        return;
    const PackageLimits limits = {.model_file_bytes =
                                      settings_bytes(look->settings, "limits.model_file_gib"),
                                  .model_bytes = settings_bytes(look->settings, "limits.model_gib"),
                                  .model_file_gib =
                                      settings_text(look->settings, "limits.model_file_gib"),
                                  .model_gib = settings_text(look->settings, "limits.model_gib")};
    package_check_limits(look->package, look->request->name, &limits, look->findings);
}

/* Findings in their order: the config's, then the package's. A child directory that is missing (43)
 * stands alone. */
static bool look_at_all(Look *look, GError **error)
{
    g_autoptr(Findings) unsafe = findings_new();
    bool is_reference = import_request_is_reference(look->request);
    if (!is_reference && !look_at_package(look, unsafe, error))
        return false;
    bool has_package = look->package && look->package->child_found;
    if (has_package || is_reference) {
        look_at_config(look);
        dependencies_take(look->config, look->request, look_type(look), look->package,
                          look->findings);
    }
    while (unsafe->events->len > 0)
        findings_add(look->findings, g_ptr_array_steal_index(unsafe->events, 0));
    if (has_package || is_reference)
        look_at_engine(look);
    if (has_package) {
        look_at_limits(look);
        package_check_notes(look->package, look_type(look), look->findings);
    }
    for (guint i = 0; i < look->findings->events->len; i++) {
        Event *event = look->findings->events->pdata[i];
        /* For the commands of its advice: paths are relative to it. */
        if (!is_reference && !json_object_get(event->evidence, "source"))
            event_with_text(event, "source", look->request->source);
        if (!event->stage && event_row(event)->number != 29)
            event->stage = event_row(event)->stage;
    }
    return true;
}

bool import_check(const Settings *settings, GPtrArray *runtimes, const ImportRequest *request,
                  Progress *progress, Findings *findings, Package **package, Config **config,
                  char **runtime, GError **error)
{
    Look look = {.request = request,
                 .settings = settings,
                 .runtimes = runtimes,
                 .progress = progress,
                 .findings = findings};
    bool done = look_at_all(&look, error);
    if (done && package)
        *package = g_steal_pointer(&look.package);
    if (done && config)
        *config = g_steal_pointer(&look.config);
    if (done && runtime)
        *runtime = g_steal_pointer(&look.runtime);
    package_free(look.package);
    config_free(look.config);
    g_free(look.runtime);
    return done;
}

/* Looks, and says in *findings what is wrong. */
static bool import_look_again(Import *import, Findings *findings, GError **error)
{
    Service *service = import->service;
    g_autoptr(GPtrArray) runtimes = runtimes_list(service->db, error);
    return runtimes &&
           import_check(service->settings, runtimes, import->request, &service->progress, findings,
                        &import->package, &import->config, &import->runtime, error);
}

/* Whether the source need not be there any more: a rebuild's package, and what was uploaded to
 * another node, which has packed it. False: *error. */
static bool look_behind_source(const Import *import, bool *behind, GError **error)
{
    *behind = import->request->rebuild;
    if (*behind || !import_request_upload(import->request))
        return true;
    GError *failure = NULL;
    g_autofree char *copied = stage_result(import->service->db, import->model->id,
                                           import->job->attempt, "copy", &failure);
    *behind = copied != NULL;
    if (failure)
        g_propagate_error(error, failure);
    return !failure;
}

StageResult import_look(Import *import, const char *stage, GError **error)
{
    bool behind;
    g_autoptr(Findings) findings = findings_new();
    if (import->package || import->config)
        return STAGE_CLOSED;
    if (!look_behind_source(import, &behind, error))
        return STAGE_ERROR;
    if (behind)
        return rebuild_look(import, stage, error);
    if (!import_look_again(import, findings, error))
        return STAGE_ERROR;
    if (progress_stopped(&import->service->progress))
        return STAGE_STOPPED; /* what was found may be half of it */
    return findings_fatal(findings) ? import_fail(import, stage, findings_take(findings), error)
                                    : STAGE_CLOSED;
}

/* -- what the stage records -- */

/* A check that was interrupted may have recorded some already. */
static bool files_record(Import *import, GError **error)
{
    if (!db_exec(import->service->db, error,
                 "DELETE FROM files WHERE model_id = $1 AND attempt = $2", "si", import->model->id,
                 (int64_t)import->job->attempt))
        return false;
    for (guint i = 0; import->package && i < import->package->files->len; i++) {
        const PackageFile *file = import->package->files->pdata[i];
        if (!db_exec(import->service->db, error,
                     "INSERT INTO files(model_id, attempt, path, size, device, inode, mtime_ns, "
                     "ctime_ns) "
                     "VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                     "sisiiiii", import->model->id, (int64_t)import->job->attempt, file->path,
                     file->identity.size, (int64_t)file->identity.device,
                     (int64_t)file->identity.inode, file->identity.mtime_ns,
                     file->identity.ctime_ns))
            return false;
    }
    return true;
}

static bool package_record(Import *import, const char *listing, GError **error)
{
    const char *text =
        import->config && import->config->document ? import->config->document->text : NULL;
    g_autofree char *valid = text ? g_utf8_make_valid(text, -1) : NULL;
    return files_record(import, error) &&
           attempt_set_package(import->service->db, import->model->id, import->job->attempt,
                               import->package ? import->package->bytes : -1, listing, valid,
                               import->runtime, error);
}

static bool look_record(Import *import, const char *listing, GError **error)
{
    const char *type = import->config && import->config->model_type ? import->config->model_type
                                                                    : import->request->type;
    return (!type || model_set_type(import->service->db, import->model->id, type, error)) &&
           package_record(import, listing, error);
}

/* What a check that failed has seen: what is compared with it later. */
static bool look_keep(Import *import, GError **error)
{
    bool listed = import->package && import->package->child_found;
    g_autofree char *listing = listed ? package_listing_digest(import->package) : NULL;
    g_autoptr(DbTransaction) transaction =
        db_transaction_of(import->service->db, import->model->id, error);
    return transaction && package_record(import, listing, error) &&
           db_commit(import->service->db, error);
}

static Event *event_size(const Import *import)
{
    const PackageFile *largest = NULL;
    for (guint i = 0; i < import->package->files->len; i++) {
        const PackageFile *file = import->package->files->pdata[i];
        if (!largest || file->identity.size > largest->identity.size)
            largest = file;
    }
    Event *event =
        event_with(event_model_size_calculated(), "{s:I, s:i}", "size",
                   (json_int_t)import->package->bytes, "files", (int)import->package->files->len);
    if (largest) {
        g_autofree char *path = package_path_in_source(import->package->child, largest->path);
        event_with(event, "{s:{s:s, s:I}}", "largest", "path", path, "size",
                   (json_int_t)largest->identity.size);
    }
    event->stage = "size";
    event->duration_ms = clock_monotonic_ms() - import->began;
    return event;
}

static Event *event_changed(Import *import, int before, GError **error)
{
    int64_t count;
    g_autofree char *first = NULL;
    if (!import_changed_files(import, before, &count, &first, error))
        return NULL;
    g_autofree char *n = g_strdup_printf("%" G_GINT64_FORMAT, count);
    g_autofree char *attempt = g_strdup_printf("%d", before);
    Event *event = event_source_changed(n, attempt, "check");
    event_with(event, "{s:I}", "files", (json_int_t)count);
    return first ? event_with_text(event, "path", first) : event;
}

/* Stage `check` is what the request begins at, or there is nothing to go on from. */
static bool begins_here(const Import *import, const Former *former)
{
    return !former->same || g_strcmp0(import->request->from, "check") == 0;
}

/* What the stage records, in one transaction. The findings that do not end the import (notes) stand
 * before the closing event. Takes the result over. */
static bool check_record(Import *import, const Former *former, const char *listing,
                         const Findings *notes, GPtrArray *events, json_t *result, GError **error)
{
    Db *db = import->service->db;
    const char *id = import->model->id;
    int attempt = import->job->attempt;
    g_autofree char *text = json_dumps(result, JSON_COMPACT);
    json_decref(result);
    for (guint i = 0; i < notes->events->len; i++)
        g_ptr_array_insert(events, former->attempt && !former->same ? (int)i + 1 : (int)i,
                           notes->events->pdata[i]);
    /* gc must not remove a layer between the look at its blob and the row that keeps it. */
    autofd lock = layout_lock(import->service->images, false, error);
    g_autoptr(DbTransaction) transaction =
        lock >= 0 ? service_transaction_of(import->service, import->model->id, error) : NULL;
    if (!transaction || !look_record(import, listing, error))
        return false;
    for (guint i = 0; i < events->len; i++)
        if (!timeline_append(db, id, attempt, "check", events->pdata[i], NULL, error))
            return false;
    if (!begins_here(import, former) && !former_inherit(import, former, error))
        return false;
    return stage_close(db, id, attempt, "check", text, error) && db_commit(db, error);
}

static bool check_close(Import *import, const Findings *notes, GError **error)
{
    g_autoptr(GError) failure = NULL;
    g_autofree char *listing = import->package ? package_listing_digest(import->package) : NULL;
    Former former;
    if (!former_find(import, listing, &former, error))
        return false;
    bool is_other = former.attempt && !former.same;
    g_autoptr(Event) changed = is_other ? event_changed(import, former.attempt, error) : NULL;
    if (is_other && !changed)
        return false;
    bool sized = import->package && !import_is_image(import) && begins_here(import, &former);
    g_autoptr(Event) size = sized ? event_size(import) : NULL;
    g_autoptr(GPtrArray) events = g_ptr_array_new(); /* borrowed */
    if (changed)
        g_ptr_array_add(events, changed);
    if (size)
        g_ptr_array_add(events, size);
    json_t *result = former_note(import, &failure);
    if (failure) {
        json_decref(result);
        g_propagate_error(error, g_steal_pointer(&failure));
        return false;
    }
    return check_record(import, &former, listing, notes, events, result, error);
}

StageResult stage_check(Import *import, GError **error)
{
    g_autoptr(Findings) findings = findings_new();
    if (!import_look_again(import, findings, error))
        return STAGE_ERROR;
    if (progress_stopped(&import->service->progress))
        return STAGE_STOPPED;
    /* Who has to mend the package first need not wait. */
    if (!findings_fatal(findings) && !import_find_room(import, findings, error))
        return STAGE_ERROR;
    if (findings_fatal(findings)) {
        look_keep(import, NULL); /* that it failed is told in any case */
        return import_fail(import, "check", findings_take(findings), error);
    }
    if (!check_close(import, findings, error))
        return STAGE_ERROR;
    service_committed(import->service);
    return STAGE_CLOSED;
}
