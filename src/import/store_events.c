#include "import/store_events.h"

#include <string.h>

#include "import/source_events.h"

/* Registries have no status for it: Harbor says 412 or 403, GitLab 403, others 413 or 507. */
static bool is_quota(const RegistryFailure *last)
{
    g_autofree char *said =
        g_strdup_printf("%s %s", last->code ? last->code : "", last->message ? last->message : "");
    g_autofree char *lower = g_ascii_strdown(said, -1);
    return last->status == 413 || last->status == 507 ||
           (last->status >= 400 && last->status < 500 && strstr(lower, "quota"));
}

static const char *push_kind(const RegistryFailure *last, RegistryErrorCode code)
{
    if (is_quota(last))
        return "push_quota";
    switch (code) {
    case REGISTRY_ERROR_LOGIN:
    case REGISTRY_ERROR_DENIED:
    case REGISTRY_ERROR_NOT_FOUND:
        return "push_denied";
    default:
        return "push_broken";
    }
}

/* What stands behind the host; of a store without a namespace the repository's first part. */
static char *namespace_of(const Service *service, const Registry *registry)
{
    const char *slash = strchr(image_store_place(service->store), '/');
    const char *repository = registry_repository(registry);
    return slash ? g_strdup(slash + 1) : g_strndup(repository, strcspn(repository, "/"));
}

/* The login's files are not what they should be: nobody was asked. */
static Event *event_login_unread(const Service *service, const GError *failure)
{
    Event *event = event_with_kind(event_image_build_failed(), "login_unread");
    event_with_text(event, "error", failure->message);
    return event_with_text(event, "registry", image_store_place(service->store));
}

Event *store_event(const Service *service, const GError *failure)
{
    bool asked = failure->domain == REGISTRY_ERROR,
         unread = failure->domain == REGISTRY_LOGIN_ERROR;
    if ((!asked && !unread) || !image_store_is_registry(service->store))
        return NULL;
    if (unread)
        return event_login_unread(service, failure);
    const Registry *registry = image_store_failed(service->store);
    if (!registry)
        return NULL;
    const RegistryFailure *last = registry_failure(registry);
    bool throttled = failure->code == REGISTRY_ERROR_THROTTLED;
    Event *event = throttled ? event_with_kind(event_image_build_throttled(), "registry_429")
                             : event_with_kind(event_image_build_failed(),
                                               push_kind(last, (RegistryErrorCode)failure->code));
    g_autofree char *namespace = namespace_of(service, registry);
    g_autofree char *image =
        g_strdup_printf("%s/%s", registry_host(registry), registry_repository(registry));
    event_with_text(event, "repository", registry_repository(registry));
    event_with_text(event, "namespace", namespace);
    event_with_text(event, "body", last->message ? last->message : failure->message);
    event_with_text(event, "error",
                    last->reason && !last->status ? last->reason : failure->message);
    return event_with_registry(event, registry, image);
}
