#include "scan/pickle_stack.h"

#include <string.h>

#define MAX_ENTRIES  65536
#define MAX_NUMBERED 32768 /* from here on numbers are not told apart */
#define MAX_MEMO     (512u << 10)
#define MAX_TEXTS    (4u << 20) /* bytes */

void stack_init(PickleStack *stack, ScanContext *context)
{
    *stack = (PickleStack){.context = context,
                           .stack = g_array_new(FALSE, FALSE, sizeof(Entry)),
                           .memo = g_array_new(FALSE, TRUE, sizeof(Value)),
                           .texts = g_byte_array_new()};
    g_byte_array_append(stack->texts, (const guint8 *)"", 1); /* place 0 is none */
}

void stack_clear(PickleStack *stack)
{
    if (!stack->stack)
        return;
    scan_take_memory(stack->context, -stack->held);
    g_clear_pointer(&stack->stack, g_array_unref);
    g_clear_pointer(&stack->memo, g_array_unref);
    g_clear_pointer(&stack->texts, g_byte_array_unref);
    g_clear_pointer(&stack->ring, g_free);
}

static bool take(PickleStack *stack, int64_t bytes)
{
    if (!scan_take_memory(stack->context, bytes))
        return false;
    stack->held += bytes;
    return true;
}

static Entry *entry_at(const PickleStack *stack, guint i)
{
    return &g_array_index(stack->stack, Entry, i);
}

/* Runs of these are one entry. */
static bool merges(const Value *value)
{
    return value->kind == VALUE_ANY || value->kind == VALUE_MARK;
}

void stack_push(PickleStack *stack, Value value)
{
    guint depth = stack->stack->len;
    Entry *top = depth ? entry_at(stack, depth - 1) : NULL;
    if ((value.kind == VALUE_NUMBER || value.kind == VALUE_TUPLE) && depth >= MAX_NUMBERED)
        value = ANY; /* of so many nobody makes a shape */
    stack->wrappers = stack->wrappers || value_is_wrapper(&value);
    if (top && merges(&value) && top->value.kind == value.kind && top->count < UINT32_MAX) {
        top->count++;
        if (top->value.class != value.class)
            top->value.class = CLASS_OTHER;
        return;
    }
    if (depth >= MAX_ENTRIES) {
        stack->full = true;
        return;
    }
    g_array_append_vals(stack->stack, &(Entry){value, 1}, 1);
}

bool value_is_wrapper(const Value *value)
{
    return value->kind == VALUE_WRAPPER ||
           (value->kind == VALUE_CLASS && value->class == CLASS_WRAPPER);
}

bool stack_top(const PickleStack *stack, Value *value)
{
    *value = ANY;
    if (stack->stack->len == 0)
        return stack->within;
    *value = entry_at(stack, stack->stack->len - 1)->value;
    return value->kind != VALUE_MARK;
}

static void take_one(PickleStack *stack)
{
    guint last = stack->stack->len - 1;
    if (--entry_at(stack, last)->count == 0)
        g_array_set_size(stack->stack, last);
}

bool stack_pop(PickleStack *stack, Value *value)
{
    if (!stack_top(stack, value))
        return false;
    if (stack->stack->len > 0)
        take_one(stack);
    stack->leaked = stack->leaked || value_is_wrapper(value);
    return true;
}

bool stack_pop_mark(PickleStack *stack)
{
    guint depth = stack->stack->len;
    if (depth == 0 || entry_at(stack, depth - 1)->value.kind != VALUE_MARK)
        return false;
    take_one(stack);
    return true;
}

/* The place of the newest mark, or -1. */
static int64_t mark_place(const PickleStack *stack)
{
    for (guint i = stack->stack->len; i > 0; i--)
        if (entry_at(stack, i - 1)->value.kind == VALUE_MARK)
            return i - 1;
    return -1;
}

static int64_t product_of(int64_t product, const Value *value)
{
    int64_t result;
    if (product < 0 || value->kind != VALUE_NUMBER || value->number < 0 ||
        __builtin_mul_overflow(product, value->number, &result))
        return -1;
    return result;
}

static void items_add(Items *items, const Entry *entry)
{
    for (uint32_t n = 0; n < entry->count && items->count + n < ITEMS_KEPT; n++)
        items->at[items->count + n] = entry->value;
    items->count += entry->count;
    items->product = product_of(items->product, &entry->value);
}

