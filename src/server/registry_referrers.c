/* GET /v2/NAME/referrers/DIGEST: the manifests whose subject that is (distribution-spec, "Listing
 * referrers"), as an image index. */
#include <string.h>

#include "image/image_json.h"
#include "server/registry.h"

#define MOST_REFERRERS 500

static json_t *descriptor_of(const PushedManifest *manifest)
{
    json_t *descriptor = json_pack("{s:s, s:s, s:I}", "mediaType", manifest->media_type, "digest",
                                   manifest->digest, "size", (json_int_t)manifest->size);
    json_t *annotations = manifest->annotations ? json_loads(manifest->annotations, 0, NULL) : NULL;
    if (manifest->artifact_type)
        json_object_set_new(descriptor, "artifactType", json_string(manifest->artifact_type));
    if (annotations)
        json_object_set_new(descriptor, "annotations", annotations);
    return descriptor;
}

/* One more than the page was asked for: so it is known whether there is a next one. */
static HttpReply referrers_reply(const HttpRequest *request, const GPtrArray *referrers,
                                 int64_t count)
{
    json_t *manifests = json_array();
    const guint shown = MIN(referrers->len, (guint)count);
    for (guint i = 0; i < shown; i++)
        json_array_append_new(manifests, descriptor_of(referrers->pdata[i]));
    HttpReply reply = registry_json(MHD_HTTP_OK, IMAGE_MEDIA_INDEX,
                                    json_pack("{s:i, s:s, s:o}", "schemaVersion", 2, "mediaType",
                                              IMAGE_MEDIA_INDEX, "manifests", manifests));
    if (shown && shown < referrers->len)
        registry_set_next(&reply, request, count,
                          ((PushedManifest *)referrers->pdata[shown - 1])->digest);
    if (http_query(request, "artifactType"))
        http_set_header(&reply, "OCI-Filters-Applied", "artifactType");
    return reply;
}

HttpReply registry_referrers(HttpRequest *request)
{
    HttpReply reply;
    int64_t count;
    g_autoptr(GError) error = NULL;
    const char *digest = request->arguments[1];
    if (!digest_is_valid(digest))
        return registry_no_digest("the digest", digest);
    if (!registry_page(request, MOST_REFERRERS, &count, &reply))
        return reply;
    Service *service = api_service(request, &reply);
    g_autoptr(Repository) repository =
        service ? registry_find_repository(request, service, &reply) : NULL;
    if (!repository)
        return reply;
    g_autoptr(GPtrArray) referrers =
        repository_referrers(service->db, repository, digest, http_query(request, "artifactType"),
                             http_query(request, "last"), count + 1, &error);
    return referrers ? referrers_reply(request, referrers, count) : registry_failed(error);
}
