/* What a built image carries with it: an artifact that refers to it, with the timeline up to here
 * and its provenance; signed, where the service has a key. */
#include <string.h>

#include <gio/gio.h>

#include "base/io.h"
#include "base/signing.h"
#include "event/timeline.h"
#include "image/referrers.h"
#include "import/dynamic.h"
#include "import/provenance.h"
#include "store/artifacts.h"

/* The statement, or the envelope around it. */
static char *signed_statement(const SigningKey *key, char *statement, GError **error)
{
    if (!key)
        return statement;
    json_auto_t *envelope =
        signing_sign(key, PROVENANCE_STATEMENT, statement, strlen(statement), error);
    g_free(statement);
    return envelope ? json_dumps(envelope, JSON_COMPACT) : NULL;
}

static Artifact *describe(Import *import, const Image *image, GError **error)
{
    g_autoptr(GError) failure = NULL;
    Service *service = import->service;
    g_autoptr(SigningKey) key = signing_key_open(service->data->fd, &failure);
    if (failure) {
        g_propagate_error(error, g_steal_pointer(&failure));
        return NULL;
    }
    g_autofree char *timeline = provenance_timeline(import, error);
    char *statement =
        timeline ? provenance_statement(import, image, timeline, key != NULL, error) : NULL;
    g_autofree char *text = statement ? signed_statement(key, statement, error) : NULL;
    if (!text)
        return NULL;
    const ArtifactPart parts[] = {{PROVENANCE_TIMELINE, timeline, strlen(timeline)},
                                  {key ? PROVENANCE_ENVELOPE : PROVENANCE_STATEMENT, text,
                                   strlen(text)}};
    return artifact_make(service->images, image->manifest, PROVENANCE_ARTIFACT, parts,
                         G_N_ELEMENTS(parts), error);
}

/* To the registry that keeps the image. */
static bool send(Import *import, const Image *image, const Artifact *artifact, GError **error)
{
    ImageRepository *images = import_images(import, error);
    Registry *registry = images ? image_repository_registry(images) : NULL;
    return registry ? referrers_push(registry, layout_source(import->service->images), artifact,
                                     image->manifest, error)
                    : images != NULL;
}

/* It may not take what it does not know: the image is there all the same, and the log says it; that
 * it cannot be asked is its failure here as elsewhere. */
static bool send_said(Import *import, const Image *image, const Artifact *artifact, char **why,
                      GError **error)
{
    g_autoptr(GError) failure = NULL;
    Service *service = import->service;
    if (send(import, image, artifact, &failure))
        return true;
    if (!g_error_matches(failure, REGISTRY_ERROR, REGISTRY_ERROR_MALFORMED)) {
        g_propagate_error(error, g_steal_pointer(&failure));
        return false;
    }
    *why = event_text(failure->message);
    g_autofree char *line = g_strdup_printf("the image is not described there: %s", *why);
    return build_log_append(service->db, import->model->id, import->job->attempt, "waybill", line,
                            error);
}

/* pack: of a dynamic model; or NULL. Its files are rows already. */
static bool record(Import *import, const Artifact *artifact, const Artifact *pack, GError **error)
{
    Db *db = import->service->db;
    const char *id = import->model->id;
    int attempt = import->job->attempt;
    g_autoptr(DbTransaction) transaction =
        service_transaction_of(import->service, import->model->id, error);
    if (!transaction ||
        !artifact_set(db, id, attempt, artifact->manifest->digest, artifact->manifest->size, error))
        return false;
    if (pack) {
        const Descriptor *config = pack->blobs->pdata[0];
        if (!artifact_set_pack(db, id, attempt, pack->manifest->digest, pack->manifest->size,
                               error) ||
            !artifact_add_blob(db, id, attempt, config->digest, config->size, error))
            return false;
    }
    for (guint i = 0; i < artifact->blobs->len; i++) {
        const Descriptor *blob = artifact->blobs->pdata[i];
        if (!artifact_add_blob(db, id, attempt, blob->digest, blob->size, error))
            return false;
    }
    return db_commit(db, error);
}

StageResult stage_describe(Import *import, GError **error)
{
    StageResult looked = import_look(import, "build", error);
    if (looked != STAGE_CLOSED)
        return looked;
    g_autoptr(GError) failure = NULL;
    /* gc must not find the blobs before the rows that keep them. */
    autofd lock = layout_lock(import->service->images, false, error);
    g_autoptr(Image) image = lock >= 0 ? import_image(import, error) : NULL;
    if (!image)
        return STAGE_ERROR;
    g_autoptr(Artifact) artifact = describe(import, image, &failure);
    g_autofree char *why = NULL;
    g_autoptr(Artifact) pack = artifact ? dynamic_describe(import, image, &failure) : NULL;
    /* What a registry has no list of it may drop: then there is no model. */
    if (pack && !failure && !send(import, image, pack, &failure) &&
        g_error_matches(failure, REGISTRY_ERROR, REGISTRY_ERROR_MALFORMED))
        return import_fail(import, "build",
                           events_new(event_of_error(import->service, failure, 0), NULL), error);
    if (artifact && !failure && send_said(import, image, artifact, &why, &failure) &&
        record(import, artifact, pack, &failure))
        return import_close(import, "describe",
                            json_pack("{s:s, s:s*, s:s*}", "artifact", artifact->manifest->digest,
                                      "why", why, "pack", pack ? pack->manifest->digest : NULL),
                            events_new(NULL, NULL), error);
    if (g_error_matches(failure, G_IO_ERROR, G_IO_ERROR_CANCELLED))
        return STAGE_STOPPED;
    g_propagate_error(error, g_steal_pointer(&failure));
    return STAGE_ERROR;
}
