#include "upkeep/verify.h"

#include <gio/gio.h>
#include <string.h>

#include "base/digest.h"
#include "base/io.h"
#include "import/bootstrap.h"
#include "import/import.h"
#include "import/request.h"
#include "store/attempts.h"
#include "upkeep/kept.h"

#define SHELL_PLAIN "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._:@%+-"

typedef struct {
    Service *service;
    Kept *kept;
    Findings *findings;
    VerifyResult *result;
    GPtrArray *damaged;      /* of KeptBlob, kept's: those whose file is there */
    ImageRepository *images; /* that was looked into last, and its name */
    char *images_name;
} Verify;

static void verify_clear(Verify *verify)
{
    kept_free(verify->kept);
    g_ptr_array_unref(verify->damaged);
    image_repository_free(verify->images);
    g_free(verify->images_name);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Verify, verify_clear)

/* -- what mends it -- */

static void add_option(GString *command, const char *option, const char *value)
{
    if (!value || !*value)
        return;
    bool plain = strspn(value, SHELL_PLAIN) == strlen(value);
    g_autofree char *quoted = plain ? g_strdup(value) : g_shell_quote(value);
    g_string_append_printf(command, " %s %s", option, quoted);
}

static json_t *command_take(GString *command)
{
    g_autofree char *text = event_text(command->str);
    g_string_free(command, TRUE);
    return json_string(text);
}

static json_t *import_again(const Model *model, const ImportRequest *request)
{
    GString *command = g_string_new("waybill");
    add_option(command, "import", request->source_path ? request->source_path : request->source);
    add_option(command, "--name", model->name);
    add_option(command, "--version", model->version);
    add_option(command, "--type", request->type);
    add_option(command, "--runtime", request->runtime);
    add_option(command, "--config", request->config_file);
    add_option(command, "--child", strcmp(request->child, "model") == 0 ? NULL : request->child);
    add_option(command, "--description", request->description);
    add_option(command, "--project",
               strcmp(model->project, PROJECT_DEFAULT) == 0 ? NULL : model->project);
    return command_take(command);
}

/* An import writes the blobs that are missing, and reuses the others. So the same version, made
 * again from the same source, is the same image, whole. */
static bool mend_model(Verify *verify, const KeptModel *kept, json_t *steps, GError **error)
{
    Db *db = verify->service->db;
    g_autoptr(Model) model = model_load(db, kept->id, error);
    g_autoptr(Attempt) attempt = model ? attempt_load(db, model->id, model->attempt, error) : NULL;
    g_autoptr(ImportRequest) request =
        attempt ? import_request_from_json(attempt->request, error) : NULL;
    if (!request)
        return false;
    json_array_append_new(steps, json_pack("s+", "waybill delete ", kept->label));
    json_array_append_new(steps, import_again(model, request));
    return true;
}

static bool mend_runtime(Verify *verify, const char *name, json_t *steps, GError **error)
{
    g_autoptr(GError) failure = NULL;
    g_autoptr(Runtime) runtime = runtime_find(verify->service->db, name, &failure);
    if (failure) {
        g_propagate_error(error, g_steal_pointer(&failure));
        return false;
    }
    if (!runtime)
        return true; /* removed meanwhile */
    GString *command = g_string_new("waybill runtime");
    if (g_str_has_prefix(runtime->image, BOOTSTRAP_PREFIX)) {
        add_option(command, "bootstrap", name);
    } else {
        add_option(command, "add", name);
        add_option(command, "--image", runtime->image);
        add_option(command, "--engine", runtime->engine);
    }
    json_array_append_new(steps, command_take(command));
    return true;
}

/* The base's own blobs come back with the runtime, for the models on it, too. */
static json_t *mend_steps(Verify *verify, const KeptBlob *kept, bool missing, GError **error)
{
    json_auto_t *steps = json_array();
    if (!missing && !image_store_is_registry(verify->service->store))
        json_array_append_new(steps, json_string("waybill verify --drop-damaged"));
    for (guint i = 0; i < kept->runtimes->len; i++)
        if (!mend_runtime(verify, kept->runtimes->pdata[i], steps, error))
            return NULL;
    for (guint i = 0; i < kept->models->len && kept->runtimes->len == 0; i++)
        if (!mend_model(verify, kept->models->pdata[i], steps, error))
            return NULL;
    for (guint i = 0; i < kept->repositories->len; i++) {
        const KeptRepository *user = kept->repositories->pdata[i];
        json_array_append_new(steps,
                              json_pack("s++", "podman push HOST:PORT/", user->label, ":TAG"));
    }
    return g_steal_pointer(&steps);
}

/* -- what was found -- */

