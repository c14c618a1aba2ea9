#include "image/referrers.h"

#include <string.h>

#include "base/digest.h"
#include "image/image_private.h"
#include "image/registry_private.h"
#include "image/registry_push.h"

#define PULL "pull"

static char *fallback_tag(const char *digest)
{
    return g_strdup_printf("sha256-%s", digest_hex(digest));
}

/* An index of that URL; NULL with *error unset: there is none. */
static json_t *get_index(Registry *registry, const char *url, GError **error)
{
    static const char *const HEADERS[] = {"Accept: " IMAGE_MEDIA_INDEX, NULL};
    g_auto(RegistryAnswer) answer = {0};
    const RegistryRequest request = {.part = REGISTRY_MANIFEST,
                                     .method = "GET",
                                     .url = url,
                                     .actions = PULL,
                                     .headers = HEADERS,
                                     .limit = IMAGE_MAX_JSON};
    if (!registry_request(registry, &request, &answer, error))
        return NULL;
    if (answer.status >= 400 && answer.status < 500) /* it knows no such thing */
        return NULL;
    if (answer.status != 200) {
        registry_refuse(registry, &request, &answer, error);
        return NULL;
    }
    g_autofree char *where = g_strdup_printf("%s in %s", url, registry->name);
    g_autoptr(GBytes) content = g_byte_array_free_to_bytes(g_steal_pointer(&answer.body));
    json_t *index = image_json_load(where, content, error);
    if (!index || json_is_array(json_object_get(index, "manifests")))
        return index;
    image_json_fail(error, json_object_get(index, "manifests"), "an array", "%s: manifests", where);
    json_decref(index);
    return NULL;
}

static json_t *get_fallback(Registry *registry, const char *digest, GError **error)
{
    g_autofree char *tag = fallback_tag(digest);
    g_autofree char *url = g_strdup_printf("/v2/%s/manifests/%s", registry->repository, tag);
    return get_index(registry, url, error);
}

json_t *referrers_list(Registry *registry, const char *digest, const char *artifact_type,
                       GError **error)
{
    g_autoptr(GError) failure = NULL;
    g_autofree char *url = g_strdup_printf("/v2/%s/referrers/%s", registry->repository, digest);
    json_auto_t *index = get_index(registry, url, &failure);
    if (!index && !failure)
        index = get_fallback(registry, digest, &failure);
    if (failure) {
        g_propagate_error(error, g_steal_pointer(&failure));
        return NULL;
    }
    json_t *found = json_array();
    size_t i;
    json_t *entry;
    json_array_foreach (json_object_get(index, "manifests"), i, entry) {
        const char *type = json_string_value(json_object_get(entry, "artifactType"));
        if (g_strcmp0(type, artifact_type) == 0)
            json_array_append(found, entry);
    }
    return found;
}

/* -- pushing -- */

static bool push_blob(Registry *registry, ImageSource *from, const Descriptor *blob, GError **error)
{
    bool there;
    if (!registry_has_blob(registry, blob->digest, &there, error))
        return false;
    if (there)
        return true;
    g_autoptr(BlobReader) reader = from->open(from, blob, error);
    g_autoptr(RegistryUpload) upload = reader ? registry_upload_new(registry, -1, error) : NULL;
    char chunk[16384];
    ssize_t got = upload ? 1 : -1;
    while (got > 0 && (got = reader->read(reader, chunk, sizeof(chunk), error)) > 0)
        if (!registry_upload_write(upload, chunk, (size_t)got, error))
            return false;
    return got == 0 && registry_upload_commit(upload, blob->digest, error);
}

static json_t *descriptor_of(const Artifact *artifact)
{
    json_t *descriptor = image_descriptor(artifact->manifest->media_type,
                                          artifact->manifest->digest, artifact->manifest->size);
    json_object_set_new(descriptor, "artifactType", json_string(artifact->type));
    return descriptor;
}

static bool is_listed(const json_t *manifests, const char *digest)
{
    size_t i;
    const json_t *entry;
    json_array_foreach (manifests, i, entry)
        if (g_strcmp0(json_string_value(json_object_get(entry, "digest")), digest) == 0)
            return true;
    return false;
}

/* Two that do so at once may lose one: the specification has nothing against that. */
static bool list_it(Registry *registry, const Artifact *artifact, const Descriptor *subject,
                    GError **error)
{
    g_autoptr(GError) failure = NULL;
    json_auto_t *index = get_fallback(registry, subject->digest, &failure);
    if (failure) {
        g_propagate_error(error, g_steal_pointer(&failure));
        return false;
    }
    if (!index)
        index = json_pack("{s:i, s:s, s:[]}", "schemaVersion", 2, "mediaType", IMAGE_MEDIA_INDEX,
                          "manifests");
    json_t *manifests = json_object_get(index, "manifests");
    if (is_listed(manifests, artifact->manifest->digest))
        return true;
    json_array_append_new(manifests, descriptor_of(artifact));
    g_autofree char *text = json_dumps(index, JSON_SORT_KEYS | JSON_COMPACT);
    g_autofree char *digest = digest_of(text, strlen(text));
    g_autofree char *tag = fallback_tag(subject->digest);
    g_autoptr(GBytes) content = g_bytes_new(text, strlen(text));
    return registry_put_manifest(registry, content, IMAGE_MEDIA_INDEX, digest, tag, NULL, error);
}

bool referrers_push(Registry *registry, ImageSource *from, const Artifact *artifact,
                    const Descriptor *subject, GError **error)
{
    for (guint i = 0; i < artifact->blobs->len; i++)
        if (!push_blob(registry, from, artifact->blobs->pdata[i], error))
            return false;
    bool lists = false;
    g_autoptr(GBytes) content = from->read(from, artifact->manifest, false, error);
    return content &&
           registry_put_manifest(registry, content, artifact->manifest->media_type,
                                 artifact->manifest->digest, NULL, &lists, error) &&
           (lists || list_it(registry, artifact, subject, error));
}
