/* Requests that push, but for the streaming of a blob (registry_upload.c). */
#include "image/registry_push.h"

#include <string.h>

#include "image/registry_private.h"

#define ANSWER_BYTES   ((size_t)1 << 20)
#define PUSH           "pull,push"
#define CANCEL_SECONDS 2

bool registry_has_blob(Registry *registry, const char *digest, bool *there, GError **error)
{
    g_auto(RegistryAnswer) answer = {0};
    g_autofree char *url = g_strdup_printf("/v2/%s/blobs/%s", registry->repository, digest);
    const RegistryRequest request = {.part = REGISTRY_UPLOAD,
                                     .method = "HEAD",
                                     .url = url,
                                     .actions = PUSH,
                                     .limit = ANSWER_BYTES};
    if (!registry_request(registry, &request, &answer, error))
        return false;
    *there = answer.status == 200;
    return *there || answer.status == 404 || registry_refuse(registry, &request, &answer, error);
}

bool registry_mount(Registry *registry, const char *digest, const char *from_repository,
                    bool *mounted, GError **error)
{
    g_auto(RegistryAnswer) answer = {0};
    g_autofree char *from = g_uri_escape_string(from_repository, "/", FALSE);
    g_autofree char *url = g_strdup_printf("/v2/%s/blobs/uploads/?mount=%s&from=%s",
                                           registry->repository, digest, from);
    const RegistryRequest request = {.part = REGISTRY_UPLOAD,
                                     .method = "POST",
                                     .url = url,
                                     .actions = PUSH,
                                     .limit = ANSWER_BYTES};
    *mounted = false;
    if (!registry_request(registry, &request, &answer, error))
        return false;
    *mounted = answer.status == 201;
    if (answer.status == 202) { /* an upload instead, which nobody needs */
        g_autofree char *location = registry_location(registry, &answer, NULL);
        if (location)
            registry_upload_cancel(registry, location);
    }
    /* Who may not read there, or mount at all, sends it. */
    return answer.status < 400 || answer.status == 403 || answer.status == 404 ||
           answer.status == 405 || registry_refuse(registry, &request, &answer, error);
}

bool registry_put_manifest(Registry *registry, GBytes *content, const char *media_type,
                           const char *digest, const char *tag, bool *lists_subject, GError **error)
{
    g_auto(RegistryAnswer) answer = {0};
    gsize size;
    const void *body = g_bytes_get_data(content, &size);
    g_autofree char *type = g_strconcat("Content-Type: ", media_type, NULL);
    g_autofree char *url =
        g_strdup_printf("/v2/%s/manifests/%s", registry->repository, tag ? tag : digest);
    const char *const headers[] = {type, NULL};
    const RegistryRequest request = {.part = REGISTRY_UPLOAD,
                                     .method = "PUT",
                                     .url = url,
                                     .actions = PUSH,
                                     .headers = headers,
                                     .body = body,
                                     .body_size = size,
                                     .limit = ANSWER_BYTES};
    if (!registry_request(registry, &request, &answer, error))
        return false;
    if (answer.status != 201 && answer.status != 200 && answer.status != 202)
        return registry_refuse(registry, &request, &answer, error);
    if (lists_subject)
        *lists_subject = registry_answer_header(&answer, "oci-subject") != NULL;
    const char *said = registry_answer_header(&answer, "docker-content-digest");
    if (!said || strcmp(said, digest) == 0)
        return true;
    g_set_error(error, IMAGE_ERROR, IMAGE_ERROR_DAMAGED,
                "%s keeps the manifest %s as %.100s: it is not what was sent", registry->name,
                digest, said);
    return false;
}

bool registry_delete_manifest(Registry *registry, const char *digest, bool *refused, GError **error)
{
    g_auto(RegistryAnswer) answer = {0};
    g_autoptr(GError) failure = NULL;
    g_autofree char *url = g_strdup_printf("/v2/%s/manifests/%s", registry->repository, digest);
    const RegistryRequest request = {.part = REGISTRY_UPLOAD,
                                     .method = "DELETE",
                                     .url = url,
                                     .actions = "pull,delete",
                                     .limit = ANSWER_BYTES};
    bool answered = registry_request(registry, &request, &answer, &failure);
    *refused = answered ? answer.status == 403 || answer.status == 405 || answer.status == 400
                        : g_error_matches(failure, REGISTRY_ERROR, REGISTRY_ERROR_LOGIN);
    if (*refused || (answered && (answer.status < 300 || answer.status == 404)))
        return true;
    if (!answered) {
        g_propagate_error(error, g_steal_pointer(&failure));
        return false;
    }
    return registry_refuse(registry, &request, &answer, error);
}

/* -- where an upload goes on -- */

/* Another scheme, host or port is another server, which gets no login. */
static bool is_own(const Registry *registry, const char *url)
{
    gsize length = strlen(registry->root);
    return g_ascii_strncasecmp(url, registry->root, length) == 0 && url[length] == '/';
}

char *registry_location(const Registry *registry, const RegistryAnswer *answer, GError **error)
{
    const char *text = registry_answer_header(answer, "location");
    if (text && *text == '/' && text[1] != '/')
        return g_strdup(text);
    if (text && is_own(registry, text))
        return g_strdup(text + strlen(registry->root));
    g_autofree char *plain = g_strconcat("http://", registry->root + strlen("https://"), NULL);
    if (text && !registry->plain_http && g_str_has_prefix(text, plain) &&
        text[strlen(plain)] == '/')
        return g_strdup(text + strlen(plain)); /* it stands behind a proxy that speaks TLS for it */
    if (text && (g_str_has_prefix(text, "https://") ||
                 (registry->plain_http && g_str_has_prefix(text, "http://"))))
        return g_strdup(text);
    g_set_error(error, REGISTRY_ERROR, REGISTRY_ERROR_MALFORMED,
                "%s began an upload without saying where it goes on", registry->name);
    return NULL;
}

const char *registry_location_actions(const char *location)
{
    return *location == '/' ? PUSH : NULL;
}

void registry_upload_cancel(Registry *registry, const char *location)
{
    g_auto(RegistryAnswer) answer = {0};
    const char *actions = registry_location_actions(location);
    const RegistryRequest request = {.part = REGISTRY_UPLOAD,
                                     .method = "DELETE",
                                     .url = location,
                                     .limit = ANSWER_BYTES};
    bool known = actions && registry_is_authorized(registry, actions);
    Progress *progress = registry->progress;
    int timeout_seconds = registry->timeout_seconds;
    registry->progress = NULL; /* who is stopped says this much still, if it is heard at once */
    registry->timeout_seconds = MIN(timeout_seconds, CANCEL_SECONDS);
    registry_try(registry, &request, known ? registry->authorization : NULL, &answer);
    registry->progress = progress;
    registry->timeout_seconds = timeout_seconds;
}
