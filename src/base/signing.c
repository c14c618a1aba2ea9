#include "base/signing.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/error_domain.h"
#include "base/io.h"

#define KEY_BYTES ((size_t)16 << 10)
#define CURVE     "P-256"

DEFINE_ERROR_DOMAIN(signing_error);

struct SigningKey {
    EVP_PKEY *pkey;
    char *id;
};

static SigningKey *fail_key(GError **error, const char *what)
{
    ERR_clear_error();
    g_set_error(error, SIGNING_ERROR, SIGNING_ERROR_KEY, "%s", what);
    return NULL;
}

/* Takes the key over. */
static SigningKey *key_new(EVP_PKEY *pkey, GError **error)
{
    unsigned char *der = NULL;
    int size = pkey ? i2d_PUBKEY(pkey, &der) : -1;
    if (size < 0) {
        EVP_PKEY_free(pkey);
        return fail_key(error, "it is no key");
    }
    SigningKey *key = g_new0(SigningKey, 1);
    key->pkey = pkey;
    key->id = digest_of(der, (size_t)size);
    OPENSSL_free(der);
    return key;
}

void signing_key_free(SigningKey *key)
{
    if (!key)
        return;
    EVP_PKEY_free(key->pkey);
    g_free(key->id);
    g_free(key);
}

const char *signing_key_id(const SigningKey *key)
{
    return key->id;
}

SigningKey *signing_key_read(const char *pem, gsize size, GError **error)
{
    BIO *bio = BIO_new_mem_buf(pem, (int)MIN(size, G_MAXINT));
    EVP_PKEY *pkey = bio ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);
    bio = pkey ? NULL : BIO_new_mem_buf(pem, (int)MIN(size, G_MAXINT));
    if (bio) /* an empty pass phrase: nobody is asked for one */
        pkey = PEM_read_bio_PrivateKey(bio, NULL, NULL, (char *)"");
    BIO_free(bio);
    ERR_clear_error();
    if (!pkey || !EVP_PKEY_is_a(pkey, "EC")) {
        EVP_PKEY_free(pkey);
        return fail_key(error, "it is no EC key in PEM");
    }
    return key_new(pkey, error);
}

/* -- the key file -- */

/* What a BIO in memory holds; the caller frees it, secrets are wiped. Takes the BIO over. */
static char *take_text(BIO *bio)
{
    char *data;
    long size = BIO_get_mem_data(bio, &data);
    char *text = g_strndup(data, (gsize)MAX(size, 0));
    if (size > 0)
        OPENSSL_cleanse(data, (size_t)size);
    BIO_free(bio);
    return text;
}

static bool write_key(int directory, const char *pem, GError **error)
{
    autofd fd = openat(directory, SIGNING_KEY_FILE, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 && errno == EEXIST) {
        g_set_error(error, SIGNING_ERROR, SIGNING_ERROR_EXISTS,
                    SIGNING_KEY_FILE " is there already");
        return false;
    }
    if (fd < 0)
        return io_fail(error, errno, SIGNING_KEY_FILE);
    if (io_write_all(fd, pem, strlen(pem), error) &&
        (fsync(fd) == 0 || io_fail(error, errno, SIGNING_KEY_FILE)) &&
        io_sync_directory(directory, error))
        return true;
    unlinkat(directory, SIGNING_KEY_FILE, 0);
    return false;
}

SigningKey *signing_key_create(int directory, GError **error)
{
    EVP_PKEY *pkey = EVP_EC_gen(CURVE);
    BIO *bio = BIO_new(BIO_s_mem());
    if (!pkey || !bio || !PEM_write_bio_PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL)) {
        EVP_PKEY_free(pkey);
        BIO_free(bio);
        return fail_key(error, "no key can be made");
    }
    char *pem = take_text(bio);
    bool written = write_key(directory, pem, error);
    explicit_bzero(pem, strlen(pem));
    g_free(pem);
    if (written)
        return key_new(pkey, error);
    EVP_PKEY_free(pkey);
    return NULL;
}

