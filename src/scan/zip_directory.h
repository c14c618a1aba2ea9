/* Inside of scan/: what was seen of an archive's members as their bytes passed, against the
 * directory at its end, which is what everybody else reads: a member that only the directory knows
 * was not looked at. */
#pragma once

#include "scan/part.h"

typedef struct {
    uint64_t offset; /* of its local header, from the archive's first byte */
    uint64_t packed; /* bytes of its content as they lie there */
    unsigned method; /* 0: stored, 8: deflate */
} ZipMember;

/* members: of ZipMember, by rising offset. entry: a whole record of the directory. False: no such
 * member was seen. */
bool zip_directory_has(const GArray *members, const uint8_t *entry, size_t size);

unsigned zip_u16(const uint8_t *at);
uint32_t zip_u32(const uint8_t *at);
uint64_t zip_u64(const uint8_t *at);
/* The sizes and the offset (those of 0xffffffff) that a zip64 field of the extra bytes has instead,
 * in their order. NULL: not of interest. */
void zip_extra(const uint8_t *extra, size_t size, uint64_t *unpacked, uint64_t *packed,
               uint64_t *offset);
