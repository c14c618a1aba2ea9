/* Inside of scan/: the parts that a scan is made of. Each takes the bytes of one thing (a file, a
 * member of an archive, what was decompressed, bytes in a pickle), and makes parts for what lies
 * inside of it. */
#pragma once

#include "scan/report.h"

typedef struct ScanPart ScanPart;

/* What all parts of a scan share. */
typedef struct {
    Report *report;
    const char *path;
    int64_t size;           /* of the file */
    int64_t memory;         /* bytes that may still be held */
    int64_t inflated;       /* bytes decompressed so far */
    int64_t parts, streams; /* made so far */
} ScanContext;

/* Where a part stands. Whoever makes a part outlives it. */
typedef struct {
    ScanContext *context;
    const char *member; /* "archive/data.pkl", "a.zip/b.pkl"; NULL: the file itself */
    int depth;          /* 0: the file itself */
    int64_t offset;     /* of its first byte in the member, as it is decompressed */
    bool guessed;       /* bytes of a pickle's, which may be of anything */
} ScanPlace;

struct ScanPart {
    /* False: it wants no more, and is not fed again. */
    bool (*feed)(ScanPart *part, const uint8_t *data, size_t size);
    /* No more comes. Also of a part that wants no more. */
    void (*end)(ScanPart *part);
    void (*free)(ScanPart *part);
};

/* Tells by the first bytes what it is, and takes it on. NULL: it lies too deep, or is one too many,
 * which is told. */
ScanPart *scan_part_new(const ScanPlace *place);
void scan_part_free(ScanPart *part);

/* Whether somebody will take what has this name for a pickle. */
bool is_pickle_path(const char *path);

/* Room for so many bytes more; false: the limit is reached. Given back with a negative number. */
bool scan_take_memory(ScanContext *context, int64_t bytes);

/* The formats. */
ScanPart *pickle_part_new(const ScanPlace *place);
ScanPart *zip_part_new(const ScanPlace *place);
ScanPart *npy_part_new(const ScanPlace *place);
ScanPart *gguf_part_new(const ScanPlace *place);
ScanPart *safetensors_part_new(const ScanPlace *place);
ScanPart *onnx_part_new(const ScanPlace *place);

typedef enum { INFLATE_GZIP, INFLATE_ZLIB, INFLATE_RAW } InflateKind;

/* Decompresses into a part of the same place, one level deeper. NULL: a limit is reached, which is
 * told. */
ScanPart *inflate_part_new(const ScanPlace *place, InflateKind kind);
/* Of such a part: whether the compressed stream has ended, and how many bytes of the last feed
 * belonged to it. */
bool inflate_ended(const ScanPart *part, size_t *used);
/* Every byte is decompressed though nothing more is looked at: where the stream ends is asked. */
void inflate_to_its_end(ScanPart *part);
