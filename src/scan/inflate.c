/* gzip, zlib, and what lies in zip archives. What was decompressed before a fault is looked at all
 * the same: who loads it has run it by then. */
#include <zlib.h>

#include "scan/part.h"

#define OUT_SIZE   32768
#define GZIP_FIRST 0x1f
#define MEMORY     (48 << 10) /* of zlib's own */

typedef struct {
    ScanPart base;
    ScanPlace place; /* of what comes out */
    InflateKind kind;
    z_stream stream;
    ScanPart *inner; /* NULL: it wants no more */
    bool to_its_end, ended;
    bool between; /* two streams of gzip's, where Python lets zeros stand */
    size_t used;
} Inflate;

/* False: no more is decompressed of this file, which is told. */
static bool may_inflate(const ScanPlace *place)
{
    if (place->context->inflated <= SCAN_MAX_INFLATED)
        return true;
    report_unread(place->context->report, "more than 1 GiB comes out of what is compressed",
                  place->member);
    return false;
}

/* False: nothing more is wanted. */
static bool take_out(Inflate *stage, const uint8_t *out, size_t size)
{
    stage->place.context->inflated += (int64_t)size;
    if (!may_inflate(&stage->place))
        return false;
    if (stage->inner && size > 0 && !stage->inner->feed(stage->inner, out, size)) {
        stage->inner->end(stage->inner);
        g_clear_pointer(&stage->inner, scan_part_free);
    }
    return stage->inner || stage->to_its_end;
}

/* gzip may hold several streams, which are read as one. False: none follows. */
static bool next_stream(Inflate *stage)
{
    z_stream *stream = &stage->stream;
    stage->ended = stage->kind != INFLATE_GZIP;
    stage->between = !stage->ended;
    for (; stage->between && stream->avail_in > 0 && *stream->next_in == 0; stream->avail_in--)
        stream->next_in++;
    if (stage->between && stream->avail_in > 0) {
        stage->between = false;
        return *stream->next_in == GZIP_FIRST && inflateReset(stream) == Z_OK;
    }
    return stage->between;
}

/* Python reads headers of gzip that zlib does not, and goes on. */
static void stream_broken(const Inflate *stage)
{
    if (stage->kind == INFLATE_GZIP)
        report_unread(stage->place.context->report, "it cannot be decompressed",
                      stage->place.member);
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
    if (stage->between && (!next_stream(stage) || stage->between))
        return stage->between;
    do {
        stream->next_out = out;
        stream->avail_out = OUT_SIZE;
        int code = inflate(stream, Z_NO_FLUSH);
        goes_on = take_out(stage, out, OUT_SIZE - stream->avail_out);
        if (code == Z_STREAM_END)
            goes_on = next_stream(stage) && goes_on;
        else if (code != Z_OK && code != Z_BUF_ERROR)
            goes_on = false;
        if (code != Z_OK && code != Z_BUF_ERROR && code != Z_STREAM_END)
            stream_broken(stage);
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
    if (!may_inflate(place))
        return NULL;
    if (++place->context->streams > SCAN_MAX_STREAMS || !scan_take_memory(place->context, MEMORY)) {
        report_unread(place->context->report, "it holds more compressed streams than are followed",
                      place->member);
        return NULL;
    }
    Inflate *stage = g_new0(Inflate, 1);
    stage->base = (ScanPart){inflate_feed, inflate_end, inflate_free};
    stage->kind = kind;
    stage->place = *place;
    stage->place.depth++;
    stage->place.offset = 0;
    g_assert(inflateInit2(&stage->stream, WINDOWS[kind]) == Z_OK);
    stage->inner = scan_part_new(&stage->place);
    return &stage->base;
}
