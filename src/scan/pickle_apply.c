#include <string.h>

#include "scan/pickle_machine.h"

#define MAX_HELD     64 /* imports that wait for being told */
#define MAX_PROTOCOL 5

/* -- streams -- */

static void held_clear(gpointer data)
{
    Held *held = data;
    g_free(held->module);
    g_free(held->name);
}

Stream *pickle_stream_new(const Pickle *pickle, Stream *outer)
{
    Stream *stream = g_new0(Stream, 1);
    stream->outer = outer;
    stack_init(&stream->stack, pickle->place.context);
    stream->held = g_array_new(FALSE, FALSE, sizeof(Held));
    g_array_set_clear_func(stream->held, held_clear);
    stream->shape = stream->alignment = -1;
    return stream;
}

Stream *pickle_stream_free(Stream *stream)
{
    Stream *outer = stream->outer;
    stack_clear(&stream->stack);
    g_array_unref(stream->held);
    g_free(stream);
    return outer;
}

static void tell(Pickle *pickle, const Held *held)
{
    report_import(pickle->place.context->report, held->module, held->name, pickle->place.member,
                  held->position);
    pickle->stream->imports = true;
}

/* From here on it is a pickle for sure. */
static void stream_is_sure(Pickle *pickle)
{
    Stream *stream = pickle->stream;
    stream->sure = true;
    report_format(pickle->place.context->report, "pickle");
    for (guint i = 0; i < stream->held->len; i++)
        tell(pickle, &g_array_index(stream->held, Held, i));
    g_array_set_size(stream->held, 0);
}

static void import(Pickle *pickle, const char *module, const char *name)
{
    Stream *stream = pickle->stream;
    Held held = {(char *)module, (char *)name, pickle->opcode_position};
    if (stream->sure) {
        tell(pickle, &held);
    } else if (stream->held->len < MAX_HELD) {
        held.module = g_strdup(module);
        held.name = g_strdup(name);
        g_array_append_val(stream->held, held);
    } else {
        stream_is_sure(pickle); /* nothing else looks like so many */
        tell(pickle, &held);
    }
}

bool pickle_stops(Pickle *pickle, const char *why)
{
    bool known = false;
    for (const Stream *stream = pickle->stream; stream; stream = stream->outer)
        known = known || (stream->sure && stream->imports);
    if (known)
        report_unread(pickle->place.context->report, why, pickle->place.member);
    pickle->stopped = true;
    return false;
}

/* -- opcodes -- */

static uint64_t number_of(const Pickle *pickle)
{
    uint64_t number = 0;
    for (size_t i = pickle->number_size; i > 0; i--)
        number = number << 8 | pickle->number[i - 1];
    return number;
}

static const char *line_of(const Pickle *pickle)
{
    return (const char *)pickle->text->data;
}

/* What could be told of a name that stands in a file's text. */
static bool is_name(const char *text)
{
    if (!*text || !g_utf8_validate(text, -1, NULL))
        return false;
    for (const char *at = text; *at; at = g_utf8_next_char(at)) {
        gunichar c = g_utf8_get_char(at);
        if (!g_unichar_isalnum(c) && c != '_' && c != '.' && c != '<' && c != '>' && c != '-')
            return false;
    }
    return true;
}

static ValueClass class_of(const char *module, const char *name)
{
    if (g_strcmp0(module, "numpy") == 0 && g_strcmp0(name, "dtype") == 0)
        return CLASS_DTYPE;
    bool joblib = module && g_str_has_suffix(module, "joblib.numpy_pickle");
    return joblib && g_strcmp0(name, "NumpyArrayWrapper") == 0 ? CLASS_WRAPPER : CLASS_OTHER;
}

static bool push_global(Pickle *pickle, const char *module, const char *name)
{
    if (!pickle->stream->sure && module && name && (!is_name(module) || !is_name(name)))
        return false;
    import(pickle, module, name);
    ValueClass class = class_of(module, name);
    stack_push(&pickle->stream->stack,
               class == CLASS_OTHER ? ANY : VALUE(.kind = VALUE_CLASS, .class = (uint8_t) class));
    return true;
}

static bool stack_global(Pickle *pickle)
{
    PickleStack *stack = &pickle->stream->stack;
    Value name, module;
    if (!stack_pop(stack, &name) || !stack_pop(stack, &module))
        return false;
    return push_global(pickle, stack_text_of(stack, &module), stack_text_of(stack, &name));
}

