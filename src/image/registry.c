/* Tags and manifests of a repository, and the repository as a source. */
#include "image/registry.h"

#include <string.h>

#include "base/digest.h"
#include "base/error_domain.h"
#include "image/image_json.h"
#include "image/registry_private.h"
#include "image/registry_push.h"

#define TAGS_PAGE      1000
#define TAGS_BYTES     ((size_t)4 << 20) /* of one page */
#define TAGS_PAGES     200
#define PULL           "pull"
/* docker.io is a name; its registry has another one. */
#define DOCKER_IO      "docker.io"
#define DOCKER_IO_HOST "registry-1.docker.io"

DEFINE_ERROR_DOMAIN(registry_error);

static const char *const MANIFEST_ACCEPT[] = {"Accept: " IMAGE_MEDIA_INDEX ", " IMAGE_MEDIA_MANIFEST
                                              ", " IMAGE_MEDIA_DOCKER_LIST
                                              ", " IMAGE_MEDIA_DOCKER_MANIFEST,
                                              NULL};

/* -- tags -- */

static gint compare_texts(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool fail_malformed(Registry *registry, GError **error, const char *what)
{
    g_set_error(error, REGISTRY_ERROR, REGISTRY_ERROR_MALFORMED, "%s: %s", registry->name, what);
    return false;
}

const char *registry_tags_read(const void *data, size_t size, GPtrArray *tags)
{
    json_auto_t *root = json_loadb(data, size, 0, NULL);
    const json_t *list = json_object_get(root, "tags");
    if (!json_is_object(root) || (list && !json_is_array(list) && !json_is_null(list)))
        return "its tag list is no JSON with \"tags\"";
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *tag = json_string_value(json_array_get(list, i));
        if (!tag)
            return "its tag list names a tag that is no text";
        g_ptr_array_add(tags, g_strdup(tag));
    }
    return NULL;
}

char *registry_tags_next(const char *link, const char *root, const char **fault)
{
    const char *begin = link ? strchr(link, '<') : NULL, *end = begin ? strchr(begin, '>') : NULL;
    if (!end || !strstr(end, "next"))
        return NULL;
    g_autofree char *target = g_strndup(begin + 1, (gsize)(end - begin - 1));
    const char *path = target + (g_str_has_prefix(target, root) ? strlen(root) : 0);
    if (g_str_has_prefix(path, "/v2/"))
        return g_strdup(path);
    *fault = "its tag list goes on at another place than /v2/";
    return NULL;
}

/* All of them, or until `wanted` (may be NULL) is among them. */
static bool read_tags(Registry *registry, const char *wanted, GPtrArray *tags, bool *found,
                      GError **error)
{
    const char *fault = NULL;
    g_autofree char *url =
        g_strdup_printf("/v2/%s/tags/list?n=%d", registry->repository, TAGS_PAGE);
    *found = false;
    for (int page = 0; url && !*found; page++) {
        g_auto(RegistryAnswer) answer = {0};
        const RegistryRequest request = {.part = REGISTRY_TAGS,
                                         .method = "GET",
                                         .url = url,
                                         .actions = PULL,
                                         .limit = TAGS_BYTES};
        guint before = tags->len;
        if (page == TAGS_PAGES || tags->len > TAGS_PAGES * TAGS_PAGE)
            return fail_malformed(registry, error, "its tag list does not end");
        if (!registry_request(registry, &request, &answer, error))
            return false;
        if (answer.status != 200)
            return registry_refuse(registry, &request, &answer, error);
        fault = registry_tags_read(answer.body->data, answer.body->len, tags);
        for (guint i = before; wanted && i < tags->len; i++)
            *found = *found || strcmp(tags->pdata[i], wanted) == 0;
        registry_note(registry, &request, NULL, &answer, CURLE_OK); /* it may be the last one */
        g_free(url);
        url = NULL;
        if (!fault && tags->len > before)
            url =
                registry_tags_next(registry_answer_header(&answer, "link"), registry->root, &fault);
        if (fault)
            return fail_malformed(registry, error, fault);
    }
    return true;
}

static char **source_tags(ImageSource *source, GError **error)
{
    bool found;
    g_autoptr(GPtrArray) tags = g_ptr_array_new_with_free_func(g_free);
    if (!read_tags(registry_of(source), NULL, tags, &found, error))
        return NULL;
    g_ptr_array_sort(tags, compare_texts);
    g_ptr_array_set_free_func(tags, NULL);
    g_ptr_array_add(tags, NULL);
    return (char **)g_ptr_array_free(g_steal_pointer(&tags), FALSE);
}

/* -- documents -- */

static void keep_manifest(Registry *registry, GBytes *content, const char *digest)
{
    g_clear_pointer(&registry->manifest, g_bytes_unref);
    g_free(registry->manifest_digest);
    registry->manifest = g_bytes_ref(content);
    registry->manifest_digest = g_strdup(digest);
}

