#include "import/source_events.h"

#include <string.h>

#include "base/duration.h"
#include "base/io.h"
#include "base/nearest.h"

#define NAMES_SHOWN  20
#define TAGS_SHOWN   10
#define SKEW_SECONDS 60 /* from here on clocks are a likely reason */

static json_t *names_json(char *const *names, guint most)
{
    json_t *array = json_array();
    for (guint i = 0; names && names[i] && i < most; i++)
        json_array_append_new(array, json_string(names[i]));
    return array;
}

/* -- what is not there, or damaged -- */

static Event *with_source(Event *event, const SourceView *view)
{
    if (view->place->registry)
        event_with_registry(event, view->place->registry, view->text);
    else
        event_with_text(event, "image", view->text);
    if (view->fault->bad_digest)
        event_with_text(event, "digest", view->fault->bad_digest);
    return event;
}

static Event *event_not_found(const SourceView *view, const char *kind, const char *which,
                              const GError *failure)
{
    Event *event = event_with_kind(event_source_image_not_found(), kind);
    event_with_text(event, "which", which);
    event_with_text(event, "error", failure->message);
    return with_source(event, view);
}

static Event *event_damaged(const SourceView *view, const GError *failure)
{
    Event *event = event_not_found(view, "damaged", "blob", failure);
    if (view->fault->bad_digest)
        event_with_text(event, "expected", view->fault->bad_digest);
    return event_with_text(event, "found", view->fault->found ? view->fault->found : "missing");
}

static Event *event_platform(const SourceView *view, const GError *failure)
{
    Event *event = event_not_found(view, "platform", "platform", failure);
    event_with_text(event, "expected", view->platform);
    return event_with_json(event, "found", names_json(view->fault->platforms, NAMES_SHOWN));
}

static const char *repository_of(const SourceView *view)
{
    return view->place->source ? view->place->source->name : view->reference->directory;
}

static Event *event_tag_missing(const SourceView *view)
{
    const char *repository = repository_of(view), *tag = view->reference->tag;
    g_auto(GStrv) tags = view->place->source->tags(view->place->source, NULL);
    Event *event = with_source(event_image_tag_not_found(repository, tag), view);
    event_with_text(event, "repository", repository);
    event_with(event, "{s:i}", "n", tags ? (int)g_strv_length(tags) : 0);
    const char *nearest = tags ? text_nearest(tag, (const char *const *)tags) : NULL;
    if (nearest)
        event_with_text(event, "nearest", nearest);
    return event_with_json(event, "tags", names_json(tags, TAGS_SHOWN));
}

static Event *event_malformed(const SourceView *view, const GError *failure)
{
    const Registry *registry = view->place->registry;
    const char *kind = registry ? "bad_answer" : "malformed";
    Event *event = event_with_kind(event_image_tag_list_failed(repository_of(view)), kind);
    if (registry)
        event_with_text(event, "host", registry_host(registry));
    event_with_text(event, "error", failure->message);
    return with_source(event, view);
}

/* A blob of the source cannot be read: no fault of the service's own files. */
static Event *event_broken(const SourceView *view, const char *error)
{
    Event *event = event_with_kind(event_source_image_share_failed(), "broken");
    event_with_text(event, "error", error);
    return with_source(event, view);
}

static Event *event_of_image_error(const SourceView *view, const GError *failure)
{
    switch ((ImageError)failure->code) {
    case IMAGE_ERROR_NO_LAYOUT:
        return event_not_found(view, "manifest", "repository", failure);
    case IMAGE_ERROR_NO_TAG:
        return event_tag_missing(view);
    case IMAGE_ERROR_NO_MANIFEST:
        return event_not_found(view, "manifest", "manifest", failure);
    case IMAGE_ERROR_NO_BLOB:
    case IMAGE_ERROR_DAMAGED:
        return event_damaged(view, failure);
    case IMAGE_ERROR_PLATFORM:
        return event_platform(view, failure);
    case IMAGE_ERROR_MALFORMED:
    case IMAGE_ERROR_UNSUPPORTED:
        return event_malformed(view, failure);
    }
    return NULL;
}

/* -- what the registry answered -- */

/* What comes from outside may hold anything. */
static void set_text(json_t *object, const char *key, const char *bytes)
{
    g_autofree char *text = bytes ? event_text(bytes) : NULL;
    if (text)
        json_object_set_new(object, key, json_string(text));
}

static json_t *http_json(const RegistryFailure *failure)
{
    json_t *http = json_object();
    set_text(http, "method", failure->method);
    set_text(http, "url", failure->url);
    if (failure->status)
        json_object_set_new(http, "status", json_integer(failure->status));
    set_text(http, "code", failure->code);
    set_text(http, "message", failure->message);
    return http;
}

static void add_peer(Event *event, const Registry *registry, const RegistryFailure *failure)
{
    json_t *peer = json_object();
    set_text(peer, "host", registry_host(registry));
    set_text(peer, "ip", failure->ip);
    if (g_strcmp0(failure->unreachable, "tls") == 0)
        set_text(peer, "tls_error", failure->reason);
    event_with_json(event, "peer", peer);
}