static bool extension(Pickle *pickle)
{
    g_autofree char *name = g_strdup_printf("extension-%" G_GUINT64_FORMAT, number_of(pickle));
    return push_global(pickle, "copyreg", name);
}

/* 'f8' -> 8; -1: its size does not stand in it. */
static int64_t dtype_size(const char *text)
{
    if (!text || !*text)
        return -1;
    const char *digits = text + strcspn(text, "0123456789");
    guint64 size;
    if (!g_ascii_string_to_unsigned(digits, 10, 0, 1 << 30, &size, NULL))
        return -1;
    return (int64_t)(strchr(text, 'U') ? 4 * size : size);
}

static Value tuple_of(const PickleStack *stack, const Items *items)
{
    Value tuple = VALUE(.kind = VALUE_TUPLE, .number = items->product);
    const char *text = items->count > 0 ? stack_text_of(stack, &items->first) : NULL;
    if (text) {
        tuple.class = strchr(text, 'O') ? CLASS_OBJECTS : CLASS_TEXT;
        tuple.number = dtype_size(text);
    }
    tuple.odd = items->count > 0 && items->last.kind == VALUE_NUMBER && (items->last.number & 1);
    return tuple;
}

static bool tuple_small(PickleStack *stack, int count)
{
    Value values[3];
    for (int i = count; i > 0; i--)
        if (!stack_pop(stack, &values[i - 1]))
            return false;
    stack_push(stack, VALUE(.kind = VALUE_MARK));
    for (int i = 0; i < count; i++)
        stack_push(stack, values[i]);
    Items items;
    stack_pop_items(stack, &items);
    stack_push(stack, tuple_of(stack, &items));
    return true;
}

/* Calls; only those of numpy.dtype and the wrapper are followed. */
static bool call(Pickle *pickle, int arguments)
{
    PickleStack *stack = &pickle->stream->stack;
    Value given = ANY, called;
    for (int i = 0; i < arguments; i++)
        if (!stack_pop(stack, &given))
            return false;
    if (!stack_pop(stack, &called))
        return false;
    stream_is_sure(pickle);
    Value result = ANY;
    if (called.kind == VALUE_CLASS && called.class == CLASS_WRAPPER)
        result = VALUE(.kind = VALUE_WRAPPER);
    if (called.kind == VALUE_CLASS && called.class == CLASS_DTYPE && given.kind == VALUE_TUPLE &&
        given.class != CLASS_OTHER)
        result =
            VALUE(.kind = VALUE_DTYPE, .number = given.number, .odd = given.class == CLASS_OBJECTS);
    stack_push(stack, result);
    return true;
}

/* What joblib says of the array that follows. */
static void wrapper_pair(gpointer data, const Value *key, const Value *value)
{
    Stream *stream = data;
    const char *name = key->kind == VALUE_TEXT ? stack_text_of(&stream->stack, key) : NULL;
    if (!name)
        return;
    if (strcmp(name, "shape") == 0)
        stream->shape =
            value->kind == VALUE_TUPLE && value->class == CLASS_OTHER ? value->number : -1;
    else if (strcmp(name, "dtype") == 0)
        stream->dtype = *value;
    else if (strcmp(name, "numpy_array_alignment_bytes") == 0)
        stream->alignment = value->kind == VALUE_NUMBER ? value->number : -1;
}

/* Behind this opcode stands an array. */
static bool array_begins(Pickle *pickle)
{
    Stream *stream = pickle->stream;
    int64_t bytes;
    Value wrapper;
    if (stream->dtype.kind == VALUE_DTYPE && stream->dtype.odd) {
        if (++pickle->depth > SCAN_MAX_DEPTH)
            return pickle_stops(pickle, "archives and pickles lie too deep in each other");
        pickle->stream = pickle_stream_new(pickle, stream);
        return true;
    }
    if (stream->dtype.kind != VALUE_DTYPE || stream->dtype.number < 0 || stream->shape < 0 ||
        __builtin_mul_overflow(stream->shape, stream->dtype.number, &bytes))
        return pickle_stops(pickle, "an array of joblib does not say how long it is");
    stack_pop(&stream->stack, &wrapper);
    stack_push(&stream->stack, ANY); /* the array */
    pickle->left = (uint64_t)bytes;
    pickle->array = bytes > 0;
    if (stream->alignment >= 0)
        pickle->read = READ_PADDING;
    else if (pickle->array)
        pickle->read = READ_SKIPPED;
    stream->shape = stream->alignment = -1;
    stream->dtype = ANY;
    return true;
}

