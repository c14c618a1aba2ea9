#include "base/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error_domain.h"
#include "base/io.h"

#define FORMAT            "1:" /* before the base64 */
#define FINGERPRINT_BYTES 4
#define NONCE_BYTES       12
#define TAG_BYTES         16
#define HEAD_BYTES        (FINGERPRINT_BYTES + NONCE_BYTES)
#define SETTING_BYTES     4096 /* of a file that the setting names */

DEFINE_ERROR_DOMAIN(seal_error);

struct SealKey {
    unsigned char bytes[SEAL_KEY_BYTES];
    unsigned char fingerprint[FINGERPRINT_BYTES];
};

static SealKey *key_new(const void *bytes)
{
    unsigned char hash[SHA256_DIGEST_LENGTH];
    SealKey *key = g_new0(SealKey, 1);
    memcpy(key->bytes, bytes, SEAL_KEY_BYTES);
    SHA256(key->bytes, SEAL_KEY_BYTES, hash);
    memcpy(key->fingerprint, hash, FINGERPRINT_BYTES);
    return key;
}

void seal_key_free(SealKey *key)
{
    if (!key)
        return;
    OPENSSL_cleanse(key, sizeof *key);
    g_free(key);
}

static bool random_fill(void *bytes, int size, GError **error)
{
    if (RAND_bytes(bytes, size) == 1)
        return true;
    g_set_error(error, SEAL_ERROR, SEAL_ERROR_KEY, "the system has no random bytes");
    return false;
}

/* -- the key file -- */

static const char *key_file_fault(const struct stat *about)
{
    if (!S_ISREG(about->st_mode))
        return "is no regular file";
    if (about->st_uid != geteuid())
        return "belongs to another user";
    if (about->st_mode & 077)
        return "may be read by others: chmod 600 it";
    return about->st_size == SEAL_KEY_BYTES ? NULL : "is not 32 bytes: it is no key of ours";
}

