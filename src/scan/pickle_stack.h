/* Inside of scan/: the stack and the memo of a pickle machine that remembers only what imports and
 * joblib's arrays need: short texts, small numbers, tuples of numbers, dtypes.
 *
 * Runs of what says nothing are one entry, so that a list of a million items costs as much as one
 * of two. What is forgotten for want of memory becomes VALUE_ANY: it may be anything, and who uses
 * it says so. */
#pragma once

#include "scan/part.h"

typedef enum {
    VALUE_NONE, /* a gap of the memo */
    VALUE_ANY,
    VALUE_MARK,
    VALUE_TEXT,    /* text; number: which of those that had its place it is */
    VALUE_NUMBER,  /* number */
    VALUE_TUPLE,   /* number: the product of its numbers, -1 where it has others; or what class says
                    */
    VALUE_CLASS,   /* class */
    VALUE_DTYPE,   /* number: which of the stream's dtypes */
    VALUE_WRAPPER, /* joblib's NumpyArrayWrapper; number: which of the stream's */
    VALUE_DICT     /* made right behind a wrapper; number: which of the stream's */
} ValueKind;

typedef enum {
    CLASS_OTHER,
    CLASS_DTYPE,
    CLASS_WRAPPER,
    /* Of a tuple: the arguments of a dtype of its own. number: bytes of an item, -1: unknown. */
    CLASS_FIXED,
    CLASS_STRETCHED, /* its state says how many */
    CLASS_OBJECTS,
    /* Of a tuple: a dtype's state. number: bytes of an item; odd: it holds objects. */
    CLASS_STATE,
    CLASS_NONE /* of what may be anything: it is None */
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
    uint32_t count; /* of equal ones: more than 1 of VALUE_ANY and VALUE_MARK only */
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
    bool memo_uncounted;   /* memoized may be wrong: MEMOIZE puts in a place that is not known */
    bool within;           /* there is more beneath it and in its memo that is not known */
    int64_t held;          /* memory taken of the context */
    bool full;             /* no room for the stack: the machine stops */
    bool wrappers, leaked; /* there was a wrapper; see value_is_wrapper */
} PickleStack;

#define VALUE(...) ((Value){__VA_ARGS__})
#define ANY        VALUE(.kind = VALUE_ANY)

void stack_init(PickleStack *stack, ScanContext *context);
void stack_clear(PickleStack *stack);

void stack_push(PickleStack *stack, Value value);
/* Whether it is a wrapper of joblib's or its class. Where one goes anywhere but into the opcodes
 * that make an array of it, objects that are not known may be wrappers: `leaked`. */
bool value_is_wrapper(const Value *value);
/* False: there is none, or a mark. */
bool stack_pop(PickleStack *stack, Value *value);
bool stack_top(const PickleStack *stack, Value *value);
/* A mark is taken away from the top. False: there is none. */
bool stack_pop_mark(PickleStack *stack);
/* Items above the newest mark; both are taken away. False: there is no mark. */
#define ITEMS_KEPT 9
typedef struct {
    uint64_t count;
    Value at[ITEMS_KEPT]; /* the first ones */
    int64_t product;      /* of their numbers; -1: they are not all numbers */
} Items;
bool stack_pop_items(PickleStack *stack, Items *items);
/* Called with each key and value above the newest mark, which stays; of a run of what is not known
 * with one of them. */
typedef void (*PairFunc)(gpointer data, const Value *key, const Value *value);
void stack_each_pair(const PickleStack *stack, PairFunc pair, gpointer data);
/* What stands under the newest mark. */
Value stack_below_mark(const PickleStack *stack);

/* A text that is kept, at least until RING_TEXTS more have come: bytes without NUL. VALUE_ANY: it
 * is longer than TEXT_MAX. */
Value stack_text(PickleStack *stack, const char *bytes, size_t length);
/* NULL: it is none, or none any more. Valid until the next text. */
const char *stack_text_of(const PickleStack *stack, const Value *value);

void memo_put(PickleStack *stack, uint64_t index, Value value);
/* In the next place: as many as there are before it, which need not be free. */
void memo_append(PickleStack *stack, Value value);
/* VALUE_ANY: it is not known. */
Value memo_get(const PickleStack *stack, uint64_t index);