SigningKey *signing_key_open(int directory, GError **error)
{
    struct stat status;
    g_autoptr(GError) failure = NULL;
    if (fstatat(directory, SIGNING_KEY_FILE, &status, 0) < 0 && errno == ENOENT)
        return NULL;
    g_autoptr(GBytes) content = io_read_file(directory, SIGNING_KEY_FILE, KEY_BYTES, error);
    if (!content)
        return NULL;
    gsize size;
    const char *pem = g_bytes_get_data(content, &size);
    SigningKey *key = signing_key_read(pem, size, &failure);
    if (!key)
        g_set_error(error, SIGNING_ERROR, SIGNING_ERROR_KEY, SIGNING_KEY_FILE ": %s",
                    failure->message);
    return key;
}

char *signing_key_public(const SigningKey *key, GError **error)
{
    BIO *bio = BIO_new(BIO_s_mem());
    if (bio && PEM_write_bio_PUBKEY(bio, key->pkey))
        return take_text(bio);
    BIO_free(bio);
    fail_key(error, "the public key cannot be written");
    return NULL;
}

/* -- envelopes -- */

/* PAE: what is signed (protocol.md, "Signature Definition"). */
static GByteArray *encoding_of(const char *type, const void *payload, gsize size)
{
    g_autofree char *head = g_strdup_printf("DSSEv1 %zu %s %zu ", strlen(type), type, (size_t)size);
    GByteArray *bytes = g_byte_array_new();
    g_byte_array_append(bytes, (const guint8 *)head, (guint)strlen(head));
    g_byte_array_append(bytes, payload, (guint)size);
    return bytes;
}

json_t *signing_sign(const SigningKey *key, const char *type, const void *payload, gsize size,
                     GError **error)
{
    unsigned char signature[256];
    size_t length = sizeof(signature);
    g_autoptr(GByteArray) bytes = encoding_of(type, payload, size);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool done = context && EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key->pkey) == 1 &&
                EVP_DigestSign(context, signature, &length, bytes->data, bytes->len) == 1;
    EVP_MD_CTX_free(context);
    if (!done) {
        fail_key(error, SIGNING_KEY_FILE ": it cannot sign");
        return NULL;
    }
    g_autofree char *encoded = g_base64_encode(payload, size);
    g_autofree char *signed_text = g_base64_encode(signature, length);
    return json_pack("{s:s, s:s, s:[{s:s, s:s}]}", "payloadType", type, "payload", encoded,
                     "signatures", "keyid", key->id, "sig", signed_text);
}

const char *signing_signer(const json_t *envelope)
{
    const json_t *first = json_array_get(json_object_get(envelope, "signatures"), 0);
    return json_string_value(json_object_get(first, "keyid"));
}

static bool has_signed(const SigningKey *key, const GByteArray *bytes, const char *text)
{
    gsize length;
    g_autofree guchar *signature = g_base64_decode(text, &length);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = context &&
                EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key->pkey) == 1 &&
                EVP_DigestVerify(context, signature, length, bytes->data, bytes->len) == 1;
    EVP_MD_CTX_free(context);
    ERR_clear_error();
    return good;
}

GBytes *signing_open(const SigningKey *key, const json_t *envelope, GError **error)
{
    gsize size;
    const char *type = json_string_value(json_object_get(envelope, "payloadType"));
    const char *encoded = json_string_value(json_object_get(envelope, "payload"));
    if (!type || !encoded) {
        g_set_error(error, SIGNING_ERROR, SIGNING_ERROR_INVALID, "it is no DSSE envelope");
        return NULL;
    }
    guchar *payload = g_base64_decode(encoded, &size);
    g_autoptr(GBytes) content = g_bytes_new_take(payload, size);
    g_autoptr(GByteArray) bytes = encoding_of(type, payload, size);
    size_t i;
    const json_t *signature;
    json_array_foreach (json_object_get(envelope, "signatures"), i, signature) {
        const char *text = json_string_value(json_object_get(signature, "sig"));
        if (!key || (text && has_signed(key, bytes, text)))
            return g_steal_pointer(&content);
    }
    g_set_error(error, SIGNING_ERROR, SIGNING_ERROR_INVALID,
                key ? "the key %s has not signed it" : "it is not signed", key ? key->id : "");
    return NULL;
}
