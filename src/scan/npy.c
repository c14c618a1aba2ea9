/* .npy (NEP 1): a header in Python's syntax; behind that of objects stands a pickle, behind that of
 * numbers as many bytes as it says. Of a file more may follow, as several calls of numpy.save in a
 * row leave it; of a member of an archive nobody reads on. */
#include <string.h>

#include "scan/npy_header.h"
#include "scan/part.h"

#define MAX_HEADER (64 << 10)
#define MAGIC      "\x93NUMPY"
#define MAGIC_SIZE 6
#define FIXED_SIZE 12 /* with the longer length */

typedef struct {
    ScanPart base;
    ScanPlace place;
    bool alone;       /* a file, of which all is read */
    GByteArray *head; /* until the header is whole */
    uint64_t numbers; /* bytes to pass over */
    int64_t position;
    ScanPart *inner;
} Npy;

static size_t header_begin(const GByteArray *head)
{
    return head->data[6] == 1 ? 10 : 12;
}

static size_t header_end(const GByteArray *head)
{
    const uint8_t *at = head->data;
    if (at[6] == 1)
        return 10 + (size_t)(at[8] | at[9] << 8);
    return 12 + ((size_t)at[8] | (size_t)at[9] << 8 | (size_t)at[10] << 16 | (size_t)at[11] << 24);
}

static bool unread(const Npy *npy, const char *why)
{
    report_unread(npy->place.context->report, why, npy->place.member);
    return false;
}

/* What follows is looked at for itself. */
static bool open_inner(Npy *npy)
{
    ScanPlace place = npy->place;
    place.offset += npy->position;
    npy->inner = scan_part_new(&place);
    g_byte_array_set_size(npy->head, 0);
    return npy->inner != NULL;
}

static bool header_whole(Npy *npy)
{
    size_t begin = header_begin(npy->head);
    switch (npy_header_content((const char *)npy->head->data + begin, npy->head->len - begin,
                               &npy->numbers)) {
    case NPY_OBJECTS:
        return open_inner(npy);
    case NPY_NUMBERS:
        g_byte_array_set_size(npy->head, 0);
        return npy->alone;
    case NPY_UNKNOWN:
        break;
    }
    return unread(npy, "its .npy header is not one that numpy writes");
}

/* What comes behind the numbers and is no array. */
static bool other_content(Npy *npy)
{
    g_autofree uint8_t *begun = g_memdup2(npy->head->data, npy->head->len);
    size_t size = npy->head->len;
    npy->position -= (int64_t)size;
    return open_inner(npy) && npy->inner->feed(npy->inner, begun, size);
}

/* More of the header: it is whole, or something else. */
static bool head_grown(Npy *npy)
{
    const GByteArray *head = npy->head;
    if (memcmp(head->data, MAGIC, MAGIC_SIZE) != 0)
        return other_content(npy);
    if (head->len < FIXED_SIZE)
        return true;
    if (header_end(head) > MAX_HEADER)
        return unread(npy, "its .npy header is longer than 64 KiB");
    return head->len < header_end(head) || header_whole(npy);
}

static size_t head_wanted(const Npy *npy)
{
    if (npy->head->len < MAGIC_SIZE)
        return MAGIC_SIZE;
    return npy->head->len < FIXED_SIZE ? FIXED_SIZE : header_end(npy->head);
}

static bool npy_feed(ScanPart *part, const uint8_t *data, size_t size)
{
    Npy *npy = (Npy *)part;
    bool goes_on = true;
    while (goes_on && !npy->inner && size > 0) {
        bool skips = npy->numbers > 0;
        size_t taken = MIN(size, skips ? npy->numbers : head_wanted(npy) - npy->head->len);
        if (skips)
            npy->numbers -= taken;
        else
            g_byte_array_append(npy->head, data, (guint)taken);
        npy->position += (int64_t)taken;
        data += taken;
        size -= taken;
        if (!skips && npy->head->len >= MAGIC_SIZE)
            goes_on = head_grown(npy);
    }
    return goes_on && (size == 0 || npy->inner->feed(npy->inner, data, size));
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
    npy->alone = place->depth == 0;
    npy->place = *place;
    npy->place.depth++;
    npy->head = g_byte_array_new();
    return &npy->base;
}