static void add_login(Event *event, const RegistryFailure *failure)
{
    event_with(event, "{s:s}", "credential", failure->login_origin);
    event_with_text(event, "who",
                    failure->anonymous ? "anonymous"
                    : failure->user    ? failure->user
                                       : "an identity token");
    if (failure->user)
        event_with_text(event, "user", failure->user);
    if (failure->challenge_error)
        event_with_text(event, "challenge", failure->challenge_error);
    if (failure->clock_skew_s)
        event_with(event, "{s:I}", "clock_skew_s", (json_int_t)failure->clock_skew_s);
}

Event *event_with_registry(Event *event, const Registry *registry, const char *image)
{
    const RegistryFailure *failure = registry_failure(registry);
    event_with_text(event, "image", image);
    event_with_text(event, "registry", registry_host(registry));
    if (!failure->method)
        return event;
    g_autofree char *waited = duration_text((failure->waited_ms + 999) / 1000 * 1000);
    json_t *http = http_json(failure);
    event_with(event, "{s:i, s:I, s:s}", "attempts", failure->tries, "waited_ms",
               (json_int_t)failure->waited_ms, "waited", waited);
    event_with_json(event, "http", http);
    if (failure->status)
        event_with(event, "{s:i}", "status", (int)failure->status);
    if (failure->code)
        event_with_text(event, "code", failure->code);
    if (failure->retry_at)
        event_with(event, "{s:I}", "retry_at", (json_int_t)failure->retry_at);
    add_peer(event, registry, failure);
    add_login(event, failure);
    return event;
}

static const char *tag_list_kind(const RegistryFailure *last, const GError *failure)
{
    switch ((RegistryErrorCode)failure->code) {
    case REGISTRY_ERROR_DENIED:
        return "denied";
    case REGISTRY_ERROR_SERVER:
        return "server_error";
    case REGISTRY_ERROR_UNREACHABLE:
        return last->unreachable;
    default:
        return "bad_answer";
    }
}

/* 9 */
static Event *event_unreachable(const Registry *registry, const char *repository, const char *image,
                                const GError *failure)
{
    const RegistryFailure *last = registry_failure(registry);
    Event *event =
        event_with_kind(event_image_tag_list_failed(repository), tag_list_kind(last, failure));
    event_with_text(event, "error",
                    last->reason && !last->status ? last->reason : failure->message);
    event_with_text(event, "host", registry_host(registry));
    return event_with_registry(event, registry, image);
}

static const char *login_kind(const RegistryFailure *last, const GError *failure)
{
    if (failure->code == REGISTRY_ERROR_DENIED)
        return "denied";
    if (last->anonymous)
        return "anonymous";
    return ABS(last->clock_skew_s) >= SKEW_SECONDS ? "clock" : "denied";
}

/* 18 */
static Event *event_login(const Registry *registry, const char *image, const GError *failure)
{
    const RegistryFailure *last = registry_failure(registry);
    Event *event = event_with_kind(event_source_image_token_expired(), login_kind(last, failure));
    event_with_text(event, "error",
                    last->challenge_error ? last->challenge_error
                    : last->message       ? last->message
                                          : failure->message);
    return event_with_registry(event, registry, image);
}

/* 19 */
static Event *event_repository(const Registry *registry, const char *image, const GError *failure)
{
    Event *event = event_with_kind(event_source_image_not_found(), "manifest");
    event_with(event, "{s:s}", "which", "repository");
    event_with_text(event, "error", failure->message);
    return event_with_registry(event, registry, image);
}

Event *registry_event(const Registry *registry, const char *repository, const char *image,
                      const GError *failure)
{
    const RegistryPart part = registry_failure(registry)->part;
    if (failure->domain != REGISTRY_ERROR)
        return NULL;
    switch ((RegistryErrorCode)failure->code) {
    case REGISTRY_ERROR_LOGIN:
        return event_login(registry, image, failure);
    case REGISTRY_ERROR_DENIED:
        return part == REGISTRY_TAGS ? event_unreachable(registry, repository, image, failure)
                                     : event_login(registry, image, failure);
    case REGISTRY_ERROR_NOT_FOUND:
        return event_repository(registry, image, failure);
    case REGISTRY_ERROR_THROTTLED:
        return event_with_registry(event_registry_throttled(), registry, image);
    case REGISTRY_ERROR_SERVER:
    case REGISTRY_ERROR_UNREACHABLE:
    case REGISTRY_ERROR_MALFORMED:
    case REGISTRY_ERROR_UPLOAD_LOST:
    case REGISTRY_ERROR_UPLOAD_BEHIND:
        if (part == REGISTRY_BLOB)
            break;
        return event_unreachable(registry, repository, image, failure);
    }
    Event *event = event_with_kind(event_source_image_share_failed(), "broken");
    event_with_text(event, "error", failure->message);
    return event_with_registry(event, registry, image);
}

Event *source_event(const SourceView *view, const GError *failure)
{
    if (failure->domain == IMAGE_ERROR)
        return event_of_image_error(view, failure);
    if (failure->domain == IO_ERROR && view->fault->bad_digest)
        return event_broken(view, g_strerror(failure->code));
    if (failure->domain != REGISTRY_ERROR)
        return NULL;
    return registry_event(view->place->registry, repository_of(view), view->text, failure);
}
