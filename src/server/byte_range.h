/* Which bytes are meant: the Range of a request that reads (RFC 9110, 14.2), and the Content-Range
 * of a chunk that is pushed to a registry (distribution-spec, "Pushing a blob in chunks"). */
#pragma once

#include "server/http.h"

typedef struct {
    int64_t from, length;
} ByteRange;

typedef enum {
    BYTE_RANGE_WHOLE, /* of everything: there is no Range, or none that must be heard */
    BYTE_RANGE_PART,
    BYTE_RANGE_OUTSIDE, /* 416 */
} ByteRangeKind;

/* "bytes=5-", "bytes=5-9", "bytes=-5"; anything else, a list too, means the whole, as the RFC lets
 * it. text may be NULL. `range` is within the size; of no meaning when it is outside. */
ByteRangeKind byte_range_read(const char *text, int64_t size, ByteRange *range);
/* Accept-Ranges and Content-Range of the reply. */
void byte_range_set(HttpReply *reply, ByteRangeKind kind, const ByteRange *range, int64_t size);

/* "A-B", both inclusive. False: it is none. */
bool byte_range_of_chunk(const char *text, ByteRange *range);