static GBytes *fail_damaged(Registry *registry, const char *digest, const char *found,
                            GError **error)
{
    g_free(registry->rehashed);
    registry->rehashed = g_strdup(found);
    g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_DAMAGED,
                "blob %s in %s is damaged: its bytes hash to %s", digest, registry->name, found);
    return NULL;
}

/* A document; `missing` when there is none. media_type (may be NULL): what the registry calls
 * it. */
static GBytes *get_document(Registry *registry, RegistryPart part, const char *kind,
                            const char *name, ImageError missing, char **media_type, GError **error)
{
    g_auto(RegistryAnswer) answer = {0};
    g_autofree char *url = g_strdup_printf("/v2/%s/%s/%s", registry->repository, kind, name);
    const RegistryRequest request = {.part = part,
                                     .method = "GET",
                                     .url = url,
                                     .actions = PULL,
                                     .headers = part == REGISTRY_MANIFEST ? MANIFEST_ACCEPT : NULL,
                                     .limit = IMAGE_MAX_JSON};
    if (!registry_request(registry, &request, &answer, error))
        return NULL;
    if (answer.status == 404) {
        registry_refuse(registry, &request, &answer, NULL);
        g_set_error(error, IMAGE_ERROR, missing, "%s has no %s", registry->name, name);
        return NULL;
    }
    if (answer.status != 200) {
        registry_refuse(registry, &request, &answer, error);
        return NULL;
    }
    if (media_type) {
        const char *type = registry_answer_header(&answer, "content-type");
        *media_type = g_strstrip(g_strndup(type ? type : "", type ? strcspn(type, ";") : 0));
    }
    return g_byte_array_free_to_bytes(g_steal_pointer(&answer.body));
}

static char *digest_of_bytes(GBytes *content)
{
    gsize size;
    const void *data = g_bytes_get_data(content, &size);
    return digest_of(data, size);
}

static GBytes *source_read(ImageSource *source, const Descriptor *descriptor, bool is_blob,
                           GError **error)
{
    Registry *registry = registry_of(source);
    if (!is_blob && g_strcmp0(registry->manifest_digest, descriptor->digest) == 0)
        return g_bytes_ref(registry->manifest);
    g_autoptr(GBytes) content =
        is_blob ? get_document(registry, REGISTRY_BLOB, "blobs", descriptor->digest,
                               IMAGE_ERROR_NO_BLOB, NULL, error)
                : get_document(registry, REGISTRY_MANIFEST, "manifests", descriptor->digest,
                               IMAGE_ERROR_NO_BLOB, NULL, error);
    if (!content)
        return NULL;
    g_autofree char *found = digest_of_bytes(content);
    if (strcmp(found, descriptor->digest) != 0)
        return fail_damaged(registry, descriptor->digest, found, error);
    return g_steal_pointer(&content);
}

static char *source_rehash(ImageSource *source, const Descriptor *descriptor)
{
    return g_strdup(registry_of(source)->rehashed);
}

/* The manifest's own word counts where the registry has none to say. */
static char *media_type_of(Registry *registry, GBytes *content, const char *said, GError **error)
{
    if (g_str_has_prefix(said, "application/vnd."))
        return g_strdup(said);
    g_autofree char *where = g_strdup_printf("the manifest of %s", registry->name);
    json_auto_t *document = image_json_load(where, content, error);
    const char *own = document ? image_json_string(document, "mediaType", where, error) : NULL;
    return g_strdup(own);
}

/* A registry may forbid the list of tags to those who may pull: then the manifest decides.
 * *listed false: it was not to be had. */
static bool look_for_tag(Registry *registry, const char *tag, bool *listed, GError **error)
{
    bool found;
    g_autoptr(GError) failure = NULL;
    g_autoptr(GPtrArray) tags = g_ptr_array_new_with_free_func(g_free);
    *listed = read_tags(registry, tag, tags, &found, &failure);
    if (*listed && !found) {
        g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_NO_TAG, "%s has no tag %s", registry->name,
                    tag);
        return false;
    }
    if (*listed || g_error_matches(failure, REGISTRY_ERROR, REGISTRY_ERROR_LOGIN) ||
        g_error_matches(failure, REGISTRY_ERROR, REGISTRY_ERROR_DENIED))
        return true;
    g_propagate_error(error, g_steal_pointer(&failure));
    return false;
}

