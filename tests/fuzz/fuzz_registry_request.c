/* What clients of /v2/ send, one kind a line: a name, a tag, a Range, a Content-Range, and behind
 * them a manifest.
 *
 * Invariants: a name leads nowhere else; a range lies within the blob; a chunk has a byte; what is
 * taken for a manifest needs only digests that can be paths, and everything else is refused with a
 * reason in UTF-8. */
#include <stdint.h>
#include <string.h>

#include "base/digest.h"
#include "image/manifest_document.h"
#include "image/reference.h"
#include "server/byte_range.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_names(const char *name, const char *tag)
{
    if (reference_is_repository(name)) {
        g_assert(*name && *name != '/' && *name != '.' && !strstr(name, "//") &&
                 !strstr(name, "/.") && !strstr(name, "..") && strlen(name) <= 255);
        for (const char *at = name; *at; at++)
            g_assert(g_ascii_islower(*at) || g_ascii_isdigit(*at) || strchr("._-/", *at));
    }
    if (reference_is_tag(tag))
        g_assert(*tag && *tag != '.' && *tag != '-' && !strpbrk(tag, "/:@ %") &&
                 strlen(tag) <= 128);
}

static void check_range(const char *text, int64_t size)
{
    ByteRange range;
    ByteRangeKind kind = byte_range_read(text, size, &range);
    if (kind == BYTE_RANGE_OUTSIDE)
        return;
    g_assert(range.from >= 0 && range.length >= 0 && range.from <= size - range.length);
    g_assert(kind == BYTE_RANGE_WHOLE ? range.length == size : range.length > 0);
}

static void check_chunk(const char *text)
{
    ByteRange range;
    if (!byte_range_of_chunk(text, &range))
        return;
    g_assert(range.from >= 0 && range.length > 0 && range.from <= G_MAXINT64 - range.length);
}

static void check_manifest(const char *type, const char *text)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) content = g_bytes_new_static(text, strlen(text));
    g_autoptr(ManifestDocument) document =
        manifest_document_read(content, *type ? type : NULL, &error);
    if (!document) {
        g_assert(error && *error->message);
        return;
    }
    g_assert(document->media_type);
    g_assert(!document->subject || digest_is_valid(document->subject));
    for (guint i = 0; i < document->needs->len; i++) {
        const Descriptor *need = document->needs->pdata[i];
        g_assert(digest_is_valid(need->digest) && need->size >= 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *text = g_strndup((const char *)data, size);
    g_auto(GStrv) lines = g_strsplit(text, "\n", 6);
    guint count = g_strv_length(lines);
    if (count >= 2)
        check_names(lines[0], lines[1]);
    if (count >= 3)
        for (int64_t bytes = 0; bytes < 2000; bytes += 333)
            check_range(lines[2], bytes);
    if (count >= 4)
        check_chunk(lines[3]);
    if (count >= 6)
        check_manifest(lines[4], lines[5]);
    return 0;
}