static bool build(Pickle *pickle)
{
    Stream *stream = pickle->stream;
    Value state, object;
    if (!stack_pop(&stream->stack, &state) || !stack_top(&stream->stack, &object))
        return false;
    stream_is_sure(pickle);
    if (object.kind == VALUE_WRAPPER)
        return array_begins(pickle);
    if (object.kind == VALUE_DTYPE && state.kind == VALUE_TUPLE && state.odd) {
        /* Of a structure that holds objects. */
        stack_pop(&stream->stack, &object);
        object.odd = true;
        stack_push(&stream->stack, object);
    }
    return true;
}

static bool stop(Pickle *pickle)
{
    Value result;
    if (!stack_pop(&pickle->stream->stack, &result))
        return false;
    stream_is_sure(pickle);
    Stream *outer = pickle_stream_free(pickle->stream);
    if (outer)
        pickle->depth--;
    pickle->stream = outer ? outer : pickle_stream_new(pickle, NULL);
    return true;
}

static bool pop_items_push(PickleStack *stack, bool push)
{
    Items items;
    if (!stack_pop_items(stack, &items))
        return false;
    if (push)
        stack_push(stack, ANY);
    return true;
}

static bool pop_push(PickleStack *stack, int pops, int pushes)
{
    Value value;
    for (int i = 0; i < pops; i++)
        if (!stack_pop(stack, &value))
            return false;
    for (int i = 0; i < pushes; i++)
        stack_push(stack, ANY);
    return true;
}

static bool pop(PickleStack *stack)
{
    Value value;
    if (stack_pop(stack, &value))
        return true;
    Items items;
    return stack->stack->len > 0 && stack_pop_items(stack, &items); /* a mark */
}

static bool put(PickleStack *stack, uint64_t index)
{
    Value value;
    if (!stack_top(stack, &value))
        return false;
    memo_put(stack, index, value);
    return true;
}

static bool push_number(PickleStack *stack, int64_t number)
{
    stack_push(stack, VALUE(.kind = VALUE_NUMBER, .number = number));
    return true;
}

/* LONG1, little-endian. */
static bool push_long(Pickle *pickle)
{
    const GByteArray *text = pickle->text;
    uint64_t number = 0;
    for (guint i = text->len; i > 0 && text->len < 8; i--)
        number = number << 8 | text->data[i - 1];
    bool fits = text->len < 8 && (text->len == 0 || !(text->data[text->len - 1] & 0x80));
    stack_push(&pickle->stream->stack,
               fits ? VALUE(.kind = VALUE_NUMBER, .number = (int64_t)number) : ANY);
    return true;
}

static bool line_number(const Pickle *pickle, int64_t *number)
{
    char *end;
    *number = g_ascii_strtoll(line_of(pickle), &end, 10);
    return end != line_of(pickle) && (!*end || strcmp(end, "L") == 0 || strcmp(end, "\r") == 0);
}

static bool push_line_number(Pickle *pickle)
{
    int64_t number;
    return line_number(pickle, &number) && push_number(&pickle->stream->stack, number);
}

/* With an escape in it the text is not what is written. */
static bool push_text(Pickle *pickle, const char *text, size_t length)
{
    PickleStack *stack = &pickle->stream->stack;
    bool plain = !pickle->text_cut;
    stack_push(stack, plain ? stack_text(stack, text, length) : ANY);
    return true;
}

static bool push_line(Pickle *pickle, bool quoted)
{
    const char *text = line_of(pickle);
    size_t length = pickle->text->len - 1;
    if (quoted && !pickle->text_cut &&
        (length < 2 || (text[0] != '\'' && text[0] != '"') || text[length - 1] != text[0]))
        return false;
    if (memchr(text, '\\', length))
        pickle->text_cut = true;
    return quoted && length >= 2 ? push_text(pickle, text + 1, length - 2)
                                 : push_text(pickle, text, length);
}

static bool get(Pickle *pickle, uint64_t index)
{
    stack_push(&pickle->stream->stack, memo_get(&pickle->stream->stack, index));
    return true;
}

static bool get_line(Pickle *pickle)
{
    int64_t number;
    return line_number(pickle, &number) && number >= 0 && get(pickle, (uint64_t)number);
}

