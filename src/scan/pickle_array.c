/* joblib's arrays (joblib.numpy_pickle): behind the opcode that gives a NumpyArrayWrapper its state
 * stand the array's bytes, as many as the state's shape and dtype say, or the pickle of an array of
 * objects.
 *
 * What is passed over as such bytes is no opcode only if all of this is certain: that it is that
 * class, made by NEWOBJ and given its state once; that the state is a dictionary of its own, whose
 * shape, dtype and alignment are seen; that the dtype is a copy of its own, of a kind whose size
 * stands in it. Whatever is not certain ends the scan as unread. Who loads the file with pickle
 * alone takes the same bytes for opcodes, so they are read as such, too. */
#include <string.h>

#include "scan/pickle_machine.h"

#define MAX_DTYPES 65536

typedef struct {
    int64_t size; /* bytes of an item, -1: unknown */
    bool stretched, objects;
} Dtype;

/* -- dtypes -- */

/* What numpy.dtype's __reduce__ names: a letter and bytes (of U: characters). */
static Value dtype_arguments(const char *text)
{
    static const struct {
        char letter;
        const char *sizes;
    } FIXED[] = {{'b', " 1 "},          {'i', " 1 2 4 8 "},
                 {'u', " 1 2 4 8 "},    {'f', " 2 4 8 12 16 "},
                 {'c', " 8 16 24 32 "}, {'m', " 8 "},
                 {'M', " 8 "}};
    Value value = VALUE(.kind = VALUE_TUPLE, .class = CLASS_FIXED, .number = -1);
    guint64 size;
    if (strcmp(text, "O8") == 0 || strcmp(text, "O4") == 0) {
        value.class = CLASS_OBJECTS;
        return value;
    }
    if (!*text || text[1] == '0' ||
        !g_ascii_string_to_unsigned(text + 1, 10, 1, 1 << 28, &size, NULL))
        return value;
    if (strchr("SUV", *text)) {
        value.class = CLASS_STRETCHED;
        value.number = (int64_t)(*text == 'U' ? 4 * size : size);
        return value;
    }
    g_autofree char *word = g_strdup_printf(" %" G_GUINT64_FORMAT " ", size);
    for (size_t i = 0; i < G_N_ELEMENTS(FIXED); i++)
        if (FIXED[i].letter == *text && strstr(FIXED[i].sizes, word))
            value.number = (int64_t)size;
    return value;
}

/* (version, order, subarray, names, fields, size, alignment, flags) and perhaps metadata. */
static bool is_dtype_state(const Items *items)
{
    return (items->count == 8 || items->count == 9) && items->at[0].kind == VALUE_NUMBER &&
           items->at[1].kind == VALUE_TEXT && items->at[5].kind == VALUE_NUMBER &&
           items->at[7].kind == VALUE_NUMBER;
}

Value array_tuple(const PickleStack *stack, const Items *items)
{
    if (is_dtype_state(items))
        return VALUE(.kind = VALUE_TUPLE, .class = CLASS_STATE, .number = items->at[5].number,
                     .odd = items->at[7].number & 1);
    /* ('f8', align, copy): without a copy, others have the same dtype. */
    const char *text = items->count == 3 ? stack_text_of(stack, &items->at[0]) : NULL;
    if (text && items->at[2].kind == VALUE_NUMBER && items->at[2].number == 1)
        return dtype_arguments(text);
    return VALUE(.kind = VALUE_TUPLE, .number = items->product);
}

static Value dtype_new(Stream *stream, const Value *arguments)
{
    if (arguments->kind != VALUE_TUPLE || arguments->class < CLASS_FIXED ||
        arguments->class > CLASS_OBJECTS || stream->dtypes->len >= MAX_DTYPES)
        return ANY;
    Dtype dtype = {.size = arguments->number,
                   .stretched = arguments->class == CLASS_STRETCHED,
                   .objects = arguments->class == CLASS_OBJECTS};
    g_array_append_val(stream->dtypes, dtype);
    return VALUE(.kind = VALUE_DTYPE, .number = stream->dtypes->len - 1);
}

static Dtype *dtype_of(const Stream *stream, const Value *value)
{
    return value->kind == VALUE_DTYPE ? &g_array_index(stream->dtypes, Dtype, value->number) : NULL;
}

static void dtype_build(Dtype *dtype, const Value *state)
{
    bool known = state->kind == VALUE_TUPLE && state->class == CLASS_STATE;
    if (!known || (dtype->objects && !state->odd)) {
        *dtype = (Dtype){.size = -1};
        return;
    }
    dtype->objects = state->odd;
    if (dtype->stretched)
        dtype->size = MAX(state->number, -1);
}

GArray *array_dtypes_new(void)
{
    return g_array_new(FALSE, FALSE, sizeof(Dtype));
}

/* -- wrappers -- */

