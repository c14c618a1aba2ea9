/* GGUF (ggml's docs/gguf.md): the header's tensors have to lie within the file. Metadata is walked
 * over, not kept; behind the header nothing is looked at. */
#include <string.h>

#include "scan/part.h"

#define MAX_VALUES  8 /* nested arrays */
#define MAX_COUNT   (1 << 24)
#define MAX_DIMS    8
#define LENGTH      8 /* bytes of a length */
#define ALIGNMENT   "general.alignment"
#define TYPE_STRING 8
#define TYPE_ARRAY  9
#define TYPE_U32    4

/* Bytes of a block of so many weights, by ggml_type; 0: not known. */
static const struct {
    uint16_t weights, bytes;
} BLOCKS[] = {{1, 4},     {1, 2},     {32, 18},   {32, 20},  {0, 0},     {0, 0},     {32, 22},
              {32, 24},   {32, 34},   {32, 36},   {256, 84}, {256, 110}, {256, 144}, {256, 176},
              {256, 210}, {256, 292}, {256, 66},  {256, 74}, {256, 98},  {256, 50},  {32, 18},
              {256, 110}, {256, 82},  {256, 136}, {1, 1},    {1, 2},     {1, 4},     {1, 8},
              {1, 8},     {256, 56},  {1, 2},     {0, 0},    {0, 0},     {0, 0},     {256, 54},
              {256, 66},  {0, 0},     {0, 0},     {0, 0},    {32, 17}};