static bool put_line(Pickle *pickle)
{
    int64_t number;
    return line_number(pickle, &number) && number >= 0 &&
           put(&pickle->stream->stack, (uint64_t)number);
}

static bool protocol(Pickle *pickle)
{
    if (number_of(pickle) > MAX_PROTOCOL)
        return false;
    if (pickle->stream->opcodes == 1)
        stream_is_sure(pickle);
    return true;
}

static bool set_items(Pickle *pickle)
{
    stack_each_pair(&pickle->stream->stack, wrapper_pair, pickle->stream);
    return pop_items_push(&pickle->stream->stack, false);
}

static bool set_item(Pickle *pickle)
{
    Value key, value;
    PickleStack *stack = &pickle->stream->stack;
    if (!stack_pop(stack, &value) || !stack_pop(stack, &key))
        return false;
    wrapper_pair(pickle->stream, &key, &value);
    return true;
}

static bool tuple(PickleStack *stack)
{
    Items items;
    if (!stack_pop_items(stack, &items))
        return false;
    stack_push(stack, tuple_of(stack, &items));
    return true;
}

static bool duplicate(PickleStack *stack)
{
    Value value;
    if (!stack_top(stack, &value))
        return false;
    stack_push(stack, value);
    return true;
}

/* INST and OBJ: the class and its arguments above a mark. */
static bool instance(Pickle *pickle)
{
    PickleStack *stack = &pickle->stream->stack;
    bool named = pickle->opcode == 'i';
    if (named && (!is_name(pickle->first_line) || !is_name(line_of(pickle))) &&
        !pickle->stream->sure)
        return false;
    if (!pop_items_push(stack, true))
        return false;
    if (named)
        import(pickle, pickle->first_line, line_of(pickle));
    stream_is_sure(pickle);
    return true;
}

bool pickle_apply(Pickle *pickle)
{
    PickleStack *stack = &pickle->stream->stack;
    switch (pickle->opcode) {
    case '(':
        stack_push(stack, VALUE(.kind = VALUE_MARK));
        return true;
    case '.':
        return stop(pickle);
    case '0':
        return pop(stack);
    case '1':
        return pop_items_push(stack, false);
    case '2':
        return duplicate(stack);
    case 'J':
        return push_number(stack, (int32_t)number_of(pickle));
    case 'K':
    case 'M':
        return push_number(stack, (int64_t)number_of(pickle));
    case 'I':
    case 'L':
        return push_line_number(pickle);
    case 'Q':
        return pop_push(stack, 1, 1);
    case 'R':
    case 0x81:
        return call(pickle, 1);
    case 0x92:
        return call(pickle, 2);
    case 'S':
        return push_line(pickle, true);
    case 'V':
        return push_line(pickle, false);
    case 'T':
    case 'U':
    case 'X':
    case 0x8c:
    case 0x8d:
        return push_text(pickle, pickle->text->len ? line_of(pickle) : "", pickle->text->len);
    case 0x8a:
        return push_long(pickle);
    case 'a':
        return pop_push(stack, 1, 0);
    case 'b':
        return build(pickle);
    case 'c':
        return push_global(pickle, pickle->first_line, line_of(pickle));
    case 'i':
    case 'o':
        return instance(pickle);
    case 'd':
    case 'l':
    case 0x91:
        return pop_items_push(stack, true);
    case 'e':
    case 0x90:
        return pop_items_push(stack, false);
    case 't':
        return tuple(stack);
    case ')':
        return tuple_small(stack, 0);
    case 0x85:
    case 0x86:
    case 0x87:
        return tuple_small(stack, pickle->opcode - 0x84);
    case 'g':
        return get_line(pickle);
    case 'h':
    case 'j':
        return get(pickle, number_of(pickle));
    case 'p':
        return put_line(pickle);
    case 'q':
    case 'r':
        return put(stack, number_of(pickle));
    case 0x94:
        return put(stack, memo_size(stack));
    case 's':
        return set_item(pickle);
    case 'u':
        return set_items(pickle);
    case 0x80:
        return protocol(pickle);
    case 0x82:
    case 0x83:
    case 0x84:
        return extension(pickle);
    case 0x93:
        return stack_global(pickle);
    case 0x95:
    case 0x98:
        return true;
    default: /* F G N P } ] and what else is a value that says nothing */
        stack_push(stack, ANY);
        return true;
    }
}
