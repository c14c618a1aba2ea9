#include "import/source_package.h"

#include <errno.h>
#include <string.h>

#include "base/duration.h"
#include "base/io.h"
#include "import/bucket.h"
#include "import/sources.h"
#include "object/folder.h"

#define HERE_MS 60000 /* who was seen not longer ago is there */

/* The source itself cannot be opened: it was there when the request was made. */
static Event *finding_source_gone(const ImportRequest *request, const GError *error)
{
    Event *event = event_with_kind(event_model_files_copy_failed(),
                                   error->code == ENOENT ? "gone" : "unreadable");
    event_with_text(event, "path", request->source);
    return event_with(event, "{s:i, s:s}", "errno", error->code, "error", g_strerror(error->code));
}

/* It expired, or was imported meanwhile. */
static Event *finding_upload_gone(const ImportRequest *request)
{
    Event *event = event_with_kind(event_model_files_copy_failed(), "upload_gone");
    event_with_text(event, "path", request->source);
    return event_with(event, "{s:s, s:s}", "found", "nothing", "expected", "an upload");
}

/* Another node has it: one that is away, or somebody took it from one that is there. */
static Event *finding_upload_elsewhere(const ImportRequest *request)
{
    Event *event = event_with_kind(event_model_files_copy_failed(), "upload_elsewhere");
    event_with_text(event, "path", request->source);
    if (request->upload_worker)
        event_with_text(event, "worker", request->upload_worker);
    if (!request->upload_worker || request->upload_unseen_ms < HERE_MS)
        return event;
    g_autofree char *waited = duration_text(request->upload_unseen_ms / HERE_MS * HERE_MS);
    return event_with_text(event, "waited", waited);
}

/* NULL: *error. Who asks over HTTP does not learn whether there is what may not be read. */
static PackageSource *open_folder(const PlaceOfSource *place, GError **error)
{
    const ImportRequest *request = place->request;
    PackageSource *source = folder_source_new(request->source_path, request->dereference, error);
    g_autofree char *where = source ? folder_source_place(source, error) : NULL;
    if (where && sources_allow_folder(place->settings, request, where))
        return source;
    if (where)
        io_fail(error, ENOENT, "%s", request->source);
    package_source_free(source);
    return NULL;
}

/* It was allowed when the request was made. */
static Event *finding_bucket_refused(const ImportRequest *request)
{
    Event *event = event_with_kind(event_model_files_copy_failed(), "gone");
    event_with_text(event, "path", request->source);
    return event_with(event, "{s:s}", "error", "nothing that this project may import from");
}

static bool open_bucket(const PlaceOfSource *place, Findings *findings, Findings *unsafe,
                        Package **package, GError **error)
{
    const ImportRequest *request = place->request;
    if (!sources_allow_bucket(place->settings, request)) {
        findings_add(findings, finding_bucket_refused(request));
        return true;
    }
    PackageSource *bucket = bucket_open(place->settings, request, place->progress, error);
    if (bucket)
        *package = package_open(bucket, request->source, request->child, unsafe, error);
    return *package != NULL;
}

bool source_open_package(const PlaceOfSource *place, Findings *findings, Findings *unsafe,
                         Package **package, GError **error)
{
    g_autoptr(GError) failure = NULL;
    const ImportRequest *request = place->request;
    if (import_request_is_bucket(request))
        return open_bucket(place, findings, unsafe, package, error);
    if (!request->source_path) {
        findings_add(findings, request->upload_elsewhere ? finding_upload_elsewhere(request)
                                                         : finding_upload_gone(request));
        return true;
    }
    PackageSource *source = open_folder(place, &failure);
    if (!source) {
        findings_add(findings, finding_source_gone(request, failure));
        return true;
    }
    if (import_request_upload(request))
        folder_source_set_name(source, request->source);
    *package = package_open(source, request->source, request->child, unsafe, error);
    return *package != NULL;
}
