/* Pickles (Python's pickletools, protocols 0 to 5), by opcode, as their bytes pass.
 *
 * A stream that ends is followed by the next one, or by bytes that are none (the tensors of an old
 * torch.save). joblib writes the bytes of an array, or a pickle of it, between the opcodes, right
 * after the one that builds its wrapper: the wrapper's shape and dtype say how many.
 *
 * Protocols 0 and 1 have no magic number, so anything may look like the beginning of one: what such
 * a stream imports is told once it calls something, or has come to its end. Where Python would fail
 * the scan ends; where it would not, nothing ends it but limits, which are told. */
#include <string.h>

#include "scan/pickle_machine.h"

#define MAX_KEPT   1024 /* bytes of an argument that are kept */
#define MIN_PICKLE 7    /* bytes of the shortest one that imports something */

typedef enum {
    ARGUMENT_BAD, /* no opcode */
    ARGUMENT_NONE,
    ARGUMENT_1, /* so many bytes */
    ARGUMENT_2,
    ARGUMENT_4,
    ARGUMENT_8,
    ARGUMENT_LINE,
    ARGUMENT_LINES,  /* two */
    ARGUMENT_TEXT_1, /* a length of so many bytes, then the text */
    ARGUMENT_TEXT_4,
    ARGUMENT_TEXT_8,
    ARGUMENT_BYTES_1, /* the same, and it may be a pickle itself */
    ARGUMENT_BYTES_4,
    ARGUMENT_BYTES_8,
    ARGUMENT_LONG_1, /* a length, then a number */
    ARGUMENT_LONG_4
} Argument;

static const uint8_t ARGUMENTS[256] = {
    ['('] = ARGUMENT_NONE,     ['.'] = ARGUMENT_NONE,    ['0'] = ARGUMENT_NONE,
    ['1'] = ARGUMENT_NONE,     ['2'] = ARGUMENT_NONE,    ['F'] = ARGUMENT_LINE,
    ['I'] = ARGUMENT_LINE,     ['J'] = ARGUMENT_4,       ['K'] = ARGUMENT_1,
    ['L'] = ARGUMENT_LINE,     ['M'] = ARGUMENT_2,       ['N'] = ARGUMENT_NONE,
    ['P'] = ARGUMENT_LINE,     ['Q'] = ARGUMENT_NONE,    ['R'] = ARGUMENT_NONE,
    ['S'] = ARGUMENT_LINE,     ['T'] = ARGUMENT_BYTES_4, ['U'] = ARGUMENT_BYTES_1,
    ['V'] = ARGUMENT_LINE,     ['X'] = ARGUMENT_TEXT_4,  ['a'] = ARGUMENT_NONE,
    ['b'] = ARGUMENT_NONE,     ['c'] = ARGUMENT_LINES,   ['d'] = ARGUMENT_NONE,
    ['}'] = ARGUMENT_NONE,     ['e'] = ARGUMENT_NONE,    ['g'] = ARGUMENT_LINE,
    ['h'] = ARGUMENT_1,        ['i'] = ARGUMENT_LINES,   ['j'] = ARGUMENT_4,
    ['l'] = ARGUMENT_NONE,     [']'] = ARGUMENT_NONE,    ['o'] = ARGUMENT_NONE,
    ['p'] = ARGUMENT_LINE,     ['q'] = ARGUMENT_1,       ['r'] = ARGUMENT_4,
    ['s'] = ARGUMENT_NONE,     ['t'] = ARGUMENT_NONE,    [')'] = ARGUMENT_NONE,
    ['u'] = ARGUMENT_NONE,     ['G'] = ARGUMENT_8,       ['B'] = ARGUMENT_BYTES_4,
    ['C'] = ARGUMENT_BYTES_1,  [0x80] = ARGUMENT_1,      [0x81] = ARGUMENT_NONE,
    [0x82] = ARGUMENT_1,       [0x83] = ARGUMENT_2,      [0x84] = ARGUMENT_4,
    [0x85] = ARGUMENT_NONE,    [0x86] = ARGUMENT_NONE,   [0x87] = ARGUMENT_NONE,
    [0x88] = ARGUMENT_NONE,    [0x89] = ARGUMENT_NONE,   [0x8a] = ARGUMENT_LONG_1,
    [0x8b] = ARGUMENT_LONG_4,  [0x8c] = ARGUMENT_TEXT_1, [0x8d] = ARGUMENT_TEXT_8,
    [0x8e] = ARGUMENT_BYTES_8, [0x8f] = ARGUMENT_NONE,   [0x90] = ARGUMENT_NONE,
    [0x91] = ARGUMENT_NONE,    [0x92] = ARGUMENT_NONE,   [0x93] = ARGUMENT_NONE,
    [0x94] = ARGUMENT_NONE,    [0x95] = ARGUMENT_8,      [0x96] = ARGUMENT_BYTES_8,
    [0x97] = ARGUMENT_NONE,    [0x98] = ARGUMENT_NONE,
};

