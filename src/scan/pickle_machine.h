/* Inside of scan/: one pickle as it is taken apart: pickle.c reads opcodes and their arguments out
 * of the bytes, pickle_apply.c knows what each of them does, pickle_array.c where joblib's arrays
 * stand between them. */
#pragma once

#include "scan/pickle_stack.h"

typedef struct {
    char *module, *name; /* NULL: not written out */
    int64_t position;
} Held;

/* What is known of the state of a wrapper of joblib's. */
typedef struct {
    int64_t dict;  /* that it is */
    int64_t shape; /* items, -1: unknown */
    Value dtype;
    bool aligned;   /* the bytes are padded */
    bool uncertain; /* there may be more in it */
} WrapperState;
#define WRAPPER_UNCERTAIN (-1)

/* One stream; `outer` goes on after its end, where joblib wrote it between the opcodes. */
typedef struct Stream Stream;
struct Stream {
    Stream *outer;
    bool marked; /* it begins with PROTO */
    PickleStack stack;
    GArray *held;            /* of Held */
    bool sure;               /* its imports are told at once */
    bool imports;            /* it has some that are told */
    int opcodes;             /* that were seen, up to OPCODES_COUNTED */
    GArray *dtypes;          /* of joblib's arrays */
    int64_t wrappers, built; /* the newest one that was made; that was given its state */
    int64_t dicts;           /* those made right behind one */
    WrapperState state;      /* of the newest one that had something put into it */
};
#define OPCODES_COUNTED 8

typedef enum { READ_OPCODE, READ_NUMBER, READ_LINE, READ_KEPT, READ_SKIPPED, READ_PADDING } Read;

typedef struct {
    ScanPart base;
    ScanPlace place;
    Stream *stream;
    int depth; /* streams inside of each other */
    int64_t position, opcode_position;
    int64_t argument_position; /* of a text or of bytes */
    Read read;
    uint8_t opcode;
    uint8_t number[8]; /* little-endian */
    size_t number_used, number_size;
    GByteArray *text; /* a line, a short text */
    char *first_line;
    bool text_cut;   /* it was longer than what is kept */
    bool first_cut;  /* the first line was */
    uint64_t left;   /* bytes to keep or to skip */
    ScanPart *inner; /* what looks into the bytes that pass */
    bool array;      /* they are an array of joblib's */
    bool looked_at;  /* the first of them were */
    bool stopped;
    bool behind;       /* a stream has ended */
    bool within;       /* it may be no pickle at all, but bytes inside of one */
    int64_t frame_end; /* of the newest frame */
} Pickle;

#define OPCODE_NEWOBJ    0x81
#define OPCODE_NEWOBJ_EX 0x92

Stream *pickle_stream_new(const Pickle *pickle, Stream *outer);
/* Returns the outer one. */
Stream *pickle_stream_free(Stream *stream);

/* What the opcode does once its argument is known. False: Python would fail here. */
bool pickle_apply(Pickle *pickle);
/* Python would fail here. That is told where it has run something by then, or where it surely was a
 * pickle until now: it may be that Python does not fail after all. Always false. */
bool pickle_fails(Pickle *pickle, const char *why);
/* Python may go on where this does not: always told. Always false. */
bool pickle_gives_up(Pickle *pickle, const char *why);

/* A pickle inside of another one, whose stack and memo are not known. */
ScanPart *pickle_part_new_within(const ScanPlace *place);

GArray *array_dtypes_new(void);
/* The tuple of these items. */
Value array_tuple(const PickleStack *stack, const Items *items);
/* What a call of `called` gives. */
Value array_call(Stream *stream, uint8_t opcode, const Value *called, const Value *arguments);
/* EMPTY_DICT: the dictionary. */
Value array_dict(Stream *stream);
void array_set_items(Stream *stream);
void array_set_item(Stream *stream, const Value *dict, const Value *key, const Value *value);
/* After BUILD. False: the scan ends here. */
bool array_build(Pickle *pickle, const Value *object, const Value *state);
