/* zip archives (PKWARE's APPNOTE), by the headers that stand before the members, as their bytes
 * pass.
 *
 * torch.save stores its members and gives their sizes behind them only: the end of such a member is
 * the first data descriptor whose size is what has passed. Everybody else reads an archive from the
 * directory at its end: that has to be the one that was seen, with nothing before, between and
 * behind (zip_directory.h). What does not come to such an end counts as unread. */
#include <string.h>

#include "scan/zip_directory.h"

#define MAX_MEMBERS 65536
#define LOCAL_SIZE  30
#define DESCRIPTOR  24 /* the longest */
#define AHEAD       (DESCRIPTOR - 1)
#define FLAG_SECRET 1
#define FLAG_BEHIND 8 /* sizes stand behind the content */

typedef enum {
    ZIP_SIGNATURE,
    ZIP_LOCAL,   /* the fixed part, then name and extra */
    ZIP_SIZED,   /* content of a known size */
    ZIP_STORED,  /* content up to its descriptor */
    ZIP_DEFLATE, /* content up to the end of its stream */
    ZIP_BEHIND,  /* a descriptor */
    ZIP_ENTRY,   /* of the directory */
    ZIP_END64,   /* the records behind it */
    ZIP_LOCATOR,
    ZIP_END,  /* the last one, with its comment */
    ZIP_OVER, /* nothing may follow */
    ZIP_DONE
} ZipState;

typedef struct {
    ScanPart base;
    ScanPlace place;
    ZipState state;
    uint64_t position;
    GByteArray *head;  /* a header as it comes; in ZIP_STORED what is not handed on yet */
    size_t wanted;     /* bytes of it */
    GArray *members;   /* of ZipMember; the last one is being read */
    char *name;        /* as reports give it */
    ScanPart *inner;   /* NULL: nothing more of this member is wanted */
    ScanPart *inflate; /* the same as inner, where it is compressed */
    uint64_t left;
    ZipDirectory directory;
} Zip;

static bool zip_lost(Zip *zip, const char *why)
{
    zip->state = ZIP_DONE;
    report_unread(zip->place.context->report, why, zip->name ? zip->name : zip->place.member);
    return false;
}

static ZipMember *zip_member(Zip *zip)
{
    return &g_array_index(zip->members, ZipMember, zip->members->len - 1);
}

static void zip_wait(Zip *zip, ZipState state, size_t wanted)
{
    zip->state = state;
    zip->wanted = wanted;
    if (state == ZIP_SIGNATURE || state == ZIP_STORED || state == ZIP_BEHIND)
        g_byte_array_set_size(zip->head, 0);
}

/* -- a member's content -- */

static void member_end(Zip *zip)
{
    if (zip->inner)
        zip->inner->end(zip->inner);
    g_clear_pointer(&zip->inner, scan_part_free);
    zip->inflate = NULL;
}

/* False: it wants no more. */
static bool member_feed(Zip *zip, const uint8_t *data, size_t size)
{
    zip_member(zip)->packed += size;
    return !zip->inner || size == 0 || zip->inner->feed(zip->inner, data, size);
}

static void member_open(Zip *zip, unsigned flags, unsigned method)
{
    ScanPlace place = zip->place;
    place.member = zip->name;
    place.depth++;
    place.offset = 0;
    bool readable = !(flags & FLAG_SECRET) && (method == 0 || method == 8);
    if (readable && method == 0)
        zip->inner = scan_part_new(&place);
    else if (readable)
        zip->inner = zip->inflate = inflate_part_new(&place, INFLATE_RAW);
    else
        report_unread(place.context->report,
                      flags & FLAG_SECRET ? "a member is encrypted"
                                          : "a member is compressed in another way than deflate",
                      zip->name);
}

/* -- headers -- */

static bool local_begin(Zip *zip)
{
    const uint8_t *head = zip->head->data;
    unsigned flags = zip_u16(head + 6), method = zip_u16(head + 8);
    uint64_t packed = zip_u32(head + 18), unpacked = zip_u32(head + 22);
    size_t name = zip_u16(head + 26), extra = zip_u16(head + 28);
    zip_extra(head + LOCAL_SIZE + name, extra, &unpacked, &packed, NULL);
    g_autofree char *own = g_strndup((const char *)head + LOCAL_SIZE, name);
    g_free(zip->name);
    zip->name =
        zip->place.member ? g_strdup_printf("%s/%s", zip->place.member, own) : g_strdup(own);
    zip_member(zip)->method = method;
    member_open(zip, flags, method);
    bool behind = (flags & FLAG_BEHIND) && packed == 0;
    if (behind && method == 0) {
        zip_wait(zip, ZIP_STORED, 0);
    } else if (behind && zip->inflate) {
        inflate_to_its_end(zip->inflate);
        zip_wait(zip, ZIP_DEFLATE, 0);
    } else if (behind) {
        return zip_lost(zip, "an archive's member does not say how long it is");
    } else {
        zip->left = packed;
        zip_wait(zip, ZIP_SIZED, 0);
        if (flags & FLAG_BEHIND)
            zip->wanted = 1; /* and a descriptor all the same */
    }
    return true;
}

