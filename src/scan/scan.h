/* What a model file says of itself, seen while its bytes pass: no file is read a second time for
 * it.
 *
 * - pickle: the names that loading it imports; bare streams, several in a row, inside of each
 * other, in zip archives (torch.save, .npz), behind an .npy header, with joblib's arrays between,
 * in gzip and zlib
 * - GGUF, safetensors: whether the file is as long as its header says
 * - ONNX: the files that its tensors lie in
 *
 * Whatever the input is, memory stays under SCAN_MEMORY. Bytes that say nothing (tensors) are
 * passed over without a look at them. The format is told by the content; the name decides only
 * where the content cannot (safetensors and ONNX have no magic number), and never that a file is no
 * pickle.
 *
 * It finds what is there and never that there is nothing to find: where it has to give up, the
 * report says so (`unread`). */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <glib.h>

#define SCAN_MEMORY       ((int64_t)12 << 20) /* about what one file's scan holds at most, in bytes */
#define SCAN_MAX_INFLATED ((int64_t)1 << 30) /* bytes that are decompressed of one file */
#define SCAN_MAX_DEPTH    5 /* archives, compressed streams and pickles inside of each other */
#define SCAN_MAX_PARTS    ((int64_t)4 << 20)  /* things inside of each other, in all */
#define SCAN_MAX_STREAMS  ((int64_t)64 << 10) /* compressed ones of them */
#define SCAN_MAX_NAMES    40 /* imports told of one file, of each of the three ranks */
/* A report of another number is not what this version would tell. */
#define SCAN_RULES        2

typedef struct Scan Scan;

/* What of a path decides how its file is read: the ending of a format that is told by it alone, or
 * of pickles, "" for all others. Static text. The same bytes under the same ending give the same
 * report. */
const char *scan_ending(const char *path);

/* path: for its ending. size: of the whole file, in bytes. */
Scan *scan_new(const char *path, int64_t size);
void scan_free(Scan *scan);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Scan, scan_free)

/* The next bytes, in any portions. False: the rest of the file says nothing more. */
bool scan_feed(Scan *scan, const void *data, size_t size);
/* The file ended, or scan_feed has answered false. NULL: nothing is to be told; else a new
 * reference to
 *
 *   {"format": "pickle" | "GGUF" | "safetensors" | "ONNX" | "zip" | …,
 *    "imports": [{"name": "os.system", "rank": "dangerous" | "unlisted" | "listed",
 *                 "member": "archive/data.pkl", "position": 12}],   "member" where there is one;
 *                                                                   dangerous ones first
 *    "count": 7, "dangerous": 1, "unlisted": 2,           of distinct names; only with imports
 *    "unread": "why", "unread_member": "…",               it may import more than was seen
 *    "truncated": {"expected": 20, "found": 12},          bytes; the header says more than there is
 *    "broken": "what", "broken_expected": n, "broken_found": n,
 *    "external": [{"path": "weights.bin", "end": 4096}]}  as the file names them; bytes needed
 *
 * of which each part is there only where it has something to say. Text is UTF-8 without control
 * characters. */
json_t *scan_end(Scan *scan);
/* Whether all that it tells are imports that are listed: there is nothing to be told. */
bool scan_report_is_quiet(const json_t *report);
/* Of very many files: what a report says, with one name of its imports. */
void scan_report_shorten(json_t *report);