Value array_call(Stream *stream, uint8_t opcode, const Value *called, const Value *arguments)
{
    if (called->kind != VALUE_CLASS || opcode == OPCODE_NEWOBJ_EX)
        return ANY;
    if (called->class == CLASS_DTYPE)
        return dtype_new(stream, arguments);
    /* Whoever calls the class gives attributes that are not in the state. */
    return VALUE(.kind = VALUE_WRAPPER,
                 .number = opcode == OPCODE_NEWOBJ ? ++stream->wrappers : WRAPPER_UNCERTAIN);
}

Value array_dict(Stream *stream)
{
    Value below;
    bool own = stack_top(&stream->stack, &below) && below.kind == VALUE_WRAPPER;
    return own ? VALUE(.kind = VALUE_DICT, .number = ++stream->dicts) : ANY;
}

static void state_pair(gpointer data, const Value *key, const Value *value)
{
    Stream *stream = data;
    WrapperState *state = &stream->state;
    const char *name = stack_text_of(&stream->stack, key);
    bool none = value->kind == VALUE_ANY && value->class == CLASS_NONE;
    if (!name) {
        state->uncertain = true;
    } else if (strcmp(name, "shape") == 0) {
        bool known = value->kind == VALUE_TUPLE && value->class == CLASS_OTHER;
        state->shape = known ? value->number : -1;
    } else if (strcmp(name, "dtype") == 0) {
        state->dtype = *value;
    } else if (strcmp(name, "numpy_array_alignment_bytes") == 0) {
        state->aligned = value->kind == VALUE_NUMBER;
        state->uncertain = state->uncertain || (!state->aligned && !none);
    }
}

/* False: it is no wrapper's state. */
static bool state_begins(Stream *stream, const Value *dict)
{
    if (dict->kind != VALUE_DICT)
        return false;
    if (stream->state.dict != dict->number)
        stream->state = (WrapperState){.dict = dict->number, .shape = -1};
    return true;
}

void array_set_items(Stream *stream)
{
    Value dict = stack_below_mark(&stream->stack);
    if (state_begins(stream, &dict))
        stack_each_pair(&stream->stack, state_pair, stream);
}

void array_set_item(Stream *stream, const Value *dict, const Value *key, const Value *value)
{
    if (state_begins(stream, dict))
        state_pair(stream, key, value);
}

/* Whether the wrapper's bytes can be told from what follows; *size: how many, of objects -1. */
static bool array_is_certain(const Pickle *pickle, const Value *wrapper, const Value *dict,
                             int64_t *size)
{
    const Stream *stream = pickle->stream;
    const WrapperState *state = &stream->state;
    const Dtype *dtype = dtype_of(stream, &state->dtype);
    *size = -1;
    if (wrapper->number == WRAPPER_UNCERTAIN || wrapper->number <= stream->built ||
        dict->kind != VALUE_DICT || dict->number != state->dict || state->uncertain || !dtype)
        return false;
    /* joblib takes the bytes from the file, where a frame's rest has been read already. */
    if (pickle->frame_end > pickle->opcode_position + 1)
        return false;
    return dtype->objects || (state->shape >= 0 && dtype->size > 0 &&
                              !__builtin_mul_overflow(state->shape, dtype->size, size));
}

/* The array's bytes as what pickle.load would make of them. */
static void read_as_opcodes(Pickle *pickle)
{
    ScanPlace place = pickle->place;
    place.depth++;
    place.offset += pickle->opcode_position + 1;
    if (place.depth > SCAN_MAX_DEPTH)
        report_unread(place.context->report, "archives and pickles lie too deep in each other",
                      place.member);
    else
        pickle->inner = pickle_part_new_within(&place);
}

static bool array_begins(Pickle *pickle, const Value *dict)
{
    Stream *stream = pickle->stream;
    Value wrapper;
    int64_t size;
    bool leaked = stream->stack.leaked;
    stack_pop(&stream->stack, &wrapper);
    stream->stack.leaked = leaked;
    stack_push(&stream->stack, ANY); /* the array */
    if (!array_is_certain(pickle, &wrapper, dict, &size))
        return pickle_gives_up(pickle,
                               "an array of joblib does not say for certain how long it is");
    stream->built = wrapper.number;
    if (size < 0) {
        if (++pickle->depth > SCAN_MAX_DEPTH)
            return pickle_gives_up(pickle, "archives and pickles lie too deep in each other");
        pickle->stream = pickle_stream_new(pickle, stream);
        return true;
    }
    pickle->left = (uint64_t)size;
    pickle->array = size > 0;
    if (stream->state.aligned)
        pickle->read = READ_PADDING;
    else if (pickle->array)
        pickle->read = READ_SKIPPED;
    if (pickle->read != READ_OPCODE)
        read_as_opcodes(pickle);
    return true;
}

bool array_build(Pickle *pickle, const Value *object, const Value *state)
{
    Dtype *dtype = dtype_of(pickle->stream, object);
    /* What a class has, all that are made of it have. */
    if (object->kind == VALUE_CLASS)
        return pickle_gives_up(pickle, "a class of its arrays is changed");
    if (dtype)
        dtype_build(dtype, state);
    return object->kind != VALUE_WRAPPER || array_begins(pickle, state);
}
