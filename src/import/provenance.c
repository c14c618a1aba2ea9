#include "import/provenance.h"

#include <gio/gio.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/mask.h"
#include "config.h"
#include "event/timeline.h"
#include "image/reference.h"
#include "image/tar.h"
#include "import/dependencies.h"
#include "import/environment.h"

#define BUILD_TYPE  "urn:waybill:import:v1"
#define BUILDER     "urn:waybill:builder"
#define CHUNK_BYTES ((size_t)256 << 10)

/* -- the timeline -- */

static bool add_event(const char *json, int64_t seq, gpointer data)
{
    json_array_append_new(data, json_loads(json, 0, NULL));
    return true;
}

char *provenance_timeline(const Import *import, GError **error)
{
    const Model *model = import->model;
    const TimelineFilter filter = {.attempt = import->job->attempt};
    json_auto_t *timeline =
        json_pack("{s:s, s:s, s:s, s:i, s:[]}", "model", model->name, "version", model->version,
                  "project", model->project, "attempt", import->job->attempt, "events");
    if (!timeline_each(import->service->db, model->id, &filter, add_event,
                       json_object_get(timeline, "events"), error))
        return NULL;
    return json_dumps(timeline, JSON_COMPACT);
}

/* -- what it was made of -- */

/* {"sha256": HEX} */
static json_t *digest_set(const char *digest)
{
    return json_pack("{s:s}", "sha256", digest_hex(digest));
}

/* The content of a layer of one file, without what stands around it in the archive. The layer is
 * verified on the way: nothing is said of bytes that it never had. */
static char *hash_in_layer(Import *import, const LayerRow *row, int64_t size, GError **error)
{
    ImageRepository *images = import_images(import, error);
    if (!images)
        return NULL;
    ImageSource *source = image_repository_source(images);
    const Descriptor blob = {row->media_type, row->digest, row->size};
    int64_t head = row->size - size - (int64_t)tar_padding(size) - 2 * TAR_BLOCK, at = 0;
    g_autoptr(BlobReader) reader = source->open(source, &blob, error);
    g_autoptr(Digest) digest = digest_new(), whole = digest_new();
    g_autofree char *chunk = g_malloc(CHUNK_BYTES);
    ssize_t got = reader ? 1 : -1;
    while (got > 0 && (got = reader->read(reader, chunk, CHUNK_BYTES, error)) > 0) {
        int64_t from = MAX(head - at, 0), to = MIN(head + size - at, got);
        if (to > from)
            digest_update(digest, chunk + from, (size_t)(to - from));
        digest_update(whole, chunk, (size_t)got);
        at += got;
        if (progress_stopped(&import->service->progress)) {
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED, "stopped while hashing");
            return NULL;
        }
    }
    if (got < 0)
        return NULL;
    g_autofree char *found = digest_finish(whole);
    if (strcmp(found, row->digest) == 0)
        return digest_finish(digest);
    g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_DAMAGED,
                "blob %s in %s is damaged: its bytes hash to %s", row->digest, source->name, found);
    return NULL;
}

static const LayerRow *layer_of_file(const GPtrArray *layers, const char *path)
{
    for (guint i = 0; i < layers->len; i++) {
        const LayerRow *row = layers->pdata[i];
        if (g_strcmp0(row->file, path) == 0)
            return row;
    }
    return NULL;
}

/* A file of the package; of a large one the layer that holds it and, hashed, its own digest. */
static json_t *file_json(Import *import, const GPtrArray *layers, const char *path, int64_t size,
                         const char *digest, bool hashed, GError **error)
{
    g_autofree char *name = g_strdup_printf("%s/%s", import->request->child, path);
    const LayerRow *layer = digest ? NULL : layer_of_file(layers, path);
    g_autofree char *own =
        layer && hashed ? hash_in_layer(import, layer, size, error) : g_strdup(digest);
    if (layer && hashed && !own)
        return NULL;
    json_t *file =
        json_pack("{s:s, s:{s:I}}", "name", name, "annotations", "size", (json_int_t)size);
    if (own)
        json_object_set_new(file, "digest", digest_set(own));
    if (layer)
        json_object_set_new(json_object_get(file, "annotations"), "layer",
                            json_string(layer->digest));
    return file;
}

static bool add_files(Import *import, json_t *list, bool hashed, GError **error)
{
    Db *db = import->service->db;
    const char *id = import->model->id;
    const int64_t attempt = import->job->attempt;
    g_autoptr(GPtrArray) layers = layers_of(db, id, (int)attempt, error);
    g_autoptr(DbRows) rows =
        layers ? db_query(db, error,
                          "SELECT path, size, digest FROM files WHERE model_id = $1 AND attempt = "
                          "$2 ORDER BY path",
                          "si", id, attempt)
               : NULL;
    GError *failure = NULL;
    while (rows && db_next(rows, &failure)) {
        json_t *file = file_json(import, layers, db_text(rows, 0), db_int(rows, 1),
                                 db_text(rows, 2), hashed, &failure);
        if (!file)
            break;
        json_array_append_new(list, file);
    }
    if (failure)
        g_propagate_error(error, failure);
    return rows && !failure;
}

