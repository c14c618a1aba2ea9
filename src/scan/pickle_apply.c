#include <string.h>

#include "scan/pickle_machine.h"
#include "scan/pickle_number.h"

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
    stream->dtypes = array_dtypes_new();
    stream->state.dict = WRAPPER_UNCERTAIN;
    stream->stack.within = stream->stack.memo_uncounted = pickle->within && !pickle->behind;
    return stream;
}

Stream *pickle_stream_free(Stream *stream)
{
    Stream *outer = stream->outer;
    stack_clear(&stream->stack);
    g_array_unref(stream->held);
    g_array_unref(stream->dtypes);
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
    Held held = {(char *)module, (char *)name, pickle->place.offset + pickle->opcode_position};
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

bool pickle_gives_up(Pickle *pickle, const char *why)
{
    report_unread(pickle->place.context->report, why, pickle->place.member);
    pickle->stopped = true;
    return false;
}

/* What has been imported before Python fails has run, though nothing was called. Only of what
 * somebody takes for a pickle: lines of text are like it. */
static void tell_begun(Pickle *pickle)
{
    const ScanPlace *place = &pickle->place;
    const GArray *held = pickle->stream->held;
    bool first = !pickle->behind && !pickle->within && !place->guessed && !pickle->stream->outer;
    bool named = false; /* an extension is but a few bytes */
    for (guint i = 0; i < held->len; i++)
        named = named || g_strcmp0(g_array_index(held, Held, i).module, "copyreg") != 0;
    if (first && named && is_pickle_path(place->member ? place->member : place->context->path))
        stream_is_sure(pickle);
}

bool pickle_fails(Pickle *pickle, const char *why)
{
    tell_begun(pickle);
    /* The tensors behind the streams of an old torch.save, and any array, may begin like one. */
    bool likely = !pickle->behind && !pickle->place.guessed;
    bool known = pickle->stream->marked && !pickle->within &&
                 pickle->stream->opcodes > (likely ? 1 : OPCODES_COUNTED - 1);
    for (const Stream *stream = pickle->stream; stream; stream = stream->outer)
        known = known || (stream->sure && stream->imports);
    if (known)
        return pickle_gives_up(pickle, why);
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
    bool joblib = g_strcmp0(module, "joblib.numpy_pickle") == 0 ||
                  g_strcmp0(module, "sklearn.externals.joblib.numpy_pickle") == 0;
    return joblib && g_strcmp0(name, "NumpyArrayWrapper") == 0 ? CLASS_WRAPPER : CLASS_OTHER;
}

/* Text, too, has lines that begin like GLOBAL: what is nobody's name is passed by, unless the file
 * is one that somebody will take for a pickle. */
static bool may_import(const Pickle *pickle, const char *module, const char *name)
{
    if ((module && !g_utf8_validate(module, -1, NULL)) ||
        (name && !g_utf8_validate(name, -1, NULL)))
        return pickle->stream->sure; /* Python fails, as it seems */
    const ScanPlace *place = &pickle->place;
    return pickle->stream->sure || ((!module || is_name(module)) && (!name || is_name(name))) ||
           is_pickle_path(place->member ? place->member : place->context->path);
}

static bool push_global(Pickle *pickle, const char *module, const char *name)
{
    if (!may_import(pickle, module, name))
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

/* A number that the program itself has given a name. Three bytes of any array are like it. */
static bool extension(Pickle *pickle)
{
    if ((pickle->place.guessed || pickle->within) && !pickle->stream->sure) {
        stack_push(&pickle->stream->stack, ANY);
        return true;
    }
    g_autofree char *name = g_strdup_printf("extension-%" G_GUINT64_FORMAT, number_of(pickle));
    return push_global(pickle, "copyreg", name);
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
    stack_push(stack, array_tuple(stack, &items));
    return true;
}

/* Calls; what comes out is of interest only where arrays are concerned. */
static bool call(Pickle *pickle, int arguments)
{
    PickleStack *stack = &pickle->stream->stack;
    Value given = ANY, called;
    for (int i = 0; i < arguments; i++)
        if (!stack_pop(stack, &given))
            return false;
    bool leaked = stack->leaked;
    if (!stack_pop(stack, &called))
        return false;
    if (pickle->opcode == OPCODE_NEWOBJ && called.kind == VALUE_CLASS)
        stack->leaked = leaked; /* it is what it is for */
    stream_is_sure(pickle);
    stack_push(stack, array_call(pickle->stream, pickle->opcode, &called, &given));
    return true;
}

static bool build(Pickle *pickle)
{
    PickleStack *stack = &pickle->stream->stack;
    Value state, object;
    if (!stack_pop(stack, &state) || !stack_top(stack, &object))
        return false;
    stream_is_sure(pickle);
    return array_build(pickle, &object, &state);
}

static bool stop(Pickle *pickle)
{
    Value result;
    if (!stack_pop(&pickle->stream->stack, &result))
        return false;
    stream_is_sure(pickle);
    if (!pickle->within && pickle->frame_end > pickle->opcode_position + 1)
        return pickle_gives_up(pickle, "a pickle ends before its frame does");
    Stream *outer = pickle_stream_free(pickle->stream);
    if (outer)
        pickle->depth--;
    else
        pickle->behind = true;
    pickle->stream = outer ? outer : pickle_stream_new(pickle, NULL);
    return true;
}

static bool frame(Pickle *pickle)
{
    uint64_t size = number_of(pickle);
    int64_t begin = pickle->opcode_position + 1 + (int64_t)pickle->number_size;
    if (size > (uint64_t)(INT64_MAX - begin))
        return false;
    pickle->frame_end = begin + (int64_t)size;
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
    return stack_pop(stack, &value) || stack_pop_mark(stack);
}

static bool memoize(Pickle *pickle)
{
    Value value;
    if (!stack_top(&pickle->stream->stack, &value))
        return false;
    /* joblib writes protocol 2 here. For pickle.load, which knows no arrays, the next place is
     * another one. */
    if (pickle->stream->outer)
        return pickle_gives_up(pickle, "an array of joblib's counts its memo by itself");
    memo_append(&pickle->stream->stack, value);
    return true;
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

static bool push_line_number(Pickle *pickle)
{
    int64_t number;
    if (!number_may_be(line_of(pickle)))
        return false;
    bool known = !pickle->text_cut && number_plain(line_of(pickle), &number);
    stack_push(&pickle->stream->stack, known ? VALUE(.kind = VALUE_NUMBER, .number = number) : ANY);
    return true;
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

/* A place so far out that none of ours is meant, where it is a number and too large for us. */
static bool line_place(const Pickle *pickle, uint64_t *place)
{
    *place = UINT64_MAX;
    return pickle->text_cut ? number_may_be(line_of(pickle)) : number_place(line_of(pickle), place);
}

static bool get_line(Pickle *pickle)
{
    uint64_t place;
    return line_place(pickle, &place) && get(pickle, place);
}

static bool put_line(Pickle *pickle)
{
    uint64_t place;
    return line_place(pickle, &place) && put(&pickle->stream->stack, place);
}

static bool protocol(Pickle *pickle)
{
    if (number_of(pickle) > MAX_PROTOCOL)
        return false;
    if (pickle->stream->opcodes == 1) {
        pickle->stream->marked = true;
        stream_is_sure(pickle);
    }
    return true;
}

static bool set_items(Pickle *pickle)
{
    array_set_items(pickle->stream);
    return pop_items_push(&pickle->stream->stack, false);
}

static bool set_item(Pickle *pickle)
{
    Value dict, key, value;
    PickleStack *stack = &pickle->stream->stack;
    if (!stack_pop(stack, &value) || !stack_pop(stack, &key) || !stack_top(stack, &dict))
        return false;
    array_set_item(pickle->stream, &dict, &key, &value);
    return true;
}

static bool tuple(PickleStack *stack)
{
    Items items;
    if (!stack_pop_items(stack, &items))
        return false;
    stack_push(stack, array_tuple(stack, &items));
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

/* The names of GLOBAL and INST; NULL: it is longer than what is kept. */
static const char *module_of(const Pickle *pickle)
{
    return pickle->first_cut ? NULL : pickle->first_line;
}

static const char *name_of(const Pickle *pickle)
{
    return pickle->text_cut ? NULL : line_of(pickle);
}

static bool global(Pickle *pickle)
{
    return push_global(pickle, module_of(pickle), name_of(pickle));
}

/* INST and OBJ: the class and its arguments above a mark. */
static bool instance(Pickle *pickle)
{
    bool named = pickle->opcode == 'i';
    if (named && !may_import(pickle, module_of(pickle), name_of(pickle)))
        return false;
    if (!pop_items_push(&pickle->stream->stack, true))
        return false;
    if (named)
        import(pickle, module_of(pickle), name_of(pickle));
    if (named && class_of(module_of(pickle), name_of(pickle)) == CLASS_WRAPPER)
        pickle->stream->stack.leaked = true;
    stream_is_sure(pickle);
    return true;
}

/* A value is put on the stack. */
static bool apply_value(Pickle *pickle)
{
    PickleStack *stack = &pickle->stream->stack;
    switch (pickle->opcode) {
    case 'J':
        return push_number(stack, (int32_t)number_of(pickle));
    case 'K':
    case 'M':
        return push_number(stack, (int64_t)number_of(pickle));
    case 0x88:
    case 0x89:
        return push_number(stack, pickle->opcode == 0x88);
    case 'I':
    case 'L':
        return push_line_number(pickle);
    case 'F':
        stack_push(stack, ANY);
        return number_may_be(line_of(pickle));
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
    case '}':
        stack_push(stack, array_dict(pickle->stream));
        return true;
    case 'N':
        stack_push(stack, VALUE(.kind = VALUE_ANY, .class = CLASS_NONE));
        return true;
    default: /* G P ] and what else says nothing */
        stack_push(stack, ANY);
        return true;
    }
}

/* The stack alone changes. */
static bool apply_stack(Pickle *pickle)
{
    PickleStack *stack = &pickle->stream->stack;
    switch (pickle->opcode) {
    case '(':
        stack_push(stack, VALUE(.kind = VALUE_MARK));
        return true;
    case '0':
        return pop(stack);
    case '2':
        return duplicate(stack);
    case 'Q':
        return pop_push(stack, 1, 1);
    case 'a':
        return pop_push(stack, 1, 0);
    case 'd':
    case 'l':
    case 0x91:
        return pop_items_push(stack, true);
    case '1':
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
    case 's':
        return set_item(pickle);
    case 'u':
        return set_items(pickle);
    default:
        return apply_value(pickle);
    }
}

static bool apply_memo(Pickle *pickle)
{
    switch (pickle->opcode) {
    case 'g':
        return get_line(pickle);
    case 'h':
    case 'j':
        return get(pickle, number_of(pickle));
    case 'p':
        return put_line(pickle);
    case 'q':
    case 'r':
        return put(&pickle->stream->stack, number_of(pickle));
    case 0x94:
        return memoize(pickle);
    default:
        return apply_stack(pickle);
    }
}

bool pickle_apply(Pickle *pickle)
{
    switch (pickle->opcode) {
    case '.':
        return stop(pickle);
    case 'R':
    case OPCODE_NEWOBJ:
        return call(pickle, 1);
    case OPCODE_NEWOBJ_EX:
        return call(pickle, 2);
    case 'b':
        return build(pickle);
    case 'c':
        return global(pickle);
    case 'i':
    case 'o':
        return instance(pickle);
    case 0x80:
        return protocol(pickle);
    case 0x82:
    case 0x83:
    case 0x84:
        return extension(pickle);
    case 0x93:
        return stack_global(pickle);
    case 0x95:
        return frame(pickle);
    case 0x98:
        return true;
    default:
        return apply_memo(pickle);
    }
}