/* -- what looks into bytes that may be a pickle themselves -- */

static bool inner_begin(Pickle *pickle, uint8_t first)
{
    bool likely = ARGUMENTS[first] != ARGUMENT_BAD || first == 0x1f || first == 'x';
    if (!likely)
        return false;
    ScanPlace place = pickle->place;
    place.depth++;
    place.guessed = true;
    place.offset += pickle->argument_position;
    pickle->inner = scan_part_new(&place);
    return pickle->inner != NULL;
}

static void inner_end(Pickle *pickle)
{
    if (pickle->inner)
        pickle->inner->end(pickle->inner);
    g_clear_pointer(&pickle->inner, scan_part_free);
}

static void inner_feed(Pickle *pickle, const uint8_t *data, size_t size)
{
    if (pickle->inner && !pickle->inner->feed(pickle->inner, data, size))
        inner_end(pickle);
}

/* -- reading -- */

static bool is_bytes(uint8_t argument)
{
    return argument >= ARGUMENT_BYTES_1 && argument <= ARGUMENT_BYTES_8;
}

static bool applied(Pickle *pickle)
{
    pickle->read = READ_OPCODE;
    if (pickle->stream->opcodes < OPCODES_COUNTED)
        pickle->stream->opcodes++;
    if (!pickle_apply(pickle)) {
        pickle->stream->opcodes--; /* it did nothing */
        return pickle->stopped ? false : pickle_fails(pickle, "it is no pickle from some byte on");
    }
    if (pickle->stream->stack.leaked)
        return pickle_gives_up(pickle, "an array of joblib does not say for certain where it is");
    if (pickle->stream->stack.full)
        return pickle_gives_up(pickle, "its stack is larger than what is followed");
    return true;
}

static bool whole(Pickle *pickle)
{
    if (is_bytes(ARGUMENTS[pickle->opcode]) && pickle->text->len >= MIN_PICKLE &&
        inner_begin(pickle, pickle->text->data[0])) {
        inner_feed(pickle, pickle->text->data, pickle->text->len);
        inner_end(pickle);
    }
    return applied(pickle);
}

/* After a length: what it is the length of. */
static bool counted(Pickle *pickle)
{
    pickle->text_cut = pickle->left > TEXT_MAX;
    pickle->read = pickle->text_cut ? READ_SKIPPED : READ_KEPT;
    pickle->looked_at = false;
    return pickle->left > 0 || whole(pickle);
}

static bool read_opcode(Pickle *pickle, uint8_t opcode)
{
    pickle->opcode = opcode;
    pickle->opcode_position = pickle->position;
    pickle->number_used = pickle->number_size = 0;
    g_byte_array_set_size(pickle->text, 0);
    g_clear_pointer(&pickle->first_line, g_free);
    pickle->text_cut = pickle->first_cut = false;
    switch (ARGUMENTS[opcode]) {
    case ARGUMENT_BAD:
        return pickle_fails(pickle, "it is no pickle from some byte on");
    case ARGUMENT_NONE:
        return applied(pickle);
    case ARGUMENT_LINE:
    case ARGUMENT_LINES:
        pickle->read = READ_LINE;
        return true;
    case ARGUMENT_2:
        pickle->number_size = 2;
        break;
    case ARGUMENT_4:
    case ARGUMENT_TEXT_4:
    case ARGUMENT_BYTES_4:
    case ARGUMENT_LONG_4:
        pickle->number_size = 4;
        break;
    case ARGUMENT_8:
    case ARGUMENT_TEXT_8:
    case ARGUMENT_BYTES_8:
        pickle->number_size = 8;
        break;
    default:
        pickle->number_size = 1;
    }
    pickle->read = READ_NUMBER;
    return true;
}

static bool read_number(Pickle *pickle, uint8_t byte)
{
    pickle->number[pickle->number_used++] = byte;
    if (pickle->number_used < pickle->number_size)
        return true;
    if (ARGUMENTS[pickle->opcode] <= ARGUMENT_8)
        return applied(pickle);
    pickle->argument_position = pickle->position + 1;
    pickle->left = 0;
    for (size_t i = pickle->number_size; i > 0; i--)
        pickle->left = pickle->left << 8 | pickle->number[i - 1];
    return counted(pickle);
}