static bool add_base(const Import *import, json_t *list, GError **error)
{
    g_autofree char *base = NULL, *digest = NULL;
    if (!image_build_base(import->service->db, import->model->id, import->job->attempt, &base,
                          &digest, error))
        return false;
    g_autofree char *uri = base ? mask_text(base) : NULL;
    if (digest)
        json_array_append_new(list, json_pack("{s:s, s:s, s:o}", "name", "base", "uri", uri,
                                              "digest", digest_set(digest)));
    return true;
}

/* What was installed, as package URLs (purl-spec). */
static void add_packages(const Import *import, json_t *list)
{
    json_auto_t *packages =
        environment_packages(import->service->db, import->model->id, import->job->attempt, NULL);
    size_t i;
    const json_t *package;
    json_array_foreach (packages, i, package) {
        const char *installer = json_string_value(json_object_get(package, "installer"));
        const char *kind = g_strcmp0(installer, "apt") == 0     ? "deb/debian"
                           : g_strcmp0(installer, "conda") == 0 ? "conda"
                                                                : "pypi";
        g_autofree char *uri =
            g_strdup_printf("pkg:%s/%s@%s", kind,
                            json_string_value(json_object_get(package, "name")),
                            json_string_value(json_object_get(package, "version")));
        json_array_append_new(list, json_pack("{s:s}", "uri", uri));
    }
}

/* -- the statement -- */

static void set_text(json_t *object, const char *key, const char *text)
{
    g_autofree char *masked = text ? mask_text(text) : NULL;
    if (masked)
        json_object_set_new(object, key, json_string(masked));
}

static json_t *parameters(const Import *import)
{
    const ImportRequest *request = import->request;
    json_t *asked = json_object();
    g_autofree char *job = import_request_attribute(request, ATTRIBUTE_JOB);
    set_text(asked, "source", request->source);
    set_text(asked, "child", request->child);
    set_text(asked, "template", request->template);
    set_text(asked, "training", request->training);
    set_text(asked, ATTRIBUTE_JOB, job);
    set_text(asked, "model_type", import->model->type);
    set_text(asked, "runtime", import->runtime ? import->runtime : request->runtime);
    set_text(asked, "platform", request->platform);
    const char *config = import->config && import->config->document ? import->config->document->text
                                                                    : request->config_text;
    g_autofree char *digest = config ? digest_of(config, strlen(config)) : NULL;
    set_text(asked, "config_digest", digest);
    return asked;
}

static char *iso_time(int64_t ms)
{
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(ms / 1000);
    return g_date_time_format(time, "%Y-%m-%dT%H:%M:%SZ");
}

static json_t *run_details(const Import *import, const char *timeline, GError **error)
{
    g_autoptr(Attempt) attempt =
        attempt_load(import->service->db, import->model->id, import->job->attempt, error);
    if (!attempt)
        return NULL;
    g_autofree char *began =
        iso_time(attempt->started_at ? attempt->started_at : attempt->created_at);
    g_autofree char *ended = iso_time(clock_now_ms());
    g_autofree char *id = g_strdup_printf("%s@%d", import->model->id, import->job->attempt);
    g_autofree char *digest = digest_of(timeline, strlen(timeline));
    return json_pack("{s:{s:s, s:{s:s}}, s:{s:s, s:s, s:s}, s:[{s:s, s:s, s:o}]}", "builder", "id",
                     BUILDER, "version", "waybill", WAYBILL_VERSION, "metadata", "invocationId", id,
                     "startedOn", began, "finishedOn", ended, "byproducts", "name",
                     PROVENANCE_BYPRODUCT, "mediaType", PROVENANCE_TIMELINE, "digest",
                     digest_set(digest));
}

char *provenance_statement(Import *import, const Image *image, const char *timeline, bool hashed,
                           GError **error)
{
    json_auto_t *made_of = json_array();
    json_auto_t *run = run_details(import, timeline, error);
    g_autofree char *name =
        reference_name(import->model->project, import->model->name, import->model->version);
    if (!run || !add_base(import, made_of, error) || !add_files(import, made_of, hashed, error))
        return NULL;
    add_packages(import, made_of);
    json_auto_t *statement =
        json_pack("{s:s, s:[{s:s, s:o}], s:s, s:{s:{s:s, s:o, s:O}, s:O}}", "_type",
                  PROVENANCE_TYPE, "subject", "name", name, "digest",
                  digest_set(image->manifest->digest), "predicateType", PROVENANCE_PREDICATE,
                  "predicate", "buildDefinition", "buildType", BUILD_TYPE, "externalParameters",
                  parameters(import), "resolvedDependencies", made_of, "runDetails", run);
    return json_dumps(statement, JSON_COMPACT);
}
