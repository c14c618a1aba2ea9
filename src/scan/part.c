/* The part that everything begins with: it waits for the first bytes, and hands on to the format
 * that they are of. */
#include "scan/part.h"

#include <string.h>

#define HEAD_SIZE    12
#define LFS_MAX_SIZE 1024

typedef struct {
    ScanPart base;
    ScanPlace place;
    uint8_t head[HEAD_SIZE];
    size_t used;
    bool chosen;
    ScanPart *inner; /* NULL, once chosen: nothing that is looked into */
} Head;

bool scan_take_memory(ScanContext *context, int64_t bytes)
{
    if (bytes > context->memory)
        return false;
    context->memory -= bytes;
    return true;
}

void scan_part_free(ScanPart *part)
{
    if (part)
        part->free(part);
}

static bool begins(const Head *head, const char *magic, size_t length)
{
    return head->used >= length && memcmp(head->head, magic, length) == 0;
}
#define BEGINS(head, magic) begins(head, magic, sizeof(magic) - 1)

static bool path_ends(const ScanContext *context, const char *ending)
{
    size_t length = strlen(context->path), end = strlen(ending);
    return length >= end && g_ascii_strcasecmp(context->path + length - end, ending) == 0;
}

/* Whether somebody who loads the file will take it for a pickle. */
static bool is_pickle_path(const ScanContext *context)
{
    static const char *const ENDINGS[] = {".pkl", ".pickle", ".joblib", ".pt",  ".pth",  ".ckpt",
                                          ".bin", ".dill",   ".p",      ".sav", ".model"};
    for (size_t i = 0; i < G_N_ELEMENTS(ENDINGS); i++) {
        g_autofree char *packed = g_strconcat(ENDINGS[i], ".", NULL);
        if (path_ends(context, ENDINGS[i]) || strstr(context->path, packed))
            return true;
    }
    return false;
}

/* What joblib packs with and this does not unpack. */
static const char *foreign_compression(const Head *head)
{
    if (BEGINS(head, "BZh"))
        return "it is compressed with bzip2";
    if (BEGINS(head, "\xfd"
                     "7zXZ") ||
        BEGINS(head, "\x5d\0\0"))
        return "it is compressed with xz";
    if (BEGINS(head, "\x04\x22\x4d\x18"))
        return "it is compressed with lz4";
    if (BEGINS(head, "\x28\xb5\x2f\xfd"))
        return "it is compressed with zstd";
    return NULL;
}

static bool is_zlib(const Head *head)
{
    return head->used >= 2 && head->head[0] == 0x78 &&
           (head->head[0] << 8 | head->head[1]) % 31 == 0 && !(head->head[1] & 0x20);
}

static bool is_safetensors(const Head *head)
{
    if (path_ends(head->place.context, ".safetensors"))
        return true;
    /* A length below 4 GiB, and JSON. */
    return head->used >= 10 && memcmp(head->head + 4, "\0\0\0\0{\"", 6) == 0;
}

/* Formats that only a file is looked at for, not what lies in an archive. */
static ScanPart *choose_of_file(Head *head)
{
    ScanContext *context = head->place.context;
    if (BEGINS(head, "GGUF") || path_ends(context, ".gguf"))
        return gguf_part_new(&head->place);
    if (is_safetensors(head))
        return safetensors_part_new(&head->place);
    if (path_ends(context, ".onnx"))
        return onnx_part_new(&head->place);
    return NULL;
}

static ScanPart *choose(Head *head)
{
    const ScanPlace *place = &head->place;
    if (place->context->size < LFS_MAX_SIZE && BEGINS(head, "version http"))
        return NULL; /* a Git LFS pointer, which the check names as one */
    ScanPart *of_file = place->depth == 0 ? choose_of_file(head) : NULL;
    if (of_file || head->used == 0)
        return of_file;
    if (BEGINS(head, "PK\3\4") || BEGINS(head, "PK\5\6"))
        return zip_part_new(place);
    if (BEGINS(head, "\x93NUMPY"))
        return npy_part_new(place);
    if (BEGINS(head, "\x1f\x8b\x08"))
        return inflate_part_new(place, INFLATE_GZIP);
    if (is_zlib(head))
        return inflate_part_new(place, INFLATE_ZLIB);
    const char *foreign = foreign_compression(head);
    if (foreign && place->depth == 0 && is_pickle_path(place->context))
        report_unread(place->context->report, foreign, place->member);
    return foreign ? NULL : pickle_part_new(place);
}

/* False: nothing more is wanted. */
static bool hand_on(Head *head)
{
    head->chosen = true;
    head->inner = choose(head);
    return head->inner &&
           (head->used == 0 || head->inner->feed(head->inner, head->head, head->used));
}

static bool head_feed(ScanPart *part, const uint8_t *data, size_t size)
{
    Head *head = (Head *)part;
    if (head->chosen)
        return head->inner->feed(head->inner, data, size);
    size_t taken = MIN(HEAD_SIZE - head->used, size);
    memcpy(head->head + head->used, data, taken);
    head->used += taken;
    if (head->used < HEAD_SIZE)
        return true;
    if (!hand_on(head))
        return false;
    return taken == size || head->inner->feed(head->inner, data + taken, size - taken);
}

static void head_end(ScanPart *part)
{
    Head *head = (Head *)part;
    if (!head->chosen)
        hand_on(head);
    if (head->inner)
        head->inner->end(head->inner);
}

static void head_free(ScanPart *part)
{
    Head *head = (Head *)part;
    scan_part_free(head->inner);
    g_free(head);
}

ScanPart *scan_part_new(const ScanPlace *place)
{
    if (place->depth > SCAN_MAX_DEPTH) {
        report_unread(place->context->report, "archives and pickles lie too deep in each other",
                      place->member);
        return NULL;
    }
    Head *head = g_new0(Head, 1);
    head->base = (ScanPart){head_feed, head_end, head_free};
    head->place = *place;
    return &head->base;
}
