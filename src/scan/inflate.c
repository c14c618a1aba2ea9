/* gzip, zlib, and what lies in zip archives. GLib's converter is fed, so that nothing waits for
 * bytes. */
#include <gio/gio.h>

#include "scan/part.h"

#define OUT_SIZE 32768

typedef struct {
    ScanPart base;
    ScanPlace place; /* of what comes out */
    InflateKind kind;
    GConverter *converter;
    ScanPart *inner; /* NULL: it wants no more */
    bool to_its_end, ended, failed;
    size_t used;
} Inflate;

static bool inflate_stops(Inflate *inflate, const char *why)
{
    inflate->failed = true;
    /* Of bytes that only look like it nothing is told. */
    if (why)
        report_unread(inflate->place.context->report, why, inflate->place.member);
    return false;
}

/* What one call gave. False: it ends here. */
static bool take_out(Inflate *inflate, const uint8_t *out, gsize size)
{
    ScanContext *context = inflate->place.context;
    context->inflated += (int64_t)size;
    if (context->inflated > SCAN_MAX_INFLATED)
        return inflate_stops(inflate, "more than 1 GiB comes out of what is compressed");
    if (inflate->inner && size > 0 && !inflate->inner->feed(inflate->inner, out, size)) {
        inflate->inner->end(inflate->inner);
        g_clear_pointer(&inflate->inner, scan_part_free);
    }
    return inflate->inner || inflate->to_its_end;
}

/* gzip may hold several streams, which are read as one. */
static bool stream_ended(Inflate *inflate)
{
    if (inflate->kind != INFLATE_GZIP) {
        inflate->ended = true;
        return false;
    }
    g_converter_reset(inflate->converter);
    return true;
}

static bool inflate_feed(ScanPart *part, const uint8_t *data, size_t size)
{
    Inflate *inflate = (Inflate *)part;
    uint8_t out[OUT_SIZE];
    inflate->used = 0;
    while (inflate->used < size) {
        gsize read = 0, written = 0;
        g_autoptr(GError) failure = NULL;
        GConverterResult result =
            g_converter_convert(inflate->converter, data + inflate->used, size - inflate->used, out,
                                sizeof out, G_CONVERTER_NO_FLAGS, &read, &written, &failure);
        if (g_error_matches(failure, G_IO_ERROR, G_IO_ERROR_PARTIAL_INPUT))
            return true;
        if (result == G_CONVERTER_ERROR)
            return inflate_stops(inflate, NULL);
        inflate->used += read;
        if (!take_out(inflate, out, written))
            return false;
        if (result == G_CONVERTER_FINISHED && !stream_ended(inflate))
            return false;
    }
    return true;
}

/* What the window holds back comes with the last call: a converter that has taken all input may
 * still have output. */
static void drain(Inflate *inflate)
{
    uint8_t out[OUT_SIZE];
    for (;;) {
        gsize read = 0, written = 0;
        g_autoptr(GError) failure = NULL;
        GConverterResult result =
            g_converter_convert(inflate->converter, out, 0, out, sizeof out,
                                G_CONVERTER_INPUT_AT_END, &read, &written, &failure);
        if (result == G_CONVERTER_ERROR || (written == 0 && read == 0))
            return;
        if (!take_out(inflate, out, written) || result == G_CONVERTER_FINISHED)
            return;
    }
}

static void inflate_end(ScanPart *part)
{
    Inflate *inflate = (Inflate *)part;
    if (inflate->inner && !inflate->ended && !inflate->failed)
        drain(inflate);
    if (inflate->inner)
        inflate->inner->end(inflate->inner);
    g_clear_pointer(&inflate->inner, scan_part_free);
}

static void inflate_free(ScanPart *part)
{
    Inflate *inflate = (Inflate *)part;
    g_clear_object(&inflate->converter);
    scan_part_free(inflate->inner);
    scan_take_memory(inflate->place.context, -(int64_t)(64 << 10));
    g_free(inflate);
}

bool inflate_ended(const ScanPart *part, size_t *used)
{
    const Inflate *inflate = (const Inflate *)part;
    *used = inflate->used;
    return inflate->ended;
}

void inflate_to_its_end(ScanPart *part)
{
    ((Inflate *)part)->to_its_end = true;
}

ScanPart *inflate_part_new(const ScanPlace *place, InflateKind kind)
{
    static const GZlibCompressorFormat FORMATS[] = {G_ZLIB_COMPRESSOR_FORMAT_GZIP,
                                                    G_ZLIB_COMPRESSOR_FORMAT_ZLIB,
                                                    G_ZLIB_COMPRESSOR_FORMAT_RAW};
    if (!scan_take_memory(place->context, 64 << 10))
        return NULL;
    Inflate *inflate = g_new0(Inflate, 1);
    inflate->base = (ScanPart){inflate_feed, inflate_end, inflate_free};
    inflate->kind = kind;
    inflate->place = *place;
    inflate->place.depth++;
    inflate->converter = G_CONVERTER(g_zlib_decompressor_new(FORMATS[kind]));
    inflate->inner = scan_part_new(&inflate->place);
    return &inflate->base;
}
