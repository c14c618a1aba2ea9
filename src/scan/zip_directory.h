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

#define ZIP_ENTRY_SIZE   46 /* bytes of a record of the directory, without what varies */
#define ZIP_END64_SIZE   56 /* of the end's records; extensible data sectors are nobody's */
#define ZIP_LOCATOR_SIZE 20
#define ZIP_END_SIZE     22

/* The directory as it passed, in bytes from the archive's first one. */
typedef struct {
    uint64_t begin, end;
    uint64_t entries;
    uint64_t end64; /* where the end's record of 64 bits begins */
    bool ended, has64, located;
} ZipDirectory;

/* members: of ZipMember, by rising offset. entry: a whole record of the directory. False: no such
 * member was seen, or it hides another end of the archive. */
bool zip_directory_has(const GArray *members, const uint8_t *entry, size_t size);
/* Whether the records at the end lead to that directory and to no other, whoever looks for them
 * from the file's last byte: Python's zipfile reckons backwards from where the directory should
 * end, others take its offset. end: with its comment. */
bool zip_end64_fits(const ZipDirectory *directory, const uint8_t *record);
bool zip_locator_fits(const ZipDirectory *directory, const uint8_t *locator);
bool zip_end_fits(const ZipDirectory *directory, const uint8_t *end, size_t size);

unsigned zip_u16(const uint8_t *at);
uint32_t zip_u32(const uint8_t *at);
uint64_t zip_u64(const uint8_t *at);
/* The sizes and the offset (those of 0xffffffff) that a zip64 field of the extra bytes has instead,
 * in their order. NULL: not of interest. */
void zip_extra(const uint8_t *extra, size_t size, uint64_t *unpacked, uint64_t *packed,
               uint64_t *offset);
