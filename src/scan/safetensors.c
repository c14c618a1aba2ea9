/* safetensors: 8 bytes with the header's length, the header in JSON, the tensors without a gap.
 *
 * A header is kept up to MAX_HEADER and as long as what it becomes in memory has room; of any other
 * only that it fits into the file is looked at. */
#include <string.h>

#include "scan/part.h"

#define LENGTH_SIZE 8
#define MAX_HEADER  ((uint64_t)1 << 20)
#define LIMIT       ((uint64_t)100 << 20) /* the format's own */

typedef struct {
    ScanPart base;
    ScanPlace place;
    GByteArray *head; /* the length, then the header */
    bool done;
} Safetensors;

typedef struct {
    uint64_t begin, end;
} Range;

static bool broken(Safetensors *file, const char *what, int64_t expected, int64_t found)
{
    file->done = true;
    report_broken(file->place.context->report, what, expected, found);
    return false;
}

static uint64_t header_length(const Safetensors *file)
{
    uint64_t length = 0;
    for (int i = LENGTH_SIZE; i > 0; i--)
        length = length << 8 | file->head->data[i - 1];
    return length;
}

/* Bits of an element; 0: not known. */
static uint64_t dtype_bits(const char *dtype)
{
    static const struct {
        const char *name;
        uint64_t bits;
    } DTYPES[] = {{"F64", 64},    {"I64", 64}, {"U64", 64},  {"F32", 32},    {"I32", 32},
                  {"U32", 32},    {"F16", 16}, {"BF16", 16}, {"I16", 16},    {"U16", 16},
                  {"I8", 8},      {"U8", 8},   {"BOOL", 8},  {"F8_E4M3", 8}, {"F8_E5M2", 8},
                  {"F8_E8M0", 8}, {"C64", 64}, {"F4", 4},    {"F6_E2M3", 6}, {"F6_E3M2", 6}};
    for (size_t i = 0; dtype && i < G_N_ELEMENTS(DTYPES); i++)
        if (strcmp(DTYPES[i].name, dtype) == 0)
            return DTYPES[i].bits;
    return 0;
}

/* Whether shape and dtype need just that many bytes, as far as they are known. */
static bool shape_fits(const json_t *tensor, uint64_t bytes)
{
    uint64_t bits = dtype_bits(json_string_value(json_object_get(tensor, "dtype")));
    if (bits == 0)
        return true;
    size_t i;
    json_t *dimension;
    json_array_foreach (json_object_get(tensor, "shape"), i, dimension) {
        json_int_t length = json_integer_value(dimension);
        if (length < 0 || __builtin_mul_overflow(bits, (uint64_t)length, &bits))
            return false;
    }
    return bits / 8 == bytes;
}

/* NULL, or what is wrong with it. */
static const char *take_tensor(const json_t *tensor, GArray *ranges)
{
    const json_t *offsets = json_object_get(tensor, "data_offsets");
    const json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
    if (!json_is_integer(begin) || !json_is_integer(end) || json_array_size(offsets) != 2 ||
        !json_is_array(json_object_get(tensor, "shape")) ||
        !json_is_string(json_object_get(tensor, "dtype")))
        return "a tensor of its header lacks dtype, shape or data_offsets";
    json_int_t from = json_integer_value(begin), to = json_integer_value(end);
    if (from < 0 || to < from)
        return "a tensor of its header ends before it begins";
    Range range = {(uint64_t)from, (uint64_t)to};
    g_array_append_val(ranges, range);
    return shape_fits(tensor, range.end - range.begin)
               ? NULL
               : "a tensor's bytes are not what its dtype and shape need";
}

static int range_compare(gconstpointer a, gconstpointer b)
{
    const Range *left = a, *right = b;
    if (left->begin != right->begin)
        return left->begin < right->begin ? -1 : 1;
    return left->end < right->end ? -1 : left->end > right->end;
}

static bool has_gap(GArray *ranges)
{
    uint64_t end = 0;
    g_array_sort(ranges, range_compare);
    for (guint i = 0; i < ranges->len; i++) {
        const Range *range = &g_array_index(ranges, Range, i);
        if (range->begin != end)
            return true;
        end = range->end;
    }
    return false;
}

