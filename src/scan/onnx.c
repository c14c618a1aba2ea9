/* ONNX (onnx.proto): the files that its tensors lie in. The messages on the way there are walked as
 * their bytes pass: graphs, nodes with their attributes and sub-graphs, tensors; everything else is
 * passed over. */
#include <string.h>

#include "scan/part.h"

#define MAX_MESSAGES 32
#define MAX_TEXT     1024 /* bytes of a key or a value */
#define MAX_VARINT   10

typedef enum { MODEL, GRAPH, NODE, ATTRIBUTE, TENSOR, ENTRY, TEXT, OTHER } Message;

/* Which messages lead to tensors. */
static const struct {
    Message inside;
    uint64_t field;
    Message message;
} FIELDS[] = {{MODEL, 7, GRAPH},       {GRAPH, 1, NODE},       {GRAPH, 5, TENSOR},
              {NODE, 5, ATTRIBUTE},    {ATTRIBUTE, 5, TENSOR}, {ATTRIBUTE, 6, GRAPH},
              {ATTRIBUTE, 10, TENSOR}, {ATTRIBUTE, 11, GRAPH}, {TENSOR, 13, ENTRY},
              {ENTRY, 1, TEXT},        {ENTRY, 2, TEXT}};

typedef enum { ONNX_TAG, ONNX_VARINT, ONNX_LENGTH, ONNX_SKIP, ONNX_TEXT } OnnxState;

typedef struct {
    Message message;
    uint64_t end; /* where it ends, in bytes from the file's begin */
} Open;

typedef struct {
    ScanPart base;
    ScanPlace place;
    OnnxState state;
    uint64_t position;
    Open open[MAX_MESSAGES];
    int depth;
    uint64_t varint;
    int varint_bytes, varint_type;
    uint64_t field;
    uint64_t skip;
    GString *text, *key;
    /* of the tensor that is being read */
    char *location;
    uint64_t offset, length;
    bool begun; /* by the version, as every writer does */
    bool done;
} Onnx;

static bool broken(Onnx *onnx, const char *what)
{
    onnx->done = true;
    report_broken(onnx->place.context->report, what, -1, -1);
    return false;
}

static Message inside(const Onnx *onnx)
{
    return onnx->open[onnx->depth].message;
}

static Message message_of(const Onnx *onnx)
{
    for (size_t i = 0; i < G_N_ELEMENTS(FIELDS); i++)
        if (FIELDS[i].inside == inside(onnx) && FIELDS[i].field == onnx->field)
            return FIELDS[i].message;
    return OTHER;
}

static void entry_ended(Onnx *onnx)
{
    const char *value = onnx->text->str;
    if (strcmp(onnx->key->str, "location") == 0) {
        g_free(onnx->location);
        onnx->location = g_strdup(value);
    } else if (strcmp(onnx->key->str, "offset") == 0) {
        onnx->offset = g_ascii_strtoull(value, NULL, 10);
    } else if (strcmp(onnx->key->str, "length") == 0) {
        onnx->length = g_ascii_strtoull(value, NULL, 10);
    }
}

static void tensor_ended(Onnx *onnx)
{
    uint64_t end;
    if (onnx->location)
        report_external(onnx->place.context->report, onnx->location,
                        __builtin_add_overflow(onnx->offset, onnx->length, &end) || end > INT64_MAX
                            ? INT64_MAX
                            : (int64_t)end);
    g_clear_pointer(&onnx->location, g_free);
    onnx->offset = onnx->length = 0;
}

/* Messages that end here. False: one of them ended too early. */
static bool close_messages(Onnx *onnx)
{
    onnx->state = ONNX_TAG;
    while (onnx->depth > 0 && onnx->position >= onnx->open[onnx->depth].end) {
        if (onnx->position > onnx->open[onnx->depth].end)
            return broken(onnx, "a part of it is longer than what it is a part of");
        if (inside(onnx) == ENTRY)
            entry_ended(onnx);
        else if (inside(onnx) == TENSOR)
            tensor_ended(onnx);
        onnx->depth--;
    }
    return true;
}

static bool open_message(Onnx *onnx, Message message, uint64_t end)
{
    if (onnx->depth + 1 == MAX_MESSAGES)
        return broken(onnx, "its graphs lie too deep in each other");
    onnx->open[++onnx->depth] = (Open){message, end};
    if (message == ENTRY) {
        g_string_truncate(onnx->key, 0);
        g_string_truncate(onnx->text, 0);
    }
    return close_messages(onnx);
}

static bool skip(Onnx *onnx, uint64_t bytes)
{
    onnx->skip = bytes;
    onnx->state = ONNX_SKIP;
    return bytes > 0 || close_messages(onnx);
}