static bool member_begins(Zip *zip)
{
    if (zip->members->len >= MAX_MEMBERS ||
        !scan_take_memory(zip->place.context, sizeof(ZipMember)))
        return zip_lost(zip, "an archive has more members than are followed");
    g_array_append_vals(zip->members, &(ZipMember){.offset = zip->position - 4}, 1);
    zip_wait(zip, ZIP_LOCAL, LOCAL_SIZE);
    return true;
}

/* A record behind the directory. An end that stands right behind a member could be told from what
 * that member holds. */
static bool end_begins(Zip *zip, ZipState state, size_t wanted)
{
    ZipDirectory *directory = &zip->directory;
    if (zip->members->len > 0 && directory->entries == 0)
        return zip_lost(zip, "an archive's directory names none of its members");
    if (!directory->ended) {
        directory->ended = true;
        directory->end = zip->position - 4;
    }
    if (directory->entries == 0)
        directory->begin = directory->end;
    if (state == ZIP_END64) {
        directory->has64 = true;
        directory->end64 = zip->position - 4;
    }
    zip_wait(zip, state, wanted);
    return true;
}

static bool signature(Zip *zip)
{
    const uint8_t *head = zip->head->data;
    ZipDirectory *directory = &zip->directory;
    if (memcmp(head, "PK\3\4", 4) == 0 && directory->entries == 0 && !directory->ended)
        return member_begins(zip);
    if (memcmp(head, "PK\1\2", 4) == 0 && !directory->ended) {
        if (directory->entries++ == 0)
            directory->begin = zip->position - 4;
        zip_wait(zip, ZIP_ENTRY, ZIP_ENTRY_SIZE);
        return true;
    }
    if (memcmp(head, "PK\6\6", 4) == 0 && !directory->ended)
        return end_begins(zip, ZIP_END64, ZIP_END64_SIZE);
    if (memcmp(head, "PK\6\7", 4) == 0 && directory->has64 && !directory->located)
        return end_begins(zip, ZIP_LOCATOR, ZIP_LOCATOR_SIZE);
    if (memcmp(head, "PK\5\6", 4) == 0)
        return end_begins(zip, ZIP_END, ZIP_END_SIZE);
    return zip_lost(zip, "an archive has bytes between its members");
}

static bool local_head(Zip *zip)
{
    const uint8_t *head = zip->head->data;
    size_t whole = LOCAL_SIZE + zip_u16(head + 26) + zip_u16(head + 28);
    zip->wanted = whole;
    return zip->head->len < whole || local_begin(zip);
}

static bool entry_head(Zip *zip)
{
    const uint8_t *head = zip->head->data;
    size_t whole = ZIP_ENTRY_SIZE + zip_u16(head + 28) + zip_u16(head + 30) + zip_u16(head + 32);
    zip->wanted = whole;
    if (zip->head->len < whole)
        return true;
    if (!zip_directory_has(zip->members, head, whole))
        return zip_lost(zip, "an archive's directory names a member that is not where it says");
    zip_wait(zip, ZIP_SIGNATURE, 4);
    return true;
}

/* Behind the directory: the record is whole. */
static bool end_fits(Zip *zip, bool fits, ZipState next)
{
    if (!fits)
        return zip_lost(zip, "an archive's end does not lead to the directory before it");
    zip_wait(zip, next, 4);
    return true;
}

static bool end_head(Zip *zip)
{
    size_t whole = ZIP_END_SIZE + zip_u16(zip->head->data + 20);
    zip->wanted = whole;
    return zip->head->len < whole ||
           end_fits(zip, zip_end_fits(&zip->directory, zip->head->data, whole), ZIP_OVER);
}

static bool locator_head(Zip *zip)
{
    zip->directory.located = true;
    return end_fits(zip, zip_locator_fits(&zip->directory, zip->head->data), ZIP_SIGNATURE);
}

/* With or without its signature, with sizes of 4 or of 8 bytes: what follows it begins with PK. The
 * bytes behind it are the next signature's. */