GBytes *seal_key_file_read(int directory, const char *path, bool *missing, GError **error)
{
    struct stat about;
    unsigned char bytes[SEAL_KEY_BYTES];
    autofd fd =
        openat(directory, SEAL_KEY_FILE, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (missing)
        *missing = fd < 0 && errno == ENOENT;
    if (fd < 0 && errno == ENOENT && missing)
        return NULL;
    if (fd < 0 || fstat(fd, &about) < 0) {
        io_fail(error, errno, "%s/" SEAL_KEY_FILE, path);
        return NULL;
    }
    const char *fault = key_file_fault(&about);
    if (fault) {
        g_set_error(error, SEAL_ERROR, SEAL_ERROR_KEY, "%s/" SEAL_KEY_FILE " %s", path, fault);
        return NULL;
    }
    ssize_t got = io_read_full(fd, bytes, sizeof bytes, error);
    GBytes *read = got == (ssize_t)sizeof bytes ? g_bytes_new(bytes, sizeof bytes) : NULL;
    if (got >= 0 && !read)
        g_set_error(error, SEAL_ERROR, SEAL_ERROR_KEY, "%s/" SEAL_KEY_FILE " became shorter", path);
    OPENSSL_cleanse(bytes, sizeof bytes);
    return read;
}

/* Whole and durable before it has its name; who is slower than another process takes that one's. */
static bool key_file_make(int directory, const char *path, GError **error)
{
    unsigned char bytes[SEAL_KEY_BYTES];
    g_autofree char *temporary =
        g_strdup_printf(SEAL_KEY_FILE ".%d.%08x.tmp", getpid(), g_random_int());
    if (!random_fill(bytes, sizeof bytes, error))
        return false;
    autofd fd = openat(directory, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool done = fd >= 0 || io_fail(error, errno, "%s/%s", path, temporary);
    done = done && io_write_all(fd, bytes, sizeof bytes, error);
    OPENSSL_cleanse(bytes, sizeof bytes);
    if (done && fsync(fd) < 0)
        done = io_fail(error, errno, "fsync %s/%s", path, temporary);
    if (done && linkat(directory, temporary, directory, SEAL_KEY_FILE, 0) < 0 && errno != EEXIST)
        done = io_fail(error, errno, "%s/" SEAL_KEY_FILE, path);
    if (fd >= 0)
        unlinkat(directory, temporary, 0);
    return done && io_sync_directory(directory, error);
}

static GBytes *key_file_open(int directory, const char *path, bool create, GError **error)
{
    bool missing;
    GBytes *bytes = seal_key_file_read(directory, path, &missing, error);
    if (bytes || !missing)
        return bytes;
    if (create)
        return key_file_make(directory, path, error)
                   ? seal_key_file_read(directory, path, NULL, error)
                   : NULL;
    g_set_error(error, SEAL_ERROR, SEAL_ERROR_KEY,
                "%s/" SEAL_KEY_FILE " is gone: what was sealed with it cannot be opened; bring it "
                "back from a backup",
                path);
    return NULL;
}

/* -- the key of the settings -- */

static GBytes *key_of_hex(const char *text)
{
    unsigned char bytes[SEAL_KEY_BYTES];
    if (strlen(text) != 2 * SEAL_KEY_BYTES)
        return NULL;
    for (int i = 0; i < SEAL_KEY_BYTES; i++) {
        int high = g_ascii_xdigit_value(text[2 * i]), low = g_ascii_xdigit_value(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return NULL;
        bytes[i] = (unsigned char)(high << 4 | low);
    }
    return g_bytes_new(bytes, sizeof bytes);
}

/* GLib's decoder skips what is no base64: written again it must be the same. */
static GBytes *key_of_base64(const char *text)
{
    gsize size = 0;
    if (strlen(text) != 44)
        return NULL;
    g_autofree guchar *bytes = g_base64_decode(text, &size);
    g_autofree char *again = g_base64_encode(bytes, size);
    return size == SEAL_KEY_BYTES && strcmp(again, text) == 0 ? g_bytes_new(bytes, size) : NULL;
}

static GBytes *key_of_text(const char *text)
{
    GBytes *bytes = key_of_hex(text);
    return bytes ? bytes : key_of_base64(text);
}

static GBytes *key_of_named_file(const char *file, GError **error)
{
    struct stat about;
    if (stat(file, &about) == 0 && about.st_mode & 077) {
        g_set_error(error, SEAL_ERROR, SEAL_ERROR_KEY,
                    "security.secret_key: %s may be read by others: chmod 600 it", file);
        return NULL;
    }
    g_autoptr(GBytes) content = io_read_file(AT_FDCWD, file, SETTING_BYTES, error);
    if (!content) {
        g_prefix_error(error, "security.secret_key: ");
        return NULL;
    }
    gsize size;
    const char *data = g_bytes_get_data(content, &size);
    if (size == SEAL_KEY_BYTES)
        return g_steal_pointer(&content);
    g_autofree char *text = g_strndup(data, size);
    GBytes *bytes = key_of_text(g_strstrip(text));
    if (!bytes)
        g_set_error(error, SEAL_ERROR, SEAL_ERROR_KEY,
                    "security.secret_key: %s holds no key; expected 32 bytes, or 64 hex digits or "
                    "base64 of them",
                    file);
    return bytes;
}

/* No message repeats the value. */
static GBytes *key_of_setting(const char *setting, GError **error)
{
    if (*setting == '/')
        return key_of_named_file(setting, error);
    GBytes *bytes = key_of_text(setting);
    if (!bytes)
        g_set_error(error, SEAL_ERROR, SEAL_ERROR_KEY,
                    "security.secret_key is no key; expected 64 hex digits, base64 of 32 bytes, or "
                    "the absolute path of a file that holds them");
    return bytes;
}

SealKey *seal_key_open(int directory, const char *path, const char *setting, bool create,
                       GError **error)
{
    g_autoptr(GBytes) bytes =
        *setting ? key_of_setting(setting, error) : key_file_open(directory, path, create, error);
    return bytes ? key_new(g_bytes_get_data(bytes, NULL)) : NULL;
}

/* -- sealing -- */

/* in -> out of the same size, and the tag; opening checks the tag. */
static bool gcm(const SealKey *key, bool sealing, const unsigned char *nonce, const char *with,
                const unsigned char *in, int size, unsigned char *out, unsigned char *tag)
{
    int done;
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    bool good =
        context &&
        EVP_CipherInit_ex(context, EVP_aes_256_gcm(), NULL, key->bytes, nonce, sealing) == 1 &&
        EVP_CipherUpdate(context, NULL, &done, (const unsigned char *)with, (int)strlen(with)) ==
            1 &&
        EVP_CipherUpdate(context, out, &done, in, size) == 1 &&
        (sealing || EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, TAG_BYTES, tag) == 1) &&
        EVP_CipherFinal_ex(context, out + size, &done) == 1 &&
        (!sealing || EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, TAG_BYTES, tag) == 1);
    EVP_CIPHER_CTX_free(context);
    return good;
}

char *seal_text(const SealKey *key, const char *belongs_to, const char *secret, GError **error)
{
    gsize size = strlen(secret), all = HEAD_BYTES + size + TAG_BYTES;
    g_autofree unsigned char *bytes = g_malloc0(all);
    memcpy(bytes, key->fingerprint, FINGERPRINT_BYTES);
    if (!random_fill(bytes + FINGERPRINT_BYTES, NONCE_BYTES, error))
        return NULL;
    if (!gcm(key, true, bytes + FINGERPRINT_BYTES, belongs_to, (const unsigned char *)secret,
             (int)size, bytes + HEAD_BYTES, bytes + HEAD_BYTES + size)) {
        g_set_error(error, SEAL_ERROR, SEAL_ERROR_KEY, "AES-256-GCM is not to be had");
        return NULL;
    }
    g_autofree char *text = g_base64_encode(bytes, all);
    return g_strconcat(FORMAT, text, NULL);
}

static char *fail_open(SealError code, const char *belongs_to, GError **error)
{
    g_set_error(error, SEAL_ERROR, code,
                code == SEAL_ERROR_OTHER
                    ? "the secret of %s was sealed with another key than " SEAL_KEY_FILE
                      " (security.secret_key) holds now"
                    : "the secret of %s is damaged in the store",
                belongs_to);
    return NULL;
}

char *seal_open(const SealKey *key, const char *belongs_to, const char *sealed, GError **error)
{
    gsize all = 0;
    g_autofree unsigned char *bytes =
        g_str_has_prefix(sealed, FORMAT) ? g_base64_decode(sealed + strlen(FORMAT), &all) : NULL;
    if (all < HEAD_BYTES + TAG_BYTES)
        return fail_open(SEAL_ERROR_DAMAGED, belongs_to, error);
    if (memcmp(bytes, key->fingerprint, FINGERPRINT_BYTES) != 0)
        return fail_open(SEAL_ERROR_OTHER, belongs_to, error);
    gsize size = all - HEAD_BYTES - TAG_BYTES;
    char *secret = g_malloc0(size + 1);
    if (gcm(key, false, bytes + FINGERPRINT_BYTES, belongs_to, bytes + HEAD_BYTES, (int)size,
            (unsigned char *)secret, bytes + HEAD_BYTES + size))
        return secret;
    OPENSSL_cleanse(secret, size);
    g_free(secret);
    return fail_open(SEAL_ERROR_DAMAGED, belongs_to, error);
}

void seal_forget(char *secret)
{
    if (secret)
        OPENSSL_cleanse(secret, strlen(secret));
    g_free(secret);
}

/* What is beyond the last whole multiple is drawn again: every character is as likely. */
char *seal_random_text(int length, bool upper, GError **error)
{
    static const char CHARACTERS[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789abcdefghijklmnopqrstuvwxyz";
    const unsigned count = upper ? 36 : 62;
    g_autofree char *text = g_malloc0((gsize)length + 1);
    for (int i = 0; i < length;) {
        unsigned char byte;
        if (!random_fill(&byte, 1, error))
            return NULL;
        if (byte < 256 / count * count)
            text[i++] = CHARACTERS[byte % count];
    }
    return g_steal_pointer(&text);
}