static void check_size(Safetensors *file, const GArray *ranges)
{
    ScanContext *context = file->place.context;
    uint64_t end = 0;
    for (guint i = 0; i < ranges->len; i++)
        end = MAX(end, g_array_index(ranges, Range, i).end);
    uint64_t expected = LENGTH_SIZE + header_length(file) + end;
    if (expected > (uint64_t)context->size)
        report_truncated(context->report, (int64_t)MIN(expected, INT64_MAX), context->size);
    else if (expected < (uint64_t)context->size)
        broken(file, "bytes stand behind its last tensor", (int64_t)expected, context->size);
}

/* About what the header takes as JSON in memory, in bytes: what begins an object, an array, or
 * another value costs much more than its text. */
static int64_t json_memory(const uint8_t *text, size_t size)
{
    enum { OBJECT = 400, ARRAY = 180, VALUE = 160 };
    int64_t memory = 0;
    bool quoted = false;
    for (size_t i = 0; i < size; i++) {
        if (quoted && text[i] == '\\')
            i++;
        else if (text[i] == '"')
            quoted = !quoted;
        else if (!quoted && text[i] == '{')
            memory += OBJECT;
        else if (!quoted && text[i] == '[')
            memory += ARRAY;
        else if (!quoted && (text[i] == ':' || text[i] == ','))
            memory += VALUE / 2;
    }
    return memory + (int64_t)size;
}

static void check_json(Safetensors *file)
{
    const char *fault = NULL;
    json_error_t error;
    json_auto_t *root = json_loadb((const char *)file->head->data + LENGTH_SIZE,
                                   file->head->len - LENGTH_SIZE, JSON_REJECT_DUPLICATES, &error);
    if (!json_is_object(root)) {
        broken(file, "its header is not JSON", -1, -1);
        return;
    }
    g_autoptr(GArray) ranges = g_array_new(FALSE, FALSE, sizeof(Range));
    const char *name;
    json_t *tensor;
    json_object_foreach (root, name, tensor)
        if (strcmp(name, "__metadata__") != 0 && !fault)
            fault = take_tensor(tensor, ranges);
    if (fault)
        broken(file, fault, -1, -1);
    else
        check_size(file, ranges);
    if (!fault && has_gap(ranges))
        broken(file, "its tensors overlap, or have gaps between them", -1, -1);
}

static void check_header(Safetensors *file)
{
    ScanContext *context = file->place.context;
    int64_t memory = json_memory(file->head->data + LENGTH_SIZE, file->head->len - LENGTH_SIZE);
    if (!scan_take_memory(context, memory))
        return;
    check_json(file);
    scan_take_memory(context, -memory);
}

/* The length is known. False: there is nothing more to see. */
static bool check_length(Safetensors *file)
{
    ScanContext *context = file->place.context;
    uint64_t length = header_length(file);
    if (length < 2 || length > LIMIT)
        return broken(file, "it does not begin with the length of a header", -1, -1);
    if (LENGTH_SIZE + length > (uint64_t)context->size) {
        file->done = true;
        report_truncated(context->report, (int64_t)(LENGTH_SIZE + length), context->size);
        return false;
    }
    return length <= MAX_HEADER;
}

static bool safetensors_feed(ScanPart *part, const uint8_t *data, size_t size)
{
    Safetensors *file = (Safetensors *)part;
    while (size > 0) {
        bool length_known = file->head->len >= LENGTH_SIZE;
        size_t whole = LENGTH_SIZE + (length_known ? header_length(file) : 0);
        size_t taken = MIN(size, whole - file->head->len);
        g_byte_array_append(file->head, data, (guint)taken);
        data += taken;
        size -= taken;
        if (file->head->len < whole)
            continue;
        if (length_known) {
            file->done = true;
            check_header(file);
            return false;
        }
        if (!check_length(file)) {
            file->done = true;
            return false;
        }
    }
    return true;
}

static void safetensors_end(ScanPart *part)
{
    Safetensors *file = (Safetensors *)part;
    if (!file->done)
        broken(file, "it is shorter than a header", -1, -1);
}

static void safetensors_free(ScanPart *part)
{
    Safetensors *file = (Safetensors *)part;
    g_byte_array_unref(file->head);
    g_free(file);
}

ScanPart *safetensors_part_new(const ScanPlace *place)
{
    Safetensors *file = g_new0(Safetensors, 1);
    file->base = (ScanPart){safetensors_feed, safetensors_end, safetensors_free};
    file->place = *place;
    file->head = g_byte_array_new();
    report_format(place->context->report, "safetensors");
    return &file->base;
}