static json_t *repositories_json(const KeptBlob *kept)
{
    json_t *array = json_array();
    for (guint i = 0; i < kept->repositories->len; i++)
        json_array_append_new(array,
                              json_string(((KeptRepository *)kept->repositories->pdata[i])->label));
    return array;
}

static json_t *users_json(const KeptBlob *kept, bool models)
{
    const GPtrArray *users = models ? kept->models : kept->runtimes;
    json_t *array = json_array();
    for (guint i = 0; i < users->len; i++)
        json_array_append_new(array, json_string(models ? ((KeptModel *)users->pdata[i])->label
                                                        : (const char *)users->pdata[i]));
    return array;
}

/* The repository of the store that has it: one of those, where several have. */
static const char *repository_name(const KeptBlob *kept)
{
    return kept->models->len ? ((const KeptModel *)kept->models->pdata[0])->repository
                             : STORE_RUNTIMES;
}

static char *blob_place(const Verify *verify, const KeptBlob *kept)
{
    const char *place = image_store_place(verify->service->store);
    return place ? g_strdup_printf("%s/%s@%s", place, repository_name(kept), kept->blob.digest)
                 : g_strconcat("images/blobs/sha256/", digest_hex(kept->blob.digest), NULL);
}

static bool finding_add(Verify *verify, KeptBlob *kept, const char *found, bool missing,
                        GError **error)
{
    json_t *steps = mend_steps(verify, kept, missing, error);
    if (!steps)
        return false;
    g_autofree char *path = blob_place(verify, kept);
    Event *event = event_with_kind(event_image_build_system_error(), "store_lost");
    event->stage = "verify";
    event_with(event, "{s:s, s:s, s:s, s:s}", "path", path, "digest", kept->blob.digest, "expected",
               kept->blob.digest, "found", found);
    if (kept->blob.size >= 0)
        event_with(event, "{s:I}", "size", (json_int_t)kept->blob.size);
    event_with_json(event, "models", users_json(kept, true));
    event_with_json(event, "runtimes", users_json(kept, false));
    if (kept->repositories->len)
        event_with_json(event, "repositories", repositories_json(kept));
    findings_add(verify->findings, event_with_json(event, "mend", steps));
    if (!missing)
        g_ptr_array_add(verify->damaged, kept);
    return true;
}

/* Takes `failure` for a finding where it is one. */
static bool damage_note(Verify *verify, KeptBlob *kept, const ImageFault *fault, GError *failure,
                        GError **error)
{
    if (failure->domain != IMAGE_ERROR) {
        g_propagate_error(error, failure);
        return false;
    }
    bool missing = failure->code == IMAGE_ERROR_NO_BLOB || failure->code == IMAGE_ERROR_NO_MANIFEST;
    g_error_free(failure);
    return finding_add(verify, kept,
                       missing        ? "missing"
                       : fault->found ? fault->found
                                      : "more bytes than it has",
                       missing, error);
}

/* NULL: *error. */
static ImageSource *source_of(Verify *verify, const char *repository, GError **error)
{
    if (g_strcmp0(verify->images_name, repository) != 0) {
        image_repository_free(verify->images);
        g_free(verify->images_name);
        verify->images_name = g_strdup(repository);
        verify->images = image_repository_open(verify->service->store, repository, error);
    }
    return verify->images ? image_repository_source(verify->images) : NULL;
}

/* In a registry a manifest is no blob. */
static bool blob_is_sound(Verify *verify, const KeptBlob *kept, ImageFault *fault, GError **error)
{
    ImageSource *source = source_of(verify, repository_name(kept), error);
    if (!source)
        return false;
    if (!kept->manifest || !image_repository_registry(verify->images))
        return image_verify_blob(source, &kept->blob, &verify->service->progress, fault, error);
    g_autoptr(GBytes) manifest = source->read(source, &kept->blob, false, error);
    if (!manifest)
        fault->found = source->rehash(source, &kept->blob);
    return manifest != NULL;
}

static bool blob_verify(Verify *verify, KeptBlob *kept, GError **error)
{
    ImageFault fault = {0};
    GError *failure = NULL;
    verify->result->blobs++;
    verify->result->bytes += MAX(kept->blob.size, 0);
    bool sound = blob_is_sound(verify, kept, &fault, &failure) ||
                 damage_note(verify, kept, &fault, failure, error);
    image_fault_clear(&fault);
    return sound;
}

static bool blobs_verify(Verify *verify, GError **error)
{
    GPtrArray *blobs = verify->kept->blobs;
    kept_measure(verify->kept, verify->service->images);
    progress_begin(&verify->service->progress, kept_bytes(verify->kept));
    bool done = true;
    for (guint i = 0; done && i < blobs->len; i++)
        done = blob_verify(verify, blobs->pdata[i], error);
    progress_end(&verify->service->progress);
    return done;
}

