/* SHA-256 as OCI writes it: "sha256:" and 64 lower-case hex digits (image-spec, descriptor.md). */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIGEST_LENGTH 71 /* of the text, without its NUL */

typedef struct Digest Digest;

Digest *digest_new(void);
void digest_free(Digest *digest);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Digest, digest_free)

void digest_update(Digest *digest, const void *data, size_t size);
/* Ends the computation; only digest_free may follow. The caller frees the text. */
char *digest_finish(Digest *digest);

/* Of bytes in memory. The caller frees the text. */
char *digest_of(const void *data, size_t size);

/* Of an open file from its beginning, wherever its offset stands, and of at most `limit` bytes: a
 * file that others write may grow under our hands. The caller frees the text. NULL: IO_ERROR. */
char *digest_of_file(int fd, int64_t limit, GError **error);

/* Whether this is ^sha256:[0-9a-f]{64}$: to be asked before a digest becomes a part of a path. */
bool digest_is_valid(const char *text);
/* The 64 hex digits of a valid digest: a pointer into it. */
const char *digest_hex(const char *text);
