/* .npy (NEP 1): a header in Python's syntax; behind that of objects stands a pickle. */
#include <string.h>

#include "scan/part.h"

#define MAX_HEADER (64 << 10)

typedef struct {
    ScanPart base;
    ScanPlace place;
    GByteArray *head; /* until the header is whole */
    ScanPart *inner;
} Npy;

/* 0: not known yet. */
static size_t header_end(const GByteArray *head)
{
    if (head->len < 12)
        return 0;
    const uint8_t *at = head->data;
    if (at[6] == 1)
        return 10 + (size_t)(at[8] | at[9] << 8);
    return 12 + ((size_t)at[8] | (size_t)at[9] << 8 | (size_t)at[10] << 16 | (size_t)at[11] << 24);
}

static bool holds_objects(const GByteArray *head)
{
    g_autofree char *text = g_strndup((const char *)head->data + 10, head->len - 10);
    return strstr(text, "|O") || strstr(text, "'O'") || strstr(text, "\"O\"") ||
           strstr(text, "'O8'") || strstr(text, "object");
}

static bool npy_feed(ScanPart *part, const uint8_t *data, size_t size)
{
    Npy *npy = (Npy *)part;
    while (!npy->inner && size > 0) {
        size_t end = header_end(npy->head), wanted = end ? end : 12;
        if (end > MAX_HEADER) {
            report_unread(npy->place.context->report, "its .npy header is longer than 64 KiB",
                          npy->place.member);
            return false;
        }
        size_t taken = wanted > npy->head->len ? MIN(wanted - npy->head->len, size) : 0;
        g_byte_array_append(npy->head, data, (guint)taken);
        data += taken;
        size -= taken;
        if (!end || npy->head->len < end)
            continue;
        if (!holds_objects(npy->head))
            return false;
        npy->inner = scan_part_new(&npy->place);
        if (!npy->inner)
            return false;
    }
    return size == 0 || npy->inner->feed(npy->inner, data, size);
}

static void npy_end(ScanPart *part)
{
    Npy *npy = (Npy *)part;
    if (npy->inner)
        npy->inner->end(npy->inner);
}

static void npy_free(ScanPart *part)
{
    Npy *npy = (Npy *)part;
    g_byte_array_unref(npy->head);
    scan_part_free(npy->inner);
    g_free(npy);
}

ScanPart *npy_part_new(const ScanPlace *place)
{
    Npy *npy = g_new0(Npy, 1);
    npy->base = (ScanPart){npy_feed, npy_end, npy_free};
    npy->place = *place;
    npy->place.depth++;
    npy->head = g_byte_array_new();
    return &npy->base;
}
