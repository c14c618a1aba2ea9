#include "base/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"

#define FILE_CHUNK ((int64_t)256 << 10) /* bytes */

struct Digest {
    EVP_MD_CTX *context;
};

Digest *digest_new(void)
{
    Digest *digest = g_new(Digest, 1);
    digest->context = EVP_MD_CTX_new();
    if (!digest->context || EVP_DigestInit_ex(digest->context, EVP_sha256(), NULL) != 1)
        g_error("OpenSSL offers no SHA-256");
    return digest;
}

void digest_free(Digest *digest)
{
    if (!digest)
        return;
    EVP_MD_CTX_free(digest->context);
    g_free(digest);
}

void digest_update(Digest *digest, const void *data, size_t size)
{
    if (EVP_DigestUpdate(digest->context, data, size) != 1)
        g_error("SHA-256 failed");
}

char *digest_finish(Digest *digest)
{
    static const char HEX[] = "0123456789abcdef";
    unsigned char sum[32];
    if (EVP_DigestFinal_ex(digest->context, sum, NULL) != 1)
        g_error("SHA-256 failed");
    char *text = g_malloc(DIGEST_LENGTH + 1);
    memcpy(text, "sha256:", 7);
    for (int i = 0; i < 32; i++) {
        text[7 + 2 * i] = HEX[sum[i] >> 4];
        text[8 + 2 * i] = HEX[sum[i] & 15];
    }
    text[DIGEST_LENGTH] = '\0';
    return text;
}

char *digest_of(const void *data, size_t size)
{
    g_autoptr(Digest) digest = digest_new();
    digest_update(digest, data, size);
    return digest_finish(digest);
}

char *digest_of_file(int fd, int64_t limit, GError **error)
{
    g_autoptr(Digest) digest = digest_new();
    g_autofree char *chunk = g_malloc(FILE_CHUNK);
    posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    for (int64_t at = 0; at < limit;) {
        ssize_t got = pread(fd, chunk, (size_t)MIN(FILE_CHUNK, limit - at), at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            io_fail(error, errno, "read");
            return NULL;
        }
        if (got == 0)
            break;
        digest_update(digest, chunk, (size_t)got);
        at += got;
    }
    return digest_finish(digest);
}

bool digest_is_valid(const char *text)
{
    return text && strlen(text) == DIGEST_LENGTH && strncmp(text, "sha256:", 7) == 0 &&
           strspn(text + 7, "0123456789abcdef") == 64;
}

const char *digest_hex(const char *text)
{
    return text + 7;
}
