/* The part that everything begins with: it waits for the first bytes, and hands on to what they may
 * be of. A magic number does not rule a pickle out: GGUF's first bytes are an opcode with its
 * argument, a safetensors header's length may be one, and a name says nothing. What a file claims
 * to be and what its bytes may be loaded as are read side by side. */
#include "scan/part.h"

#include <string.h>

#define HEAD_SIZE    16
#define TAR_SIZE     512 /* bytes of a tar header: as many are waited for of a file */
#define LFS_MAX_SIZE 1024

/* What the file claims to be, and what it would be loaded as. */
enum { READ_AS_FORMAT, READ_AS_CONTENT, READINGS };

typedef struct {
    ScanPart base;
    ScanPlace place;
    uint8_t head[TAR_SIZE];
    size_t used;
    bool chosen;
    ScanPart *parts[READINGS]; /* NULL, once chosen: there is none, or it wants no more */
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

static bool path_has(const char *path, const char *ending)
{
    size_t length = strlen(path), end = strlen(ending);
    return length >= end && g_ascii_strcasecmp(path + length - end, ending) == 0;
}

bool is_pickle_path(const char *path)
{
    static const char *const ENDINGS[] = {".pkl", ".pickle", ".joblib", ".pt",  ".pth",  ".ckpt",
                                          ".bin", ".dill",   ".p",      ".sav", ".model"};
    for (size_t i = 0; i < G_N_ELEMENTS(ENDINGS); i++) {
        g_autofree char *packed = g_strconcat(ENDINGS[i], ".", NULL);
        if (path_has(path, ENDINGS[i]) || strstr(path, packed))
            return true;
    }
    return false;
}

/* bzip2's first block, or the end of an empty one: without it the bytes are those of BINBYTES. */
static bool is_bzip2(const Head *head)
{
    return BEGINS(head, "BZh") && head->used >= 10 &&
           (memcmp(head->head + 4, "1AY&SY", 6) == 0 ||
            memcmp(head->head + 4, "\x17\x72\x45\x38\x50\x90", 6) == 0);
}

/* LZMA's old format has no magic number: the usual properties, then a size of less than 256 GiB or
 * none. */
static bool is_lzma(const Head *head)
{
    static const uint8_t NONE[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    const uint8_t *size = head->head + 5;
    return BEGINS(head, "\x5d\0") && head->used >= 13 &&
           (memcmp(size, NONE, sizeof NONE) == 0 ||
            (size[4] < 0x40 && memcmp(size + 5, "\0\0\0", 3) == 0));
}

/* joblib's before 0.10: "ZF", a length in hexadecimal digits, zlib. */
static bool is_zfile(const Head *head)
{
    if (!BEGINS(head, "ZF") || head->used < HEAD_SIZE)
        return false;
    for (size_t i = 2; i < HEAD_SIZE; i++)
        if (!g_ascii_isxdigit(head->head[i]) && !memchr("xX_ ", head->head[i], 4))
            return false;
    return true;
}

static uint64_t tar_checksum(const uint8_t *field)
{
    uint64_t sum = 0;
    for (int i = 0; i < 8; i++) {
        if (field[0] & 0x80)
            sum = sum << 8 | (i ? field[i] : field[i] & 0x7f);
        else if (field[i] >= '0' && field[i] <= '7')
            sum = sum << 3 | (uint64_t)(field[i] - '0');
    }
    return sum;
}

/* What torch.save wrote at first. The sum of the header's bytes, its own as blanks, stands in it;
 * some writers took the bytes as signed. */
static bool is_tar(const Head *head)
{
    enum { AT = 148, LENGTH = 8 };
    int64_t plain = LENGTH * ' ', is_signed = LENGTH * ' ';
    if (head->used < TAR_SIZE)
        return false;
    for (size_t i = 0; i < TAR_SIZE; i++) {
        bool own = i >= AT && i < AT + LENGTH;
        plain += own ? 0 : head->head[i];
        is_signed += own ? 0 : (int8_t)head->head[i];
    }
    int64_t sum = (int64_t)tar_checksum(head->head + AT);
    return head->head[0] != '\0' && (sum == plain || sum == is_signed);
}

/* What joblib, pandas and torch read and this does not undo; none of it is a pickle as it lies
 * there, or it is told as unread all the same. */
static const char *foreign(const Head *head)
{
    if (is_bzip2(head))
        return "it is compressed with bzip2";
    if (BEGINS(head, "\xfd"
                     "7zXZ") ||
        is_lzma(head))
        return "it is compressed with xz";
    if (BEGINS(head, "\x04\x22\x4d\x18"))
        return "it is compressed with lz4";
    if (BEGINS(head, "\x28\xb5\x2f\xfd"))
        return "it is compressed with zstd";
    if (is_zfile(head))
        return "it is compressed in joblib's old way";
    return is_tar(head) ? "it is a tar archive" : NULL;
}

const char *scan_ending(const char *path)
{
    static const char *const FORMATS[] = {".gguf", ".safetensors", ".onnx"};
    for (size_t i = 0; i < G_N_ELEMENTS(FORMATS); i++)
        if (path_has(path, FORMATS[i]))
            return FORMATS[i];
    return is_pickle_path(path) ? ".pkl" : "";
}

static bool is_zlib(const Head *head)
{
    return head->used >= 2 && head->head[0] == 0x78 &&
           (head->head[0] << 8 | head->head[1]) % 31 == 0 && !(head->head[1] & 0x20);
}

static bool is_safetensors(const Head *head)
{
    if (path_has(head->place.context->path, ".safetensors"))
        return true;
    /* A length below 4 GiB, and JSON. */
    return head->used >= 10 && memcmp(head->head + 4, "\0\0\0\0{\"", 6) == 0;
}

/* Formats that only a file is looked at for, not what lies in an archive. */
static ScanPart *format_of(Head *head)
{
    ScanContext *context = head->place.context;
    if (BEGINS(head, "GGUF") || path_has(context->path, ".gguf"))
        return gguf_part_new(&head->place);
    if (is_safetensors(head))
        return safetensors_part_new(&head->place);
    if (path_has(context->path, ".onnx"))
        return onnx_part_new(&head->place);
    return NULL;
}

static ScanPart *content_of(Head *head)
{
    const ScanPlace *place = &head->place;
    const char *why = place->depth == 0 ? foreign(head) : NULL;
    if (why)
        report_unread(place->context->report, why, place->member);
    if (why || head->used == 0)
        return NULL;
    if (BEGINS(head, "PK\3\4") || BEGINS(head, "PK\5\6"))
        return zip_part_new(place);
    if (BEGINS(head, "\x93NUMPY"))
        return npy_part_new(place);
    if (BEGINS(head, "\x1f\x8b\x08"))
        return inflate_part_new(place, INFLATE_GZIP);
    if (is_zlib(head))
        return inflate_part_new(place, INFLATE_ZLIB);
    return pickle_part_new(place);
}

static void choose(Head *head)
{
    const ScanContext *context = head->place.context;
    head->chosen = true;
    if (context->size < LFS_MAX_SIZE && BEGINS(head, "version http"))
        return; /* a Git LFS pointer, which the check names as one */
    if (head->place.depth == 0)
        head->parts[READ_AS_FORMAT] = format_of(head);
    head->parts[READ_AS_CONTENT] = content_of(head);
}

/* False: nothing more is wanted. */
static bool hand_on(Head *head, const uint8_t *data, size_t size)
{
    bool wanted = false;
    for (int i = 0; i < READINGS; i++) {
        ScanPart *part = head->parts[i];
        if (part && size > 0 && !part->feed(part, data, size)) {
            part->end(part);
            g_clear_pointer(&head->parts[i], scan_part_free);
        }
        wanted = wanted || head->parts[i];
    }
    return wanted;
}

static bool head_feed(ScanPart *part, const uint8_t *data, size_t size)
{
    Head *head = (Head *)part;
    if (head->chosen)
        return hand_on(head, data, size);
    size_t whole = head->place.depth == 0 ? TAR_SIZE : HEAD_SIZE;
    size_t taken = MIN(whole - head->used, size);
    memcpy(head->head + head->used, data, taken);
    head->used += taken;
    if (head->used < whole)
        return true;
    choose(head);
    return hand_on(head, head->head, head->used) && hand_on(head, data + taken, size - taken);
}

static void head_end(ScanPart *part)
{
    Head *head = (Head *)part;
    if (!head->chosen) {
        choose(head);
        hand_on(head, head->head, head->used);
    }
    for (int i = 0; i < READINGS; i++)
        if (head->parts[i])
            head->parts[i]->end(head->parts[i]);
}

static void head_free(ScanPart *part)
{
    Head *head = (Head *)part;
    for (int i = 0; i < READINGS; i++)
        scan_part_free(head->parts[i]);
    g_free(head);
}

ScanPart *scan_part_new(const ScanPlace *place)
{
    if (place->depth > SCAN_MAX_DEPTH) {
        report_unread(place->context->report, "archives and pickles lie too deep in each other",
                      place->member);
        return NULL;
    }
    if (++place->context->parts > SCAN_MAX_PARTS) {
        report_unread(place->context->report, "it holds more parts than are followed",
                      place->member);
        return NULL;
    }
    Head *head = g_new0(Head, 1);
    head->base = (ScanPart){head_feed, head_end, head_free};
    head->place = *place;
    return &head->base;
}