/* -- what is looked at -- */

/* A runtime that cannot be read is damage: its bad blob is among the kept ones, and so is found. */
static bool runtimes_keep(Verify *verify, const GPtrArray *runtimes, GError **error)
{
    ImageSource *source = source_of(verify, STORE_RUNTIMES, error);
    for (guint i = 0; source && i < runtimes->len; i++) {
        g_autoptr(GError) failure = NULL;
        if (kept_add_runtime(verify->kept, source, runtimes->pdata[i], &failure) ||
            g_error_matches(failure, IMAGE_ERROR, IMAGE_ERROR_NO_BLOB) ||
            g_error_matches(failure, IMAGE_ERROR, IMAGE_ERROR_NO_MANIFEST) ||
            g_error_matches(failure, IMAGE_ERROR, IMAGE_ERROR_DAMAGED))
            continue;
        g_propagate_error(error, g_steal_pointer(&failure));
        return false;
    }
    return source != NULL;
}

/* What the store says at one moment. *runtimes: NULL of one model. */
static bool rows_look(Verify *verify, const Model *model, GPtrArray **runtimes, GError **error)
{
    Service *service = verify->service;
    Db *db = service->db;
    g_autoptr(DbTransaction) transaction = db_transaction(db, error);
    if (!transaction || !kept_add_models(verify->kept, db, model ? model->id : NULL,
                                         image_store_is_registry(service->store), error))
        return false;
    if (model)
        return true;
    *runtimes = kept_add_pushed(verify->kept, db, error) ? runtimes_list(db, error) : NULL;
    return *runtimes != NULL;
}

/* Base images are looked at once the store is let go: a registry may keep them. */
static bool store_look(Verify *verify, const Model *model, GError **error)
{
    g_autoptr(GPtrArray) runtimes = NULL;
    return rows_look(verify, model, &runtimes, error) &&
           (!runtimes || runtimes_keep(verify, runtimes, error));
}

/* *sound false: the store is damaged, which is a finding. */
static bool store_verify(Verify *verify, bool *sound, GError **error)
{
    g_autoptr(GError) failure = NULL;
    *sound = db_check(verify->service->db, &failure);
    if (*sound)
        return true;
    if (!g_error_matches(failure, DB_ERROR, DB_ERROR_DAMAGED)) {
        g_propagate_error(error, g_steal_pointer(&failure));
        return false;
    }
    Event *event = event_with_kind(event_image_build_system_error(), "store_lost");
    event->stage = "verify";
    event_with_text(event, "path", DATA_STORE);
    event_with_text(event, "error", failure->message);
    event_with_json(event, "mend",
                    json_pack("[s]", "waybill restore BACKUP --data ANOTHER_DIRECTORY"));
    findings_add(verify->findings, event);
    return true;
}

/* Under the lock alone, and looked at once more: who packs the blob again must not see it come and
 * go. */
static bool damaged_drop(Verify *verify, GError **error)
{
    Layout *images = verify->service->images;
    autofd lock = verify->damaged->len ? layout_lock(images, true, error) : -1;
    for (guint i = 0; lock >= 0 && i < verify->damaged->len; i++) {
        const KeptBlob *kept = verify->damaged->pdata[i];
        if (layout_verify_blob(images, kept->blob.digest, kept->blob.size, NULL, NULL))
            continue;
        if (!layout_remove_blob(images, kept->blob.digest, error))
            return false;
        verify->result->dropped++;
    }
    return lock >= 0 || verify->damaged->len == 0;
}

bool verify_run(Service *service, const Model *model, bool drop, VerifyResult *result,
                Findings *findings, GError **error)
{
    *result = (VerifyResult){0};
    g_auto(Verify) verify = {.service = service,
                             .kept = kept_new(),
                             .findings = findings,
                             .result = result,
                             .damaged = g_ptr_array_new()};
    bool sound;
    autofd lock = layout_lock(service->images, false, error);
    if (drop && image_store_is_registry(service->store)) {
        g_set_error(error, IMPORT_ERROR, IMPORT_ERROR_USAGE,
                    "--drop-damaged: the images lie in %s, where nothing is dropped",
                    image_store_place(service->store));
        return false;
    }
    if (lock < 0 || !store_verify(&verify, &sound, error))
        return false;
    if (!sound)
        return true; /* what a damaged store says about blobs is not to be trusted */
    if (!store_look(&verify, model, error) || !blobs_verify(&verify, error))
        return false;
    io_close(&lock);
    return !drop || damaged_drop(&verify, error);
}
