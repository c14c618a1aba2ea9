#include "image/blob_sink.h"

#include "image/registry_private.h"
#include "image/registry_push.h"

void blob_sink_free(BlobSink *sink)
{
    if (sink)
        sink->free(sink);
}

bool blob_sink_again(BlobSink *sink, GError **error)
{
    return sink->again && sink->again(sink, error);
}

/* -- a layout -- */

typedef struct {
    BlobSink sink;
    BlobWriter *writer; /* NULL once it is committed */
} LayoutSink;

static bool layout_sink_write(BlobSink *sink, const void *data, size_t size, GError **error)
{
    return blob_writer_write(((LayoutSink *)sink)->writer, data, size, error);
}

static bool layout_sink_commit(BlobSink *sink, const char *digest, bool *existed, GError **error)
{
    return blob_writer_commit(g_steal_pointer(&((LayoutSink *)sink)->writer), digest, existed,
                              error);
}

static void layout_sink_free(BlobSink *sink)
{
    blob_writer_abort(((LayoutSink *)sink)->writer);
    g_free(sink);
}

BlobSink *layout_sink(Layout *layout, GError **error)
{
    BlobWriter *writer = layout_begin_blob(layout, error);
    if (!writer)
        return NULL;
    LayoutSink *sink = g_new0(LayoutSink, 1);
    sink->sink = (BlobSink){layout_sink_write, layout_sink_commit, NULL, layout_sink_free};
    sink->writer = writer;
    return &sink->sink;
}

/* -- a registry -- */

typedef struct {
    BlobSink sink;
    Registry *registry;
    RegistryUpload *upload;
    int64_t size, at; /* at: the byte of the blob that comes next */
    int lost;         /* uploads that the registry forgot */
} RegistrySink;

/* Of bytes that come once more the registry gets those that it lacks. */
static bool registry_sink_write(BlobSink *sink, const void *data, size_t size, GError **error)
{
    RegistrySink *to = (RegistrySink *)sink;
    int64_t skip = CLAMP(registry_upload_offset(to->upload) - to->at, 0, (int64_t)size);
    to->at += (int64_t)size;
    return skip == (int64_t)size ||
           registry_upload_write(to->upload, (const char *)data + skip, size - (size_t)skip, error);
}

static bool registry_sink_commit(BlobSink *sink, const char *digest, bool *existed, GError **error)
{
    RegistrySink *to = (RegistrySink *)sink;
    g_autoptr(GError) failure = NULL;
    *existed = false; /* registries do not say */
    if (registry_upload_commit(to->upload, digest, &failure))
        return true;
    /* It may be there all the same: what broke was the answer. */
    bool lost = g_error_matches(failure, REGISTRY_ERROR, REGISTRY_ERROR_UPLOAD_LOST);
    if (lost && !registry_has_blob(to->registry, digest, existed, error))
        return false;
    if (!*existed)
        g_propagate_error(error, g_steal_pointer(&failure));
    return *existed;
}

static bool registry_sink_again(BlobSink *sink, GError **error)
{
    RegistrySink *to = (RegistrySink *)sink;
    bool torn = g_error_matches(*error, REGISTRY_ERROR, REGISTRY_ERROR_UPLOAD_TORN);
    bool lost = g_error_matches(*error, REGISTRY_ERROR, REGISTRY_ERROR_UPLOAD_LOST) &&
                to->lost++ < to->registry->retries;
    if (!torn && !lost)
        return false;
    g_clear_error(error);
    to->at = 0;
    if (torn)
        return true;
    registry_upload_free(to->upload);
    to->upload = registry_upload_new(to->registry, to->size, error);
    return to->upload != NULL;
}

static void registry_sink_free(BlobSink *sink)
{
    registry_upload_free(((RegistrySink *)sink)->upload);
    g_free(sink);
}

BlobSink *registry_sink(Registry *registry, int64_t size, GError **error)
{
    RegistryUpload *upload = registry_upload_new(registry, size, error);
    if (!upload)
        return NULL;
    RegistrySink *sink = g_new0(RegistrySink, 1);
    sink->sink = (BlobSink){registry_sink_write, registry_sink_commit, registry_sink_again,
                            registry_sink_free};
    sink->registry = registry;
    sink->upload = upload;
    sink->size = size;
    return &sink->sink;
}
