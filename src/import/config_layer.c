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
static bool row_record(Import *import, const char *digest, int64_t size, bool *there,
                       GError **error)
{
    Service *service = import->service;
    const LayerRow row = {.origin = (char *)CONFIG_ORIGIN,
                          .digest = (char *)digest,
                          .diff_id = (char *)digest,
                          .media_type = (char *)LAYER_MEDIA_TYPE,
                          .size = size,
                          .files = 1};
    autofd lock = layout_lock(service->images, false, error);
    if (lock < 0)
        return false;
    *there = layout_has_blob(service->images, digest, size);
    if (!*there)
        return true;
    g_autoptr(DbTransaction) transaction = service_transaction(service, error);
    return transaction &&
           layer_insert(service->db, import->model->id, import->job->attempt, &row, error) &&
           db_commit(service->db, error);
}

bool config_layer_record(Import *import, GError **error)
{
    if (!config_layer_is_needed(import))
        return true;
    const char *text = import->config->document->text;
    for (bool there = false; !there;) {
        int64_t size;
        g_autofree char *digest =
            service_has_room(import->service, error)
                ? layer_write_text(import->service->images, PLACE, text, &size, error)
                : NULL;
        if (!digest || !row_record(import, digest, size, &there, error))
            return false;
    }
    return true;
}
