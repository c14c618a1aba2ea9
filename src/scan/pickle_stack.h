/* Inside of scan/: the stack and the memo of a pickle machine that remembers only what imports and
 * joblib's arrays need: short texts, small numbers, tuples of numbers, dtypes.
 *
 * Runs of what says nothing are one entry, so that a list of a million items costs as much as one
 * of two. What is forgotten for want of memory becomes VALUE_ANY. */
#pragma once

#include "scan/part.h"

typedef enum {
    VALUE_NONE, /* a gap of the memo */
    VALUE_ANY,
    VALUE_MARK,
    VALUE_TEXT,   /* text; number: which of those that had its place it is */
    VALUE_NUMBER, /* number */
    VALUE_TUPLE,  /* number: the product of its numbers, -1 where it has others; odd: of its last
                     number. Where its first item is a text, class and number are those of the dtype
                     that the text names */
    VALUE_CLASS,  /* class */
    VALUE_DTYPE,  /* number: bytes of an item, -1: unknown; odd: it holds objects */
    VALUE_WRAPPER /* joblib's NumpyArrayWrapper */
} ValueKind;

typedef enum {
    CLASS_OTHER,
    CLASS_DTYPE,
    CLASS_WRAPPER,
    CLASS_TEXT,   /* of a tuple: a text stands first */
    CLASS_OBJECTS /* the same, of a dtype of objects */
} ValueClass;

#define RING_TEXTS 64
#define TEXT_MAX   255 /* bytes */

typedef struct {
    uint8_t kind;
    uint8_t class;
    bool odd;
    uint32_t text; /* place in the arena, 0: none */
    int64_t number;
} Value;

typedef struct {
    Value value;
    uint32_t count; /* of equal ones: more than 1 of VALUE_ANY only */
} Entry;

typedef struct {
    ScanContext *context;
    GArray *stack;              /* of Entry */
    GArray *memo;               /* of Value */
    GByteArray *texts;          /* the arena: texts, each with its NUL */
    char (*ring)[TEXT_MAX + 1]; /* once that is full: the last RING_TEXTS of them */
    int64_t ring_count;         /* texts that have gone through it */
    uint64_t memoized;          /* places of the memo in use, forgotten ones too */
    bool memo_full;             /* no place is remembered any more that is not there already */
    int64_t held;               /* memory taken of the context */
    bool full;                  /* no room for the stack: the machine stops */
} PickleStack;

#define VALUE(...) ((Value){__VA_ARGS__})
#define ANY        VALUE(.kind = VALUE_ANY)

void stack_init(PickleStack *stack, ScanContext *context);
void stack_clear(PickleStack *stack);

void stack_push(PickleStack *stack, Value value);
/* False: there is none, or a mark. */
bool stack_pop(PickleStack *stack, Value *value);
bool stack_top(const PickleStack *stack, Value *value);
/* Items above the newest mark, at most `room` of the first and of the last ones; both are taken
 * away. False: there is no mark. */
typedef struct {
    uint64_t count;
    Value first;
    int64_t product; /* of their numbers; -1: they are not all numbers */
    Value last;
} Items;
bool stack_pop_items(PickleStack *stack, Items *items);
/* Called with each key and value above the newest mark, which stays. */
typedef void (*PairFunc)(gpointer data, const Value *key, const Value *value);
void stack_each_pair(const PickleStack *stack, PairFunc pair, gpointer data);

/* A text that is kept, at least until RING_TEXTS more have come: bytes without NUL. VALUE_ANY: it
 * is longer than TEXT_MAX. */
Value stack_text(PickleStack *stack, const char *bytes, size_t length);
/* NULL: it is none, or none any more. Valid until the next text. */
const char *stack_text_of(const PickleStack *stack, const Value *value);

void memo_put(PickleStack *stack, uint64_t index, Value value);
Value memo_get(const PickleStack *stack, uint64_t index);
/* The index that MEMOIZE takes. */
uint64_t memo_size(const PickleStack *stack);