/* Bytes of a value, by gguf_type. */
static const uint8_t VALUES[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

typedef enum {
    GGUF_HEADER,
    GGUF_KEY_LENGTH,
    GGUF_KEY,
    GGUF_TYPE,
    GGUF_STRING_LENGTH,
    GGUF_ARRAY,
    GGUF_ALIGNMENT,
    GGUF_NAME_LENGTH,
    GGUF_DIMS,
    GGUF_INFO
} GgufState;

typedef struct {
    ScanPart base;
    ScanPlace place;
    GgufState state;
    uint8_t buffer[128];
    size_t used, wanted;
    uint64_t skip; /* bytes to pass over before the state's own */
    uint64_t position;
    uint32_t version;
    uint64_t tensors, keys;
    bool is_alignment; /* the key that is being read */
    uint64_t alignment;
    struct {
        uint32_t type;
        uint64_t left;
    } arrays[MAX_VALUES]; /* that are open */
    int depth;
    uint64_t end; /* of the tensor that lies farthest behind, from the data's begin */
    bool done;
} Gguf;

static uint64_t number(const uint8_t *at, size_t size)
{
    uint64_t value = 0;
    for (size_t i = size; i > 0; i--)
        value = value << 8 | at[i - 1];
    return value;
}

static void wait_for(Gguf *gguf, GgufState state, size_t wanted)
{
    gguf->state = state;
    gguf->wanted = wanted;
    gguf->used = 0;
}

static bool broken(Gguf *gguf, const char *what)
{
    gguf->done = true;
    report_broken(gguf->place.context->report, what, -1, -1);
    return false;
}

/* All tensors are known. */
static bool finish(Gguf *gguf)
{
    ScanContext *context = gguf->place.context;
    uint64_t begin = gguf->position, expected;
    gguf->done = true;
    if (gguf->end == 0)
        return false;
    begin += (gguf->alignment - begin % gguf->alignment) % gguf->alignment;
    if (__builtin_add_overflow(begin, gguf->end, &expected) || expected > INT64_MAX)
        return broken(gguf, "a tensor lies beyond any file");
    if ((int64_t)expected > context->size)
        report_truncated(context->report, (int64_t)expected, context->size);
    return false;
}

static bool next_tensor(Gguf *gguf)
{
    if (gguf->tensors == 0)
        return finish(gguf);
    gguf->tensors--;
    wait_for(gguf, GGUF_NAME_LENGTH, LENGTH);
    return true;
}

static bool next_key(Gguf *gguf)
{
    if (gguf->keys == 0)
        return next_tensor(gguf);
    gguf->keys--;
    wait_for(gguf, GGUF_KEY_LENGTH, LENGTH);
    return true;
}

static bool header(Gguf *gguf)
{
    const uint8_t *at = gguf->buffer;
    if (memcmp(at, "GGUF", 4) != 0)
        return broken(gguf, "it does not begin with GGUF");
    gguf->version = (uint32_t)number(at + 4, 4);
    if (gguf->version == 1 || gguf->version > 0xffff) { /* of old; of a big-endian machine */
        gguf->done = true;
        return false;
    }
    if (gguf->version < 1 || gguf->version > 3)
        return broken(gguf, "its GGUF version is not known");
    gguf->tensors = number(at + 8, 8);
    gguf->keys = number(at + 16, 8);
    if (gguf->tensors > MAX_COUNT || gguf->keys > MAX_COUNT)
        return broken(gguf, "its header counts more tensors or keys than there can be");
    return next_key(gguf);
}

/* After a value: the next one of its array, or the next key. */
static bool value_ended(Gguf *gguf)
{
    while (gguf->depth > 0) {
        uint32_t type = gguf->arrays[gguf->depth - 1].type;
        uint64_t *left = &gguf->arrays[gguf->depth - 1].left;
        if (*left == 0) {
            gguf->depth--;
            continue;
        }
        --*left;
        wait_for(gguf, type == TYPE_STRING ? GGUF_STRING_LENGTH : GGUF_ARRAY,
                 type == TYPE_STRING ? LENGTH : 4 + LENGTH);
        return true;
    }
    return next_key(gguf);
}

static bool value_begins(Gguf *gguf, uint32_t type)
{
    if (type >= G_N_ELEMENTS(VALUES))
        return broken(gguf, "a key has a type that is not known");
    if (gguf->is_alignment && type == TYPE_U32) {
        wait_for(gguf, GGUF_ALIGNMENT, 4);
        return true;
    }
    if (type == TYPE_STRING) {
        wait_for(gguf, GGUF_STRING_LENGTH, LENGTH);
        return true;
    }
    if (type == TYPE_ARRAY) {
        wait_for(gguf, GGUF_ARRAY, 4 + LENGTH);
        return true;
    }
    gguf->skip = VALUES[type];
    return value_ended(gguf);
}

static bool array_begins(Gguf *gguf)
{
    uint32_t type = (uint32_t)number(gguf->buffer, 4);
    uint64_t count = number(gguf->buffer + 4, LENGTH);
    if (type >= G_N_ELEMENTS(VALUES) || gguf->depth >= MAX_VALUES || count > INT64_MAX / 8)
        return broken(gguf, "a key has a type that is not known");
    if (VALUES[type] > 0) {
        gguf->skip = VALUES[type] * count;
        return value_ended(gguf);
    }
    gguf->arrays[gguf->depth].type = type;
    gguf->arrays[gguf->depth++].left = count;
    return value_ended(gguf);
}

static bool info(Gguf *gguf)
{
    uint64_t dims = (gguf->wanted - 12) / 8, weights = 1, end;
    const uint8_t *at = gguf->buffer;
    bool fits = true;
    for (uint64_t i = 0; i < dims; i++)
        fits = !__builtin_mul_overflow(weights, number(at + 8 * i, 8), &weights) && fits;
    uint64_t type = number(at + 8 * dims, 4), offset = number(at + 8 * dims + 4, 8), bytes = 0;
    if (fits && type < G_N_ELEMENTS(BLOCKS) && BLOCKS[type].weights > 0)
        fits = !__builtin_mul_overflow(weights / BLOCKS[type].weights, BLOCKS[type].bytes, &bytes);
    if (!fits || __builtin_add_overflow(offset, bytes, &end))
        return broken(gguf, "a tensor lies beyond any file");
    gguf->end = MAX(gguf->end, end);
    return next_tensor(gguf);
}

/* What was waited for is there. */
static bool step(Gguf *gguf)
{
    uint64_t value = number(gguf->buffer, MIN(gguf->wanted, 8));
    switch (gguf->state) {
    case GGUF_HEADER:
        return header(gguf);
    case GGUF_KEY_LENGTH:
        gguf->is_alignment = false;
        gguf->skip = value == strlen(ALIGNMENT) ? 0 : value;
        if (gguf->skip == value)
            wait_for(gguf, GGUF_TYPE, 4);
        else
            wait_for(gguf, GGUF_KEY, value);
        return true;
    case GGUF_KEY:
        gguf->is_alignment = memcmp(gguf->buffer, ALIGNMENT, strlen(ALIGNMENT)) == 0;
        wait_for(gguf, GGUF_TYPE, 4);
        return true;
    case GGUF_TYPE:
        return value_begins(gguf, (uint32_t)value);
    case GGUF_STRING_LENGTH:
        gguf->skip = value;
        return value_ended(gguf);
    case GGUF_ARRAY:
        return array_begins(gguf);
    case GGUF_ALIGNMENT:
        if (value == 0)
            return broken(gguf, "its alignment is 0");
        gguf->alignment = value;
        return value_ended(gguf);
    case GGUF_NAME_LENGTH:
        gguf->skip = value;
        wait_for(gguf, GGUF_DIMS, 4);
        return true;
    case GGUF_DIMS:
        if (value > MAX_DIMS)
            return broken(gguf, "a tensor has more dimensions than there can be");
        wait_for(gguf, GGUF_INFO, 8 * value + 12);
        return true;
    case GGUF_INFO:
        return info(gguf);
    }
    g_assert_not_reached();
}

static bool gguf_feed(ScanPart *part, const uint8_t *data, size_t size)
{
    Gguf *gguf = (Gguf *)part;
    while (size > 0) {
        size_t skipped = MIN(size, gguf->skip);
        size_t taken = skipped ? skipped : MIN(size, gguf->wanted - gguf->used);
        if (!skipped) {
            memcpy(gguf->buffer + gguf->used, data, taken);
            gguf->used += taken;
        }
        gguf->skip -= skipped;
        gguf->position += taken;
        data += taken;
        size -= taken;
        if (!skipped && gguf->used == gguf->wanted && !step(gguf))
            return false;
    }
    return true;
}

static void gguf_end(ScanPart *part)
{
    Gguf *gguf = (Gguf *)part;
    ScanContext *context = gguf->place.context;
    if (gguf->done)
        return;
    uint64_t expected;
    if (gguf->state == GGUF_HEADER)
        broken(gguf, gguf->used >= 4 && memcmp(gguf->buffer, "GGUF", 4) == 0
                         ? "its header is not whole"
                         : "it does not begin with GGUF");
    else if (__builtin_add_overflow(gguf->position, gguf->skip + gguf->wanted - gguf->used,
                                    &expected) ||
             gguf->skip > INT64_MAX / 2 || expected > INT64_MAX)
        broken(gguf, "a text in its header is longer than any file");
    else
        report_truncated(context->report, (int64_t)expected, context->size);
}

static void gguf_free(ScanPart *part)
{
    g_free(part);
}

ScanPart *gguf_part_new(const ScanPlace *place)
{
    Gguf *gguf = g_new0(Gguf, 1);
    gguf->base = (ScanPart){gguf_feed, gguf_end, gguf_free};
    gguf->place = *place;
    gguf->alignment = 32;
    report_format(place->context->report, "GGUF");
    wait_for(gguf, GGUF_HEADER, 24);
    return &gguf->base;
}