static bool behind(Zip *zip)
{
    static const size_t LENGTHS[] = {12, 16, 20, 24};
    const uint8_t *head = zip->head->data;
    bool own = memcmp(head, "PK\7\10", 4) == 0;
    for (size_t i = own ? 1 : 0; i < G_N_ELEMENTS(LENGTHS); i += 2) {
        size_t length = LENGTHS[i];
        zip->wanted = length + 2;
        if (zip->head->len < zip->wanted)
            return true;
        if (memcmp(head + length, "PK", 2) != 0)
            continue;
        memmove(zip->head->data, head + length, 2);
        g_byte_array_set_size(zip->head, 2);
        zip->state = ZIP_SIGNATURE;
        zip->wanted = 4;
        return true;
    }
    return zip_lost(zip, "an archive has bytes between its members");
}

/* False: nothing more is wanted. */
static bool head_whole(Zip *zip)
{
    switch (zip->state) {
    case ZIP_SIGNATURE:
        return signature(zip);
    case ZIP_LOCAL:
        return local_head(zip);
    case ZIP_ENTRY:
        return entry_head(zip);
    case ZIP_END64:
        return end_fits(zip, zip_end64_fits(&zip->directory, zip->head->data), ZIP_SIGNATURE);
    case ZIP_LOCATOR:
        return locator_head(zip);
    case ZIP_END:
        return end_head(zip);
    default:
        return behind(zip);
    }
}

static size_t feed_head(Zip *zip, const uint8_t *data, size_t size, bool *goes_on)
{
    size_t taken = MIN(size, zip->wanted - zip->head->len);
    g_byte_array_append(zip->head, data, (guint)taken);
    zip->position += taken;
    *goes_on = true;
    if (zip->head->len < zip->wanted)
        return taken;
    *goes_on = head_whole(zip);
    return taken;
}

/* -- content -- */

static size_t feed_sized(Zip *zip, const uint8_t *data, size_t size)
{
    size_t taken = MIN(size, zip->left);
    if (!member_feed(zip, data, taken))
        member_end(zip);
    zip->position += taken;
    zip->left -= taken;
    if (zip->left == 0) {
        member_end(zip);
        if (zip->wanted)
            zip_wait(zip, ZIP_BEHIND, 14);
        else
            zip_wait(zip, ZIP_SIGNATURE, 4);
    }
    return taken;
}

static size_t feed_deflate(Zip *zip, const uint8_t *data, size_t size, bool *goes_on)
{
    size_t used = 0;
    if (member_feed(zip, data, size)) {
        zip->position += size;
        return size;
    }
    if (!inflate_ended(zip->inflate, &used)) {
        *goes_on = zip_lost(zip, "an archive's member cannot be decompressed");
        return size;
    }
    zip_member(zip)->packed -= size - used;
    zip->position += used;
    member_end(zip);
    zip_wait(zip, ZIP_BEHIND, 14);
    return used;
}

/* 0: there is no descriptor of the member here, which ends at this byte. */
static size_t descriptor_at(const uint8_t *at, uint64_t packed)
{
    if (zip_u64(at + 8) == packed && zip_u64(at + 16) == packed)
        return 24;
    return zip_u32(at + 8) == packed && zip_u32(at + 12) == packed && memcmp(at + 16, "PK", 2) == 0
               ? 16
               : 0;
}

typedef uint8_t Lane __attribute__((vector_size(16)));

/* Whether one of 16 bytes is a P that a K follows. */
static bool may_begin(const uint8_t *at)
{
    Lane here, next;
    memcpy(&here, at, sizeof here);
    memcpy(&next, at + 1, sizeof next);
    Lane hits = (Lane)(here == 'P') & (Lane)(next == 'K');
    uint64_t halves[2];
    memcpy(halves, &hits, sizeof halves);
    return (halves[0] | halves[1]) != 0;
}

/* The next signature of a descriptor; NULL: there is none. All bytes of a torch.save come by here:
 * memmem takes four times as long. */
static const uint8_t *next_descriptor(const uint8_t *at, const uint8_t *end)
{
    for (; end - at > (ptrdiff_t)sizeof(Lane); at += sizeof(Lane)) {
        if (!may_begin(at))
            continue;
        for (const uint8_t *one = at; one < at + sizeof(Lane); one++)
            if (end - one >= 4 && memcmp(one, "PK\7\10", 4) == 0)
                return one;
    }
    return memmem(at, (size_t)(end - at), "PK\7\10", 4);
}

/* Hands on what is the member's for sure; the last AHEAD bytes stay. Returns how many bytes were
 * taken; *found: with them the descriptor. */