/* The file's own length is what a graph's contradicts. */
static bool too_long(Onnx *onnx, uint64_t end)
{
    ScanContext *context = onnx->place.context;
    bool sure = onnx->begun && onnx->depth == 0 && onnx->field == 7 && end <= INT64_MAX;
    if (!sure)
        return broken(onnx, "a part of it is longer than what it is a part of");
    onnx->done = true;
    report_truncated(context->report, (int64_t)end, context->size);
    return false;
}

static bool length_known(Onnx *onnx)
{
    uint64_t end, length = onnx->varint;
    if (__builtin_add_overflow(onnx->position, length, &end) || end > onnx->open[onnx->depth].end)
        return too_long(onnx, end);
    Message message = message_of(onnx);
    if (message == OTHER)
        return skip(onnx, length);
    if (message != TEXT)
        return open_message(onnx, message, end);
    if (length > MAX_TEXT)
        return skip(onnx, length);
    GString *text = onnx->field == 1 ? onnx->key : onnx->text;
    g_string_truncate(text, 0);
    onnx->skip = length;
    onnx->state = ONNX_TEXT;
    return length > 0 || close_messages(onnx);
}

static bool tag_known(Onnx *onnx)
{
    onnx->field = onnx->varint >> 3;
    if (onnx->field == 0)
        return broken(onnx, "it is no ONNX model from some byte on");
    onnx->varint = 0;
    onnx->varint_bytes = 0;
    switch (onnx->varint_type) {
    case 0:
        onnx->state = ONNX_VARINT;
        onnx->begun = onnx->begun || (onnx->depth == 0 && onnx->field == 1);
        return true;
    case 1:
        return skip(onnx, 8);
    case 2:
        onnx->state = ONNX_LENGTH;
        return true;
    case 5:
        return skip(onnx, 4);
    default:
        return broken(onnx, "it is no ONNX model from some byte on");
    }
}

static bool read_varint(Onnx *onnx, uint8_t byte)
{
    if (onnx->varint_bytes == MAX_VARINT)
        return broken(onnx, "it is no ONNX model from some byte on");
    onnx->varint |= (uint64_t)(byte & 0x7f) << MIN(7 * onnx->varint_bytes, 63);
    onnx->varint_bytes++;
    if (byte & 0x80)
        return true;
    bool goes_on;
    if (onnx->state == ONNX_TAG) {
        onnx->varint_type = (int)(onnx->varint & 7);
        goes_on = tag_known(onnx);
    } else if (onnx->state == ONNX_LENGTH) {
        goes_on = length_known(onnx);
    } else {
        goes_on = close_messages(onnx);
    }
    if (onnx->state == ONNX_TAG) {
        onnx->varint = 0;
        onnx->varint_bytes = 0;
    }
    return goes_on;
}

static bool onnx_feed(ScanPart *part, const uint8_t *data, size_t size)
{
    Onnx *onnx = (Onnx *)part;
    while (size > 0) {
        bool bytes = onnx->state == ONNX_SKIP || onnx->state == ONNX_TEXT, goes_on = true;
        size_t taken = bytes ? MIN(size, onnx->skip) : 1;
        if (onnx->state == ONNX_TEXT)
            g_string_append_len(onnx->field == 1 ? onnx->key : onnx->text, (const char *)data,
                                (gssize)taken);
        onnx->position += taken;
        if (!bytes)
            goes_on = read_varint(onnx, *data);
        else if ((onnx->skip -= taken) == 0) {
            goes_on = close_messages(onnx);
            onnx->varint = 0;
            onnx->varint_bytes = 0;
        }
        if (!goes_on)
            return false;
        data += taken;
        size -= taken;
    }
    return true;
}

static void onnx_end(ScanPart *part)
{
    Onnx *onnx = (Onnx *)part;
    if (!onnx->done && (onnx->state != ONNX_TAG || onnx->varint_bytes > 0 || onnx->depth > 0))
        broken(onnx, "it ends in the middle of a part");
}

static void onnx_free(ScanPart *part)
{
    Onnx *onnx = (Onnx *)part;
    g_string_free(onnx->text, TRUE);
    g_string_free(onnx->key, TRUE);
    g_free(onnx->location);
    g_free(onnx);
}

ScanPart *onnx_part_new(const ScanPlace *place)
{
    Onnx *onnx = g_new0(Onnx, 1);
    onnx->base = (ScanPart){onnx_feed, onnx_end, onnx_free};
    onnx->place = *place;
    onnx->text = g_string_new(NULL);
    onnx->key = g_string_new(NULL);
    onnx->open[0] = (Open){MODEL, (uint64_t)place->context->size};
    report_format(place->context->report, "ONNX");
    return &onnx->base;
}
