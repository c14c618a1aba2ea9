#include <gio/gio.h>

#include "base/io.h"
#include "image/blob_pipe.h"
#include "image/layer.h"
#include "image/tar.h"

#define REPORTS_WHOLE 256 /* of more files a report has only what it needs to be told */

/* What all files of a layer share while it is written. Of the last two, whichever says why it
 * failed is set. */
typedef struct {
    const LayerPlan *plan;
    Package *package;
    Progress *progress;
    BlobPipe *pipe;
    bool own_digests;
    bool raw;        /* a file's content alone, which is no layer */
    int64_t copied;  /* bytes of content */
    json_t *reports; /* of the files so far */
    Event **finding;
    GError **error;
} LayerWrite;

static bool append_zeros(LayerWrite *write, size_t size)
{
    static const unsigned char ZEROS[2 * TAR_BLOCK];
    return blob_pipe_append(write->pipe, ZEROS, size, write->error);
}

/* Fewer or more bytes than were listed. The reader knows best what happened; where it saw nothing,
 * the layer fails all the same. */
static bool fail_changed(LayerWrite *write, const PackageFile *file, PackageReader *reader)
{
    if (reader->end(reader, write->finding))
        io_fail(write->error, ESTALE, "%s is not %" G_GINT64_FORMAT " bytes long any more",
                file->path, file->identity.size);
    return false;
}

static bool copy_content(LayerWrite *write, const PackageFile *file, PackageReader *reader,
                         Scan *scan)
{
    bool looking = true;
    int64_t left = file->identity.size;
    while (left > 0) {
        if (progress_stopped(write->progress)) {
            g_set_error(write->error, G_IO_ERROR, G_IO_ERROR_CANCELLED, "stopped while packing %s",
                        file->path);
            return false;
        }
        size_t room;
        void *to = blob_pipe_room(write->pipe, &room);
        ssize_t got = reader->read(reader, to, MIN(room, (uint64_t)left), write->finding);
        if (got < 0 && !*write->finding) /* nothing is wrong with the file */
            g_set_error(write->error, G_IO_ERROR, G_IO_ERROR_CANCELLED, "stopped while reading %s",
                        file->path);
        if (got < 0)
            return false;
        if (got == 0)
            return fail_changed(write, file, reader);
        looking = looking && scan_feed(scan, to, (size_t)got);
        if (!blob_pipe_advance(write->pipe, (size_t)got, write->error))
            return false;
        progress_add(write->progress, got);
        write->copied += got;
        left -= got;
    }
    char surplus;
    ssize_t got = reader->read(reader, &surplus, 1, write->finding);
    if (got > 0)
        return fail_changed(write, file, reader);
    return got == 0 && reader->end(reader, write->finding);
}

/* No file that there is something to tell of is left out, however many there are. Takes the report
 * over; NULL: there is none. */
static void keep_report(LayerWrite *write, const PackageFile *file, json_t *report)
{
    if (report && !scan_report_is_quiet(report)) {
        if (json_array_size(write->reports) >= REPORTS_WHOLE)
            scan_report_shorten(report);
        json_object_set_new(report, "path", json_string(file->path));
        json_array_append(write->reports, report);
    }
    json_decref(report);
}

static bool write_content(LayerWrite *write, const PackageFile *file)
{
    PackageSource *source = write->package->source;
    PackageReader *reader = source->open(source, write->package->child, file, write->finding);
    if (!reader)
        return false;
    progress_file(write->progress, file->path);
    if (write->own_digests)
        blob_pipe_begin_file(write->pipe);
    g_autoptr(Scan) scan = scan_new(file->path, file->identity.size);
    bool copied = copy_content(write, file, reader, scan);
    reader->free(reader);
    if (!copied)
        return false;
    keep_report(write, file, scan_end(scan));
    if (write->own_digests)
        blob_pipe_end_file(write->pipe);
    return write->raw || append_zeros(write, tar_padding(file->identity.size));
}

static bool write_entries(LayerWrite *write)
{
    g_autoptr(GByteArray) headers = g_byte_array_new();
    if (write->raw)
        return write_content(write, write->plan->files->pdata[0]);
    for (guint i = 0; i < write->plan->files->len; i++) {
        g_byte_array_set_size(headers, 0);
        layer_plan_headers(write->plan, i, headers);
        if (!blob_pipe_append(write->pipe, headers->data, headers->len, write->error) ||
            !write_content(write, write->plan->files->pdata[i]))
            return false;
    }
    return append_zeros(write, 2 * TAR_BLOCK);
}

/* One pass over the package. */
static Layer *write_layer(LayerWrite *write, BlobSink *sink)
{
    g_autoptr(BlobPipe) pipe = blob_pipe_new(sink, write->error);
    write->pipe = pipe;
    if (!pipe || !write_entries(write))
        return NULL;
    g_autoptr(Layer) layer = g_new0(Layer, 1);
    layer->digest = blob_pipe_finish(pipe, write->error);
    if (!layer->digest)
        return NULL;
    layer->size = blob_pipe_size(pipe);
    layer->digests = blob_pipe_take_file_digests(pipe);
    layer->reports = json_incref(write->reports);
    if (!write->own_digests)
        g_ptr_array_add(layer->digests, NULL);
    return blob_pipe_commit(pipe, &layer->existed, write->error) ? g_steal_pointer(&layer) : NULL;
}

static Layer *write_plan(const LayerPlan *plan, bool raw, Package *package, BlobSink *sink,
                         Progress *progress, Event **finding, GError **error)
{
    for (;;) {
        GError *failure = NULL;
        json_auto_t *reports = json_array();
        LayerWrite write = {.plan = plan,
                            .reports = reports,
                            .package = package,
                            .progress = progress,
                            .own_digests = !raw && !layer_plan_is_single(plan),
                            .raw = raw,
                            .finding = finding,
                            .error = &failure};
        Layer *layer = write_layer(&write, sink);
        if (layer)
            return layer;
        progress_add(progress, -write.copied);
        if (failure && blob_sink_again(sink, &failure))
            continue;
        if (failure)
            g_propagate_error(error, failure);
        return NULL;
    }
}

Layer *layer_write(const LayerPlan *plan, Package *package, BlobSink *sink, Progress *progress,
                   Event **finding, GError **error)
{
    return write_plan(plan, false, package, sink, progress, finding, error);
}

Layer *layer_write_raw(const PackageFile *file, Package *package, BlobSink *sink,
                       Progress *progress, Event **finding, GError **error)
{
    g_autoptr(GPtrArray) files = g_ptr_array_new();
    g_ptr_array_add(files, (gpointer)file);
    const LayerPlan plan = {files, file->identity.size};
    return write_plan(&plan, true, package, sink, progress, finding, error);
}