static size_t search(Zip *zip, const uint8_t *data, size_t size, bool *found)
{
    uint64_t before = zip_member(zip)->packed;
    const uint8_t *at = data;
    *found = false;
    if (size < DESCRIPTOR)
        return 0;
    while ((at = next_descriptor(at, data + size)) && at + DESCRIPTOR <= data + size) {
        size_t length = descriptor_at(at, before + (uint64_t)(at - data));
        if (length == 0) {
            at++;
            continue;
        }
        *found = true;
        if (!member_feed(zip, data, (size_t)(at - data)))
            member_end(zip);
        return (size_t)(at - data) + length;
    }
    if (!member_feed(zip, data, size - AHEAD))
        member_end(zip);
    return size - AHEAD;
}

static bool zip_feed(ScanPart *part, const uint8_t *data, size_t size);

static bool stored_ended(Zip *zip)
{
    member_end(zip);
    zip_wait(zip, ZIP_SIGNATURE, 4);
    return true;
}

/* The bytes kept from before, with so many of the next ones that each of them can be decided on. */
static size_t feed_kept(Zip *zip, const uint8_t *data, size_t size, bool *goes_on)
{
    bool found;
    size_t kept = zip->head->len, more = MIN(size, AHEAD);
    g_byte_array_append(zip->head, data, (guint)more);
    g_autofree uint8_t *joined = g_memdup2(zip->head->data, zip->head->len);
    size_t whole = kept + more, taken = search(zip, joined, whole, &found);
    zip->position += taken;
    if (!found && more == AHEAD) { /* all that were kept are decided on */
        g_byte_array_set_size(zip->head, 0);
        return 0;
    }
    if (!found) {
        g_byte_array_set_size(zip->head, 0);
        g_byte_array_append(zip->head, joined + taken, (guint)(whole - taken));
        return more;
    }
    stored_ended(zip);
    *goes_on = zip_feed(&zip->base, joined + taken, whole - taken);
    return more;
}

static size_t feed_stored(Zip *zip, const uint8_t *data, size_t size, bool *goes_on)
{
    bool found;
    if (zip->head->len > 0)
        return feed_kept(zip, data, size, goes_on);
    size_t taken = search(zip, data, size, &found);
    zip->position += taken;
    if (found) {
        stored_ended(zip);
        return taken;
    }
    g_byte_array_append(zip->head, data + taken, (guint)(size - taken));
    return size;
}

static size_t feed_some(Zip *zip, const uint8_t *data, size_t size, bool *goes_on)
{
    switch (zip->state) {
    case ZIP_SIZED:
        return feed_sized(zip, data, size);
    case ZIP_STORED:
        return feed_stored(zip, data, size, goes_on);
    case ZIP_DEFLATE:
        return feed_deflate(zip, data, size, goes_on);
    case ZIP_OVER:
        *goes_on = zip_lost(zip, "bytes stand behind an archive's end");
        return size;
    case ZIP_DONE:
        *goes_on = false;
        return size;
    default:
        return feed_head(zip, data, size, goes_on);
    }
}

static bool zip_feed(ScanPart *part, const uint8_t *data, size_t size)
{
    Zip *zip = (Zip *)part;
    bool goes_on = true;
    while (goes_on && size > 0) {
        size_t taken = feed_some(zip, data, size, &goes_on);
        data += taken;
        size -= taken;
    }
    return goes_on;
}

static void zip_end(ScanPart *part)
{
    Zip *zip = (Zip *)part;
    Report *report = zip->place.context->report;
    member_end(zip);
    if (zip->state == ZIP_DONE || zip->state == ZIP_OVER)
        return;
    if (zip->place.depth == 0)
        report_broken(report,
                      "the archive has no directory at its end: it was not written to its end", -1,
                      -1);
    report_unread(report, "an archive ends before its directory does", zip->place.member);
}

static void zip_free(ScanPart *part)
{
    Zip *zip = (Zip *)part;
    scan_part_free(zip->inner);
    scan_take_memory(zip->place.context, -(int64_t)(zip->members->len * sizeof(ZipMember)));
    g_array_unref(zip->members);
    g_byte_array_unref(zip->head);
    g_free(zip->name);
    g_free(zip);
}

ScanPart *zip_part_new(const ScanPlace *place)
{
    Zip *zip = g_new0(Zip, 1);
    zip->base = (ScanPart){zip_feed, zip_end, zip_free};
    zip->place = *place;
    zip->head = g_byte_array_new();
    zip->members = g_array_new(FALSE, FALSE, sizeof(ZipMember));
    report_format(place->context->report, "zip");
    zip_wait(zip, ZIP_SIGNATURE, 4);
    return &zip->base;
}
