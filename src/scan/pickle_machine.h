/* Inside of scan/: one pickle as it is taken apart: pickle.c reads opcodes and their arguments out
 * of the bytes, pickle_apply.c knows what each of them does. */
#pragma once

#include "scan/pickle_stack.h"

typedef struct {
    char *module, *name; /* NULL: not written out */
    int64_t position;
} Held;

/* One stream; `outer` goes on after its end, where joblib wrote it between the opcodes. */
typedef struct Stream Stream;
struct Stream {
    Stream *outer;
    PickleStack stack;
    GArray *held; /* of Held */
    bool sure;    /* its imports are told at once */
    bool imports; /* it has some that are told */
    int opcodes;  /* that were seen, up to 2 */
    /* What the dictionary before a wrapper's BUILD said. */
    int64_t shape, alignment;
    Value dtype;
};

typedef enum { READ_OPCODE, READ_NUMBER, READ_LINE, READ_KEPT, READ_SKIPPED, READ_PADDING } Read;

typedef struct {
    ScanPart base;
    ScanPlace place;
    Stream *stream;
    int depth; /* streams inside of each other */
    int64_t position, opcode_position;
    Read read;
    uint8_t opcode;
    uint8_t number[8]; /* little-endian */
    size_t number_used, number_size;
    GByteArray *text; /* a line, a short text */
    char *first_line;
    bool text_cut;   /* it was longer than what is kept */
    uint64_t left;   /* bytes to keep or to skip */
    ScanPart *inner; /* what looks into the bytes that pass */
    bool array;      /* they are an array of joblib's */
    bool looked_at;  /* the first of them were */
    bool stopped;
} Pickle;

Stream *pickle_stream_new(const Pickle *pickle, Stream *outer);
/* Returns the outer one. */
Stream *pickle_stream_free(Stream *stream);

/* What the opcode does once its argument is known. False: Python would fail here. */
bool pickle_apply(Pickle *pickle);
/* No more can be made of it: Python would fail here, or find what this does not. Always false. */
bool pickle_stops(Pickle *pickle, const char *why);