/* How many bytes were taken; *goes_on. */
static size_t read_line(Pickle *pickle, const uint8_t *data, size_t size, bool *goes_on)
{
    const uint8_t *end = memchr(data, '\n', size);
    size_t length = end ? (size_t)(end - data) : size;
    size_t kept = MIN(length, MAX_KEPT - MIN(MAX_KEPT, pickle->text->len));
    g_byte_array_append(pickle->text, data, (guint)kept);
    pickle->text_cut = pickle->text_cut || kept < length;
    *goes_on = true;
    if (!end)
        return size;
    g_byte_array_append(pickle->text, (const guint8 *)"", 1);
    if (ARGUMENTS[pickle->opcode] == ARGUMENT_LINES && !pickle->first_line) {
        pickle->first_line = g_strdup((const char *)pickle->text->data);
        pickle->first_cut = pickle->text_cut;
        pickle->text_cut = false;
        g_byte_array_set_size(pickle->text, 0);
    } else {
        *goes_on = applied(pickle);
    }
    return length + 1;
}

static size_t read_kept(Pickle *pickle, const uint8_t *data, size_t size, bool *goes_on)
{
    size_t taken = MIN(size, pickle->left);
    g_byte_array_append(pickle->text, data, (guint)taken);
    pickle->left -= taken;
    *goes_on = pickle->left > 0 || whole(pickle);
    return taken;
}

/* An array of joblib's, or an argument that is too long to be a name. */
static size_t read_skipped(Pickle *pickle, const uint8_t *data, size_t size, bool *goes_on)
{
    size_t taken = MIN(size, pickle->left);
    if (!pickle->looked_at && !pickle->array && is_bytes(ARGUMENTS[pickle->opcode]))
        inner_begin(pickle, data[0]);
    pickle->looked_at = true;
    inner_feed(pickle, data, taken);
    pickle->left -= taken;
    *goes_on = true;
    if (pickle->left > 0)
        return taken;
    inner_end(pickle);
    if (pickle->array)
        pickle->read = READ_OPCODE;
    else
        *goes_on = applied(pickle);
    pickle->array = false;
    return taken;
}

static void read_padding(Pickle *pickle, uint8_t byte)
{
    inner_feed(pickle, &byte, 1);
    pickle->left += byte;
    pickle->array = pickle->left > 0;
    pickle->read = pickle->array ? READ_SKIPPED : READ_OPCODE;
    if (!pickle->array)
        inner_end(pickle);
}

static size_t read_some(Pickle *pickle, const uint8_t *data, size_t size, bool *goes_on)
{
    switch (pickle->read) {
    case READ_OPCODE:
        *goes_on = read_opcode(pickle, *data);
        return 1;
    case READ_NUMBER:
        *goes_on = read_number(pickle, *data);
        return 1;
    case READ_PADDING:
        read_padding(pickle, *data);
        *goes_on = true;
        return 1;
    case READ_LINE:
        return read_line(pickle, data, size, goes_on);
    case READ_KEPT:
        return read_kept(pickle, data, size, goes_on);
    case READ_SKIPPED:
        return read_skipped(pickle, data, size, goes_on);
    }
    g_assert_not_reached();
}

static bool pickle_feed(ScanPart *part, const uint8_t *data, size_t size)
{
    Pickle *pickle = (Pickle *)part;
    bool goes_on = true;
    while (goes_on && size > 0) {
        size_t taken = read_some(pickle, data, size, &goes_on);
        pickle->position += (int64_t)taken;
        data += taken;
        size -= taken;
    }
    return goes_on;
}

static void pickle_end(ScanPart *part)
{
    Pickle *pickle = (Pickle *)part;
    inner_end(pickle);
    bool between =
        pickle->read == READ_OPCODE && pickle->stream->opcodes == 0 && !pickle->stream->outer;
    if (!pickle->stopped && !between)
        pickle_fails(pickle, "it ends in the middle of a pickle");
}

static void pickle_free(ScanPart *part)
{
    Pickle *pickle = (Pickle *)part;
    for (Stream *stream = pickle->stream; stream;)
        stream = pickle_stream_free(stream);
    g_byte_array_unref(pickle->text);
    g_free(pickle->first_line);
    scan_part_free(pickle->inner);
    g_free(pickle);
}

static ScanPart *part_new(const ScanPlace *place, bool within)
{
    Pickle *pickle = g_new0(Pickle, 1);
    pickle->within = within;
    pickle->base = (ScanPart){pickle_feed, pickle_end, pickle_free};
    pickle->place = *place;
    pickle->text = g_byte_array_new();
    pickle->stream = pickle_stream_new(pickle, NULL);
    return &pickle->base;
}

ScanPart *pickle_part_new(const ScanPlace *place)
{
    return part_new(place, false);
}

ScanPart *pickle_part_new_within(const ScanPlace *place)
{
    return part_new(place, true);
}
