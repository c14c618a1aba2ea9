#include "scan/zip_directory.h"

#include <string.h>

#define ZIP64_ID  1
#define SEE_ZIP64 0xffffffffu

unsigned zip_u16(const uint8_t *at)
{
    return at[0] | (unsigned)at[1] << 8;
}

uint32_t zip_u32(const uint8_t *at)
{
    return zip_u16(at) | (uint32_t)zip_u16(at + 2) << 16;
}

uint64_t zip_u64(const uint8_t *at)
{
    return zip_u32(at) | (uint64_t)zip_u32(at + 4) << 32;
}

static void zip64_field(const uint8_t *at, size_t size, uint64_t *const *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!fields[i] || *fields[i] != SEE_ZIP64)
            continue;
        if (size < 8)
            return;
        *fields[i] = zip_u64(at);
        at += 8;
        size -= 8;
    }
}

void zip_extra(const uint8_t *extra, size_t size, uint64_t *unpacked, uint64_t *packed,
               uint64_t *offset)
{
    uint64_t *const fields[] = {unpacked, packed, offset};
    while (size >= 4) {
        size_t length = zip_u16(extra + 2);
        if (length > size - 4)
            return;
        if (zip_u16(extra) == ZIP64_ID)
            zip64_field(extra + 4, length, fields, G_N_ELEMENTS(fields));
        extra += 4 + length;
        size -= 4 + length;
    }
}

static const ZipMember *find(const GArray *members, uint64_t offset)
{
    guint low = 0, high = members->len;
    while (low < high) {
        guint middle = low + (high - low) / 2;
        const ZipMember *member = &g_array_index(members, ZipMember, middle);
        if (member->offset == offset)
            return member;
        if (member->offset < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

bool zip_directory_has(const GArray *members, const uint8_t *entry, size_t size)
{
    uint64_t packed = zip_u32(entry + 20), unpacked = zip_u32(entry + 24),
             offset = zip_u32(entry + 42);
    size_t name = zip_u16(entry + 28), extra = zip_u16(entry + 30);
    zip_extra(entry + ZIP_ENTRY_SIZE + name, extra, &unpacked, &packed, &offset);
    if (memmem(entry, size, "PK\6\7", 4)) /* read as the locator, where it is the last one */
        return false;
    const ZipMember *member = find(members, offset);
    return member && member->packed == packed && member->method == zip_u16(entry + 10);
}

/* A field of so many bits that may refer to the record of 64 bits. */
static bool field_fits(uint64_t field, uint64_t most, uint64_t value, bool has64)
{
    return field == value || (has64 && field == most);
}

bool zip_end64_fits(const ZipDirectory *directory, const uint8_t *record)
{
    return zip_u64(record + 4) == ZIP_END64_SIZE - 12 && zip_u32(record + 16) == 0 &&
           zip_u32(record + 20) == 0 && zip_u64(record + 24) == directory->entries &&
           zip_u64(record + 32) == directory->entries &&
           zip_u64(record + 40) == directory->end - directory->begin &&
           zip_u64(record + 48) == directory->begin;
}

bool zip_locator_fits(const ZipDirectory *directory, const uint8_t *locator)
{
    return zip_u32(locator + 4) == 0 && zip_u64(locator + 8) == directory->end64 &&
           zip_u32(locator + 16) <= 1;
}

bool zip_end_fits(const ZipDirectory *directory, const uint8_t *end, size_t size)
{
    bool has64 = directory->has64;
    return has64 == directory->located && zip_u32(end + 4) == 0 &&
           field_fits(zip_u16(end + 8), 0xffff, directory->entries, has64) &&
           field_fits(zip_u16(end + 10), 0xffff, directory->entries, has64) &&
           field_fits(zip_u32(end + 12), SEE_ZIP64, directory->end - directory->begin, has64) &&
           field_fits(zip_u32(end + 16), SEE_ZIP64, directory->begin, has64) &&
           !memmem(end + 1, size - 1, "PK\5\6", 4);
}
