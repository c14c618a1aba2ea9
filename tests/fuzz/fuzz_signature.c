/* A signed request as anybody may send it: the first line is the method and the target, each
 * further line a header.
 *
 * Invariants: reading ends with a signature or an error that says why; a canonical request has six
 * parts at least, its path ends with a slash, and encoding what is canonical changes nothing; no
 * signature of zeros verifies. */
#include <glib.h>
#include <stdint.h>
#include <string.h>

#include "server/signature.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MOST_HEADERS 32
#define DATE_MS      1795384800000 /* 20261122T220000Z */

/* NAME:VALUE lines, cut where they stand. */
static gsize headers_read(char *const *lines, SignatureHeader *headers)
{
    gsize count = 0;
    for (; *lines && count < MOST_HEADERS; lines++) {
        char *colon = strchr(*lines, ':');
        if (!colon)
            continue;
        *colon = '\0';
        headers[count++] = (SignatureHeader){*lines, g_strchug(colon + 1)};
    }
    return count;
}

/* What is canonical is its own canonical form. */
static void check_canonical(const SignatureRequest *request, char *const *names)
{
    g_autofree char *text = signature_canonical(request, names, "P");
    if (!text)
        return;
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    g_assert(g_strv_length(lines) >= 6 && g_str_has_suffix(lines[1], "/"));
    g_autofree char *target = g_strconcat(lines[1], "?", lines[2], NULL);
    SignatureRequest again = *request;
    again.target = target;
    g_autofree char *twice = signature_canonical(&again, names, "P");
    g_assert(g_strcmp0(text, twice) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    SignatureHeader headers[MOST_HEADERS];
    g_autofree char *text = g_strndup((const char *)data, size);
    g_auto(GStrv) lines = g_strsplit(text, "\n", MOST_HEADERS + 1);
    if (!lines[0])
        return 0;
    char *target = strchr(lines[0], ' ');
    if (!target)
        return 0;
    *target++ = '\0';
    const SignatureRequest request = {lines[0], target, headers, headers_read(lines + 1, headers)};
    char *const none[] = {NULL};
    check_canonical(&request, none);
    g_autoptr(GError) error = NULL;
    g_autoptr(Signature) signature = signature_read(&request, DATE_MS, &error);
    g_assert(!signature == !!error);
    if (!signature)
        return 0;
    g_assert(*signature->access && signature->names[0]);
    check_canonical(&request, signature->names);
    memset(signature->value, 0, sizeof signature->value);
    g_assert(!signature_verify(signature, &request, "secret", "P"));
    return 0;
}
