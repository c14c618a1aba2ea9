#include "server/signature.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "base/error_domain.h"

#define HEADER_AUTHORIZATION "authorization"
#define HEADER_DATE          "x-sdk-date"
#define HEADER_PAYLOAD       "x-sdk-content-sha256"
#define ACCESS_BYTES         128
#define MOST_NAMES           64

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGIT "0123456789"

DEFINE_ERROR_DOMAIN(signature_error);

void signature_free(Signature *signature)
{
    if (!signature)
        return;
    g_free(signature->access);
    g_strfreev(signature->names);
    g_free(signature->date);
    g_free(signature->payload);
    g_free(signature);
}

static bool fail(GError **error, SignatureError code, const char *format, ...) G_GNUC_PRINTF(3, 4);
static bool fail(GError **error, SignatureError code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autoptr(GError) failure = g_error_new_valist(SIGNATURE_ERROR, (int)code, format, arguments);
    va_end(arguments);
    g_propagate_error(error, g_steal_pointer(&failure));
    return false;
}

static void hex_of(const unsigned char *bytes, char hex[SIGNATURE_HEX_LENGTH + 1])
{
    for (int i = 0; i < SIGNATURE_BYTES; i++)
        g_snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
}

static bool hex_read(const char *text, unsigned char *bytes)
{
    if (strlen(text) != SIGNATURE_HEX_LENGTH)
        return false;
    for (int i = 0; i < SIGNATURE_BYTES; i++) {
        int high = g_ascii_xdigit_value(text[2 * i]), low = g_ascii_xdigit_value(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        bytes[i] = (unsigned char)(high << 4 | low);
    }
    return true;
}

/* -- the head -- */

/* The only header of that name. NULL: *error, also when there are several. */
static const char *header_only(const SignatureRequest *request, const char *name, bool mandatory,
                               GError **error)
{
    const char *found = NULL;
    for (gsize i = 0; i < request->header_count; i++) {
        if (g_ascii_strcasecmp(request->headers[i].name, name) != 0)
            continue;
        if (found) {
            fail(error, SIGNATURE_ERROR_MALFORMED, "there are several %s headers", name);
            return NULL;
        }
        found = request->headers[i].value;
    }
    if (!found && mandatory)
        fail(error, SIGNATURE_ERROR_MALFORMED, "there is no %s header", name);
    return found;
}

bool signature_is_meant(const char *authorization)
{
    const gsize length = strlen(SIGNATURE_SCHEME);
    return strncmp(authorization, SIGNATURE_SCHEME, length) == 0 &&
           (!authorization[length] || g_ascii_isspace(authorization[length]));
}

static bool names_read(Signature *signature, const char *value, GError **error)
{
    signature->names = g_strsplit(value, ";", MOST_NAMES + 1);
    if (g_strv_length(signature->names) > MOST_NAMES)
        return fail(error, SIGNATURE_ERROR_MALFORMED, "SignedHeaders names more than %d headers",
                    MOST_NAMES);
    for (char **name = signature->names; *name; name++) {
        if (!**name || strspn(*name, LOWER DIGIT "!#$%&'*+-.^_`|~") != strlen(*name))
            return fail(error, SIGNATURE_ERROR_MALFORMED,
                        "SignedHeaders is no list of lower-case names with ; between them");
        for (char **before = signature->names; before < name; before++)
            if (strcmp(*before, *name) == 0)
                return fail(error, SIGNATURE_ERROR_MALFORMED, "SignedHeaders names %s twice",
                            *name);
    }
    return true;
}

/* One of Access, SignedHeaders, Signature: each once. */
static bool part_read(Signature *signature, char *part, bool *signed_already, GError **error)
{
    char *equals = strchr(part, '=');
    if (!equals)
        return fail(error, SIGNATURE_ERROR_MALFORMED,
                    "Authorization has a part without =; expected Access=, SignedHeaders=, "
                    "Signature=");
    *equals = '\0';
    const char *name = g_strstrip(part), *value = g_strstrip(equals + 1);
    if (strcmp(name, "Access") == 0 && !signature->access) {
        signature->access = g_strdup(value);
        gsize length = strlen(value);
        return (length && length <= ACCESS_BYTES &&
                strspn(value, UPPER LOWER DIGIT "_-") == length) ||
               fail(error, SIGNATURE_ERROR_MALFORMED, "Access is no access key");
    }
    if (strcmp(name, "SignedHeaders") == 0 && !signature->names)
        return names_read(signature, value, error);
    if (strcmp(name, "Signature") == 0 && !*signed_already) {
        *signed_already = true;
        return hex_read(value, signature->value) ||
               fail(error, SIGNATURE_ERROR_MALFORMED, "Signature is not 64 hex digits");
    }
    return fail(error, SIGNATURE_ERROR_MALFORMED,
                "Authorization has an unknown part or one twice; expected Access=, "
                "SignedHeaders=, Signature=");
}

static bool authorization_read(Signature *signature, const char *value, GError **error)
{
    if (!signature_is_meant(value))
        return fail(error, SIGNATURE_ERROR_MALFORMED, "Authorization is not " SIGNATURE_SCHEME);
    bool has_signature = false;
    g_auto(GStrv) parts = g_strsplit(value + strlen(SIGNATURE_SCHEME), ",", -1);
    for (char **part = parts; *part; part++)
        if (!part_read(signature, *part, &has_signature, error))
            return false;
    const char *missing = !signature->access  ? "Access"
                          : !signature->names ? "SignedHeaders"
                          : !has_signature    ? "Signature"
                                              : NULL;
    return !missing || fail(error, SIGNATURE_ERROR_MALFORMED, "Authorization has no %s=", missing);
}

/* YYYYMMDDTHHMMSSZ -> ms since 1970; false: it is none. */
static bool date_read(const char *text, int64_t *ms)
{
    static const char FORM[] = "ddddddddTddddddZ";
    static const int WIDTHS[] = {4, 2, 2, 2, 2, 2};
    int fields[6] = {0};
    if (strlen(text) != strlen(FORM))
        return false;
    for (int i = 0; FORM[i]; i++)
        if (FORM[i] == 'd' ? !g_ascii_isdigit(text[i]) : text[i] != FORM[i])
            return false;
    for (int i = 0, at = 0; i < 6; i++)
        for (int end = at + WIDTHS[i] + (i == 3 ? 1 : 0); at < end; at++)
            if (text[at] != 'T')
                fields[i] = fields[i] * 10 + (text[at] - '0');
    if (fields[0] < 1970)
        return false;
    g_autoptr(GDateTime) date =
        g_date_time_new_utc(fields[0], fields[1], fields[2], fields[3], fields[4], fields[5]);
    *ms = date ? g_date_time_to_unix(date) * 1000 : 0;
    return date != NULL;
}

static bool date_check(Signature *signature, const SignatureRequest *request, int64_t now,
                       GError **error)
{
    int64_t sent;
    const char *date = header_only(request, HEADER_DATE, true, error);
    if (!date)
        return false;
    if (!date_read(date, &sent))
        return fail(error, SIGNATURE_ERROR_MALFORMED, "X-Sdk-Date is not YYYYMMDDTHHMMSSZ");
    signature->date = g_strdup(date);
    if (!g_strv_contains((const char *const *)signature->names, HEADER_DATE))
        return fail(error, SIGNATURE_ERROR_MALFORMED,
                    "SignedHeaders must name x-sdk-date: else a request could be sent for ever");
    if (ABS(now - sent) <= SIGNATURE_WINDOW_MS)
        return true;
    g_autoptr(GDateTime) here = g_date_time_new_from_unix_utc(now / 1000);
    g_autofree char *ours = g_date_time_format(here, "%Y%m%dT%H%M%SZ");
    return fail(error, SIGNATURE_ERROR_SKEWED,
                "X-Sdk-Date is %s, here it is %s: more than 15 minutes apart", date, ours);
}

static bool payload_check(Signature *signature, const SignatureRequest *request, GError **error)
{
    unsigned char bytes[SIGNATURE_BYTES];
    GError *failure = NULL;
    const char *payload = header_only(request, HEADER_PAYLOAD, false, &failure);
    if (failure) {
        g_propagate_error(error, failure);
        return false;
    }
    if (payload && strcmp(payload, SIGNATURE_UNSIGNED) != 0 && !hex_read(payload, bytes))
        return fail(error, SIGNATURE_ERROR_MALFORMED,
                    "X-Sdk-Content-Sha256 is neither 64 hex digits nor " SIGNATURE_UNSIGNED);
    signature->payload = g_strdup(payload);
    return true;
}

static bool header_is_there(const SignatureRequest *request, const char *name)
{
    for (gsize i = 0; i < request->header_count; i++)
        if (g_ascii_strcasecmp(request->headers[i].name, name) == 0)
            return true;
    return false;
}

static bool names_check(const Signature *signature, const SignatureRequest *request, GError **error)
{
    for (char **name = signature->names; *name; name++)
        if (!header_is_there(request, *name))
            return fail(error, SIGNATURE_ERROR_MALFORMED,
                        "SignedHeaders names %s, which the request does not have", *name);
    return true;
}

Signature *signature_read(const SignatureRequest *request, int64_t now, GError **error)
{
    g_autoptr(Signature) signature = g_new0(Signature, 1);
    const char *value = header_only(request, HEADER_AUTHORIZATION, true, error);
    if (!value || !authorization_read(signature, value, error) ||
        !date_check(signature, request, now, error) || !payload_check(signature, request, error) ||
        !names_check(signature, request, error))
        return NULL;
    return g_steal_pointer(&signature);
}

/* -- the canonical request -- */

/* The bytes that a part of a target means; NULL: a bad escape, or a NUL. */
static GString *part_decode(const char *text, gsize length, bool plus_is_space)
{
    g_autoptr(GString) bytes = g_string_sized_new(length);
    for (gsize i = 0; i < length; i++) {
        char byte = text[i] == '+' && plus_is_space ? ' ' : text[i];
        if (byte == '%') {
            if (length - i < 3 || !g_ascii_isxdigit(text[i + 1]) || !g_ascii_isxdigit(text[i + 2]))
                return NULL;
            byte =
                (char)(g_ascii_xdigit_value(text[i + 1]) << 4 | g_ascii_xdigit_value(text[i + 2]));
            i += 2;
        }
        if (!byte)
            return NULL;
        g_string_append_c(bytes, byte);
    }
    return g_steal_pointer(&bytes);
}

/* All but A-Z a-z 0-9 - . _ ~ as %XX, in upper case (RFC 3986, 2.3). */
static void part_encode(GString *out, const char *bytes)
{
    for (; *bytes; bytes++)
        if (g_ascii_isalnum(*bytes) || strchr("-._~", *bytes))
            g_string_append_c(out, *bytes);
        else
            g_string_append_printf(out, "%%%02X", (unsigned char)*bytes);
}

static void string_free(GString *string)
{
    if (string)
        g_string_free(string, TRUE);
}

static bool path_append(GString *out, const char *path, gsize length)
{
    for (gsize at = 0; at < length;) {
        const char *slash = memchr(path + at, '/', length - at);
        gsize part = slash ? (gsize)(slash - path) - at : length - at;
        g_autoptr(GString) bytes = part_decode(path + at, part, false);
        if (!bytes)
            return false;
        part_encode(out, bytes->str);
        at += part;
        if (slash) {
            g_string_append_c(out, '/');
            at++;
        }
    }
    if (!out->len || out->str[out->len - 1] != '/')
        g_string_append_c(out, '/');
    return true;
}

typedef struct {
    GString *name, *value;
} Parameter;

static void parameter_clear(gpointer data)
{
    Parameter *parameter = data;
    string_free(parameter->name);
    string_free(parameter->value);
}

static int parameter_compare(gconstpointer a, gconstpointer b)
{
    const Parameter *one = a, *other = b;
    int order = strcmp(one->name->str, other->name->str);
    return order ? order : strcmp(one->value->str, other->value->str);
}

static bool query_append(GString *out, const char *query)
{
    g_autoptr(GArray) parameters = g_array_new(FALSE, FALSE, sizeof(Parameter));
    g_array_set_clear_func(parameters, parameter_clear);
    g_auto(GStrv) pairs = g_strsplit(query, "&", -1);
    for (char **pair = pairs; *pair; pair++) {
        const char *equals = strchr(*pair, '=');
        const char *value = equals ? equals + 1 : "";
        if (!**pair)
            continue;
        Parameter parameter = {part_decode(*pair, equals ? (gsize)(equals - *pair) : strlen(*pair),
                                           true),
                               part_decode(value, strlen(value), true)};
        g_array_append_val(parameters, parameter);
        if (!parameter.name || !parameter.value)
            return false;
    }
    g_array_sort(parameters, parameter_compare);
    for (guint i = 0; i < parameters->len; i++) {
        const Parameter *parameter = &g_array_index(parameters, Parameter, i);
        if (i > 0)
            g_string_append_c(out, '&');
        part_encode(out, parameter->name->str);
        g_string_append_c(out, '=');
        part_encode(out, parameter->value->str);
    }
    return true;
}

static int text_compare(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* A header that was sent several times has a line for each value, sorted, as the SDK for Go has it;
 * the others send none twice. */
static void header_append(GString *out, const SignatureRequest *request, const char *name)
{
    g_autoptr(GPtrArray) values = g_ptr_array_new_with_free_func(g_free);
    for (gsize i = 0; i < request->header_count; i++)
        if (g_ascii_strcasecmp(request->headers[i].name, name) == 0)
            g_ptr_array_add(values, g_strstrip(g_strdup(request->headers[i].value)));
    g_ptr_array_sort(values, text_compare);
    for (guint i = 0; i < values->len; i++)
        g_string_append_printf(out, "%s:%s\n", name, (const char *)values->pdata[i]);
}

char *signature_canonical(const SignatureRequest *request, char *const *names, const char *payload)
{
    const char *mark = strchr(request->target, '?');
    gsize length = mark ? (gsize)(mark - request->target) : strlen(request->target);
    g_autofree char *method = g_ascii_strup(request->method, -1);
    g_autoptr(GString) path = g_string_new(NULL);
    g_autoptr(GString) query = g_string_new(NULL);
    if (!path_append(path, request->target, length) || (mark && !query_append(query, mark + 1)))
        return NULL;
    g_autoptr(GString) headers = g_string_new(NULL);
    for (char *const *name = names; *name; name++)
        header_append(headers, request, *name);
    g_autofree char *list = g_strjoinv(";", (char **)names);
    return g_strdup_printf("%s\n%s\n%s\n%s\n%s\n%s", method, path->str, query->str, headers->str,
                           list, payload);
}

bool signature_verify(const Signature *signature, const SignatureRequest *request,
                      const char *secret, const char *body)
{
    const char *payload = signature->payload ? signature->payload : body;
    g_autofree char *canonical = signature_canonical(request, signature->names, payload);
    char hex[SIGNATURE_HEX_LENGTH + 1];
    unsigned char expected[SIGNATURE_BYTES];
    if (!canonical)
        return false;
    BodyHash *hash = body_hash_new();
    body_hash_update(hash, canonical, strlen(canonical));
    body_hash_finish(hash, hex);
    body_hash_free(hash);
    g_autofree char *text = g_strdup_printf(SIGNATURE_SCHEME "\n%s\n%s", signature->date, hex);
    return HMAC(EVP_sha256(), secret, (int)strlen(secret), (const unsigned char *)text,
                strlen(text), expected, NULL) &&
           CRYPTO_memcmp(expected, signature->value, SIGNATURE_BYTES) == 0;
}

bool signature_fits_body(const Signature *signature, const char *body)
{
    return !signature->payload || strcmp(signature->payload, SIGNATURE_UNSIGNED) == 0 ||
           g_ascii_strcasecmp(signature->payload, body) == 0;
}

/* -- bodies -- */

struct BodyHash {
    EVP_MD_CTX *context;
};

BodyHash *body_hash_new(void)
{
    BodyHash *hash = g_new0(BodyHash, 1);
    hash->context = EVP_MD_CTX_new();
    if (!hash->context || EVP_DigestInit_ex(hash->context, EVP_sha256(), NULL) != 1)
        g_error("SHA-256 is not to be had");
    return hash;
}

void body_hash_free(BodyHash *hash)
{
    if (!hash)
        return;
    EVP_MD_CTX_free(hash->context);
    g_free(hash);
}

void body_hash_update(BodyHash *hash, const void *data, gsize size)
{
    EVP_DigestUpdate(hash->context, data, size);
}

void body_hash_finish(BodyHash *hash, char hex[SIGNATURE_HEX_LENGTH + 1])
{
    unsigned char bytes[EVP_MAX_MD_SIZE];
    EVP_DigestFinal_ex(hash->context, bytes, NULL);
    hex_of(bytes, hex);
}