bool stack_pop_items(PickleStack *stack, Items *items)
{
    int64_t mark = mark_place(stack);
    *items = (Items){.product = 1};
    if (mark < 0 && !stack->within)
        return false;
    if (mark < 0) /* it stands beneath, with what is not known */
        items->product = -1;
    for (guint i = (guint)(mark + 1); i < stack->stack->len; i++) {
        items_add(items, entry_at(stack, i));
        stack->leaked = stack->leaked || value_is_wrapper(&entry_at(stack, i)->value);
    }
    g_array_set_size(stack->stack, (guint)(mark + 1));
    return mark < 0 || stack_pop_mark(stack);
}

Value stack_below_mark(const PickleStack *stack)
{
    int64_t mark = mark_place(stack);
    if (mark < 0 || entry_at(stack, (guint)mark)->count > 1 || mark == 0)
        return ANY;
    return entry_at(stack, (guint)mark - 1)->value;
}

void stack_each_pair(const PickleStack *stack, PairFunc pair, gpointer data)
{
    bool is_key = true;
    Value key = ANY;
    for (guint i = (guint)(mark_place(stack) + 1); i < stack->stack->len; i++) {
        const Entry *entry = entry_at(stack, i);
        /* Of a run a few do: each key is a value somewhere, too. */
        for (uint32_t n = entry->count > 3 ? 2 + entry->count % 2 : entry->count; n > 0; n--) {
            if (is_key)
                key = entry->value;
            else
                pair(data, &key, &entry->value);
            is_key = !is_key;
        }
    }
}

/* Places in the ring are those from here on. */
#define RING_PLACE MAX_TEXTS

static Value ring_text(PickleStack *stack, const char *bytes, size_t length)
{
    if (!stack->ring)
        stack->ring = g_malloc(RING_TEXTS * sizeof *stack->ring);
    uint32_t slot = (uint32_t)(stack->ring_count % RING_TEXTS);
    memcpy(stack->ring[slot], bytes, length);
    stack->ring[slot][length] = '\0';
    return VALUE(.kind = VALUE_TEXT, .text = RING_PLACE + slot, .number = stack->ring_count++);
}

Value stack_text(PickleStack *stack, const char *bytes, size_t length)
{
    GByteArray *texts = stack->texts;
    if (length > TEXT_MAX || memchr(bytes, '\0', length))
        return ANY;
    if (texts->len + length + 1 > MAX_TEXTS || !take(stack, (int64_t)length + 1))
        return ring_text(stack, bytes, length);
    uint32_t place = texts->len;
    g_byte_array_append(texts, (const guint8 *)bytes, (guint)length);
    g_byte_array_append(texts, (const guint8 *)"", 1);
    return VALUE(.kind = VALUE_TEXT, .text = place);
}

const char *stack_text_of(const PickleStack *stack, const Value *value)
{
    if (value->kind != VALUE_TEXT)
        return NULL;
    if (value->text < RING_PLACE)
        return (const char *)stack->texts->data + value->text;
    bool kept = value->number + RING_TEXTS >= stack->ring_count;
    return kept ? stack->ring[value->text - RING_PLACE] : NULL;
}

/* Protocols 0 to 3 may leave gaps; what is far out is forgotten. */
static bool memo_grow(PickleStack *stack, uint64_t index)
{
    guint length = stack->memo->len;
    if (index < length)
        return true;
    if (stack->memo_full || index >= MAX_MEMO || index > (uint64_t)length + 65536 ||
        !take(stack, (int64_t)((index + 1 - length) * sizeof(Value)))) {
        stack->memo_full = true;
        return false;
    }
    g_array_set_size(stack->memo, (guint)index + 1);
    return true;
}

static void memo_set(PickleStack *stack, uint64_t index, Value value)
{
    Value *place = &g_array_index(stack->memo, Value, index);
    if (place->kind == VALUE_NONE)
        stack->memoized++;
    *place = value;
}

void memo_put(PickleStack *stack, uint64_t index, Value value)
{
    if (memo_grow(stack, index)) {
        memo_set(stack, index, value);
        return;
    }
    stack->memo_uncounted = true; /* it may have been there already */
    stack->leaked = stack->leaked || value_is_wrapper(&value);
}

void memo_append(PickleStack *stack, Value value)
{
    if (stack->memo_uncounted) { /* any of them may be another one now */
        g_array_set_size(stack->memo, 0);
        stack->memo_full = true;
        stack->leaked = stack->leaked || stack->wrappers;
    } else if (memo_grow(stack, stack->memoized)) {
        memo_set(stack, stack->memoized, value);
    } else {
        stack->memoized++;
        stack->leaked = stack->leaked || value_is_wrapper(&value);
    }
}

Value memo_get(const PickleStack *stack, uint64_t index)
{
    Value value = index < stack->memo->len ? g_array_index(stack->memo, Value, index) : ANY;
    return value.kind == VALUE_NONE ? ANY : value;
}
