/* gzip, zlib, and what lies in zip archives. What was decompressed before a fault is looked at all
 * the same: who loads it has run it by then. */
#include <zlib.h>

#include "scan/part.h"

#define OUT_SIZE 32768
#define MEMORY   (48 << 10) /* of zlib's own */

typedef struct {
    ScanPart base;
    ScanPlace place; /* of what comes out */
    InflateKind kind;
    z_stream stream;
    ScanPart *inner; /* NULL: it wants no more */
    bool to_its_end, ended;
    size_t used;
} Inflate;

/* False: nothing more is wanted. */
static bool take_out(Inflate *stage, const uint8_t *out, size_t size)
{
    ScanContext *context = stage->place.context;
    context->inflated += (int64_t)size;
    if (context->inflated > SCAN_MAX_INFLATED) {
        report_unread(context->report, "more than 1 GiB comes out of what is compressed",
                      stage->place.member);
        return false;
    }
    if (stage->inner && size > 0 && !stage->inner->feed(stage->inner, out, size)) {
        stage->inner->end(stage->inner);
        g_clear_pointer(&stage->inner, scan_part_free);
    }
    return stage->inner || stage->to_its_end;
}

/* gzip may hold several streams, which are read as one. */
static bool next_stream(Inflate *stage)
{
    if (stage->kind == INFLATE_GZIP)
        return inflateReset(&stage->stream) == Z_OK;
    stage->ended = true;
    return false;
}

static bool inflate_feed(ScanPart *part, const uint8_t *data, size_t size)
{
    Inflate *stage = (Inflate *)part;
    z_stream *stream = &stage->stream;
    uint8_t out[OUT_SIZE];
    bool goes_on = true;
    size = MIN(size, UINT32_MAX); /* portions are of 1 MiB */
    stream->next_in = (uint8_t *)data;
    stream->avail_in = (uInt)size;
    do {
        stream->next_out = out;
        stream->avail_out = OUT_SIZE;
        int code = inflate(stream, Z_NO_FLUSH);
        goes_on = take_out(stage, out, OUT_SIZE - stream->avail_out);
        if (goes_on && code == Z_STREAM_END)
            goes_on = next_stream(stage);
        else if (code == Z_STREAM_END)
            next_stream(stage);
        else if (code != Z_OK && code != Z_BUF_ERROR)
            goes_on = false;
    } while (goes_on && (stream->avail_in > 0 || stream->avail_out == 0));
    stage->used = size - stream->avail_in;
    return goes_on;
}

static void inflate_end(ScanPart *part)
{
    Inflate *stage = (Inflate *)part;
    if (stage->inner)
        stage->inner->end(stage->inner);
    g_clear_pointer(&stage->inner, scan_part_free);
}

static void inflate_free(ScanPart *part)
{
    Inflate *stage = (Inflate *)part;
    inflateEnd(&stage->stream);
    scan_part_free(stage->inner);
    scan_take_memory(stage->place.context, -MEMORY);
    g_free(stage);
}

bool inflate_ended(const ScanPart *part, size_t *used)
{
    const Inflate *stage = (const Inflate *)part;
    *used = stage->used;
    return stage->ended;
}

void inflate_to_its_end(ScanPart *part)
{
    ((Inflate *)part)->to_its_end = true;
}

ScanPart *inflate_part_new(const ScanPlace *place, InflateKind kind)
{
    static const int WINDOWS[] = {
        [INFLATE_GZIP] = 16 + MAX_WBITS, [INFLATE_ZLIB] = MAX_WBITS, [INFLATE_RAW] = -MAX_WBITS};
    if (!scan_take_memory(place->context, MEMORY))
        return NULL;
    Inflate *stage = g_new0(Inflate, 1);
    stage->base = (ScanPart){inflate_feed, inflate_end, inflate_free};
    stage->kind = kind;
    stage->place = *place;
    stage->place.depth++;
    g_assert(inflateInit2(&stage->stream, WINDOWS[kind]) == Z_OK);
    stage->inner = scan_part_new(&stage->place);
    return &stage->base;
}