static json_t *source_resolve(ImageSource *source, const char *tag, const char *digest,
                              GError **error)
{
    Registry *registry = registry_of(source);
    bool listed = true;
    if (tag && !look_for_tag(registry, tag, &listed, error))
        return NULL;
    g_autofree char *said = NULL;
    g_autoptr(GBytes) content =
        get_document(registry, REGISTRY_MANIFEST, "manifests", tag ? tag : digest,
                     IMAGE_ERROR_NO_MANIFEST, &said, error);
    if (!content) {
        if (!listed) /* what forbade the list is what is said */
            registry->failure.part = REGISTRY_TAGS;
        return NULL;
    }
    g_autofree char *found = digest_of_bytes(content);
    if (digest && strcmp(found, digest) != 0) {
        fail_damaged(registry, digest, found, error);
        return NULL;
    }
    g_autofree char *media_type = media_type_of(registry, content, said, error);
    if (!media_type)
        return NULL;
    keep_manifest(registry, content, found);
    return json_pack("{s:s, s:s, s:I}", "mediaType", media_type, "digest", found, "size",
                     (json_int_t)g_bytes_get_size(content));
}

/* -- opening -- */

static void set_place(Registry *registry, const Reference *reference)
{
    bool docker = strcmp(reference->host, DOCKER_IO) == 0;
    registry->host = g_strdup(reference->host);
    registry->repository = docker && !strchr(reference->repository, '/')
                               ? g_strconcat("library/", reference->repository, NULL)
                               : g_strdup(reference->repository);
    registry->name = g_strdup_printf("%s/%s", registry->host, registry->repository);
    registry->plain_http = reference->plain_http;
    registry->root = g_strdup_printf("%s://%s", reference->plain_http ? "http" : "https",
                                     docker ? DOCKER_IO_HOST : reference->host);
}

static bool set_up(Registry *registry, GError **error)
{
    registry->source = (ImageSource){.name = registry->name,
                                     .tags = source_tags,
                                     .resolve = source_resolve,
                                     .read = source_read,
                                     .rehash = source_rehash,
                                     .open = registry_open_blob};
    curl_global_init(CURL_GLOBAL_DEFAULT);
    registry->curl = curl_easy_init();
    if (!registry->curl)
        g_set_error(error, REGISTRY_ERROR, REGISTRY_ERROR_UNREACHABLE, "libcurl cannot be used");
    return registry->curl != NULL;
}

Registry *registry_open(const Settings *settings, const Reference *reference, RegistryLogin *login,
                        Progress *progress, GError **error)
{
    g_autoptr(Registry) registry = g_new0(Registry, 1);
    set_place(registry, reference);
    registry->login = login;
    registry->progress = progress;
    registry->retries = (int)settings_int(settings, "registry.retries");
    registry->timeout_seconds = (int)settings_int(settings, "registry.timeout_seconds");
    registry->ca_file = g_strdup(settings_text(settings, "registry.ca_file"));
    registry->token_hosts = g_strdup(settings_text(settings, "registry.token_hosts"));
    return set_up(registry, error) ? g_steal_pointer(&registry) : NULL;
}

Registry *registry_clone(const Registry *from, GError **error)
{
    g_autoptr(Registry) registry = g_new0(Registry, 1);
    registry->host = g_strdup(from->host);
    registry->repository = g_strdup(from->repository);
    registry->name = g_strdup(from->name);
    registry->root = g_strdup(from->root);
    registry->plain_http = from->plain_http;
    registry->ours = from->ours;
    registry->login = registry_login_copy(from->login);
    registry->progress = from->progress;
    registry->retries = from->retries;
    registry->timeout_seconds = from->timeout_seconds;
    registry->ca_file = g_strdup(from->ca_file);
    registry->token_hosts = g_strdup(from->token_hosts);
    registry->authorization = g_strdup(from->authorization);
    registry->actions = g_strdup(from->actions);
    registry->expires = from->expires;
    return set_up(registry, error) ? g_steal_pointer(&registry) : NULL;
}

void registry_free(Registry *registry)
{
    if (!registry)
        return;
    if (registry->curl)
        curl_easy_cleanup(registry->curl);
    registry_failure_clear(&registry->failure);
    registry_login_free(registry->login);
    if (registry->authorization)
        explicit_bzero(registry->authorization, strlen(registry->authorization));
    g_free(registry->authorization);
    g_free(registry->actions);
    g_free(registry->host);
    g_free(registry->repository);
    g_free(registry->name);
    g_free(registry->root);
    g_free(registry->ca_file);
    g_free(registry->token_hosts);
    g_clear_pointer(&registry->manifest, g_bytes_unref);
    g_free(registry->manifest_digest);
    g_free(registry->rehashed);
    g_free(registry);
}

ImageSource *registry_source(Registry *registry)
{
    return &registry->source;
}

const char *registry_host(const Registry *registry)
{
    return registry->host;
}

const char *registry_repository(const Registry *registry)
{
    return registry->repository;
}

const RegistryFailure *registry_failure(const Registry *registry)
{
    return &registry->failure;
}
