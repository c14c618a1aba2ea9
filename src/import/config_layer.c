#include "import/config_layer.h"

#include <string.h>

#include "base/digest.h"
#include "base/io.h"
#include "image/layer.h"
#include "model/document.h"

#define PLACE "home/mind/" CONFIG_BESIDE

/* Of a rebuild, whose package is not looked at, the layer is its origin's. */
bool config_layer_is_needed(Import *import)
{
    const Config *config = import->config;
    const PackageFile *own = import->package ? package_find(import->package, "config.json") : NULL;
    if (!import->package || !config || !config->document)
        return false;
    if (!own || own->identity.size > DOCUMENT_MAX_BYTES)
        return true;
    Event *finding = NULL;
    g_autoptr(GBytes) bytes = package_read(import->package, own, DOCUMENT_MAX_BYTES, &finding);
    event_free(finding); /* the copy finds it too */
    if (!bytes)
        return true;
    g_autofree char *digest = digest_of(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes));
    return strcmp(digest, config->digest) != 0;
}

/* While its blob is there. *there false: gc took the blob before its row was written. */
static bool row_record(Import *import, int position, const char *digest, int64_t size, bool *there,
                       GError **error)
{
    Service *service = import->service;
    ImageRepository *images = import_images(import, error);
    const LayerRow row = {.origin = (char *)CONFIG_ORIGIN,
                          .position = position,
                          .digest = (char *)digest,
                          .diff_id = (char *)digest,
                          .media_type = (char *)LAYER_MEDIA_TYPE,
                          .size = size,
                          .files = 1};
    autofd lock = layout_lock(service->images, false, error);
    if (!images || lock < 0 || !image_repository_has_blob(images, digest, size, there, error))
        return false;
    if (!*there)
        return true;
    g_autoptr(DbTransaction) transaction =
        service_transaction_of(service, import->model->id, error);
    return transaction &&
           layer_insert(service->db, import->model->id, import->job->attempt, &row, error) &&
           db_commit(service->db, error);
}

bool config_layer_add(Import *import, int position, const char *place, const char *text, bool root,
                      GError **error)
{
    g_autoptr(GBytes) layer = layer_of_text(place, text, root);
    for (bool there = false; !there;) {
        ImageRepository *images =
            service_has_room(import->service, error) ? import_images(import, error) : NULL;
        g_autofree char *digest = images ? image_repository_put(images, layer, error) : NULL;
        int64_t size = (int64_t)g_bytes_get_size(layer);
        if (!digest || !row_record(import, position, digest, size, &there, error))
            return false;
    }
    return true;
}

bool config_layer_record(Import *import, GError **error)
{
    return !config_layer_is_needed(import) ||
           config_layer_add(import, 0, PLACE, import->config->document->text, false, error);
}
