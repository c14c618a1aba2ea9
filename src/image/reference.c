#include "image/reference.h"

#include <stdint.h>
#include <string.h>

#include "base/digest.h"
#include "base/error_domain.h"

/* distribution-spec, "Pulling manifests": <name> and <reference>. */
#define PATTERN_HOST       "^([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\\[[0-9A-Fa-f:]+\\])(:[0-9]{1,5})?$"
#define PATTERN_COMPONENT  "[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*"
#define PATTERN_REPOSITORY "^" PATTERN_COMPONENT "(/" PATTERN_COMPONENT ")*$"
#define PATTERN_TAG        "^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$"
/* What a ref.name may hold is a matter of taste among the tools; we only refuse what cannot be
 * shown on one line. */
#define PATTERN_REF_NAME   "^[\\x21-\\x7e]+$"
/* What docker-registry, skopeo and umoci all take (images.md, "Names"). */
#define PATTERN_PLAIN_NAME "^[a-z0-9]+(([._-]|--)[a-z0-9]+)*$"

#define MAX_REPOSITORY     255 /* bytes, with the host: docker-registry's limit */
#define ENCODED_NAME_BYTES 10
#define ENCODED_PREFIX     "x--"

DEFINE_ERROR_DOMAIN(reference_error);

/* Bytes, not UTF-8: the text may be anything. */
static bool matches(const char *pattern, const char *text)
{
    return g_regex_match_simple(pattern, text, G_REGEX_RAW | G_REGEX_DOLLAR_ENDONLY, 0);
}

bool reference_is_repository(const char *text)
{
    return strlen(text) <= MAX_REPOSITORY && matches(PATTERN_REPOSITORY, text);
}

bool reference_is_tag(const char *text)
{
    return matches(PATTERN_TAG, text);
}

static bool fail(GError **error, const char *what, const char *found, const char *expected)
{
    g_autofree char *readable = g_utf8_make_valid(found, -1);
    g_set_error(error, REFERENCE_ERROR, REFERENCE_ERROR_SYNTAX, "%s is \"%s\", expected %s", what,
                readable, expected);
    return false;
}

/* Splits "NAME@sha256:…" off: cuts rest at the @ and keeps the digest. */
static bool take_digest(Reference *reference, char *rest, GError **error)
{
    char *at = strstr(rest, "@sha256:");
    if (!at)
        return true;
    if (!digest_is_valid(at + 1))
        return fail(error, "the digest", at + 1, "sha256: and 64 lower-case hex digits");
    reference->digest = g_strdup(at + 1);
    *at = '\0';
    return true;
}

static bool parse_layout(Reference *reference, char *rest, GError **error)
{
    if (!take_digest(reference, rest, error))
        return false;
    char *colon = strchr(rest, ':');
    if (colon)
        *colon++ = '\0';
    if (rest[0] == '\0')
        return fail(error, "the image reference", reference->text, "oci:DIR:TAG");
    if (colon && reference->digest)
        return fail(error, "the image reference", reference->text,
                    "a tag or a digest, not both: oci:DIR:TAG or oci:DIR@DIGEST");
    if (!colon && !reference->digest)
        return fail(error, "the image reference", reference->text,
                    "a tag at its end: oci:DIR:TAG or oci:DIR@DIGEST");
    if (colon && !matches(PATTERN_REF_NAME, colon))
        return fail(error, "the tag", colon, "printable ASCII without spaces");
    reference->directory = g_strdup(rest);
    reference->tag = g_strdup(colon);
    return true;
}

static bool check_host(const char *host, GError **error)
{
    static const char EXPECTED[] = "HOST[:PORT], a name with a dot or a port, or localhost";
    if (!matches(PATTERN_HOST, host) || (!strpbrk(host, ".:") && strcmp(host, "localhost") != 0))
        return fail(error, "the registry", host, EXPECTED);
    const char *port = strrchr(host, ':');
    if (!port || host[strlen(host) - 1] == ']')
        return true;
    guint64 number = g_ascii_strtoull(port + 1, NULL, 10);
    if (number < 1 || number > 65535)
        return fail(error, "the registry's port", port + 1, "1 to 65535");
    return true;
}

static bool parse_registry(Reference *reference, char *rest, GError **error)
{
    static const char EXPECTED[] = "HOST[:PORT]/REPOSITORY:TAG, HOST[:PORT]/REPOSITORY@DIGEST "
                                   "or oci:DIR:TAG";
    if (strstr(rest, "://"))
        return fail(error, "the image reference", reference->text,
                    "no scheme, or registry+http:// for a registry without TLS");
    if (!take_digest(reference, rest, error))
        return false;
    char *repository = strchr(rest, '/');
    if (!repository)
        return fail(error, "the image reference", reference->text, EXPECTED);
    *repository++ = '\0';
    if (!check_host(rest, error))
        return false;

    char *tag = strchr(repository, ':');
    if (tag)
        *tag++ = '\0';
    if (tag && reference->digest)
        return fail(error, "the image reference", reference->text, "a tag or a digest, not both");
    if (!tag && !reference->digest)
        return fail(error, "the image reference", reference->text, "a tag or a digest at its end");
    if (strlen(rest) + 1 + strlen(repository) > MAX_REPOSITORY)
        return fail(error, "the repository", repository, "at most 255 bytes with its host");
    if (!reference_is_repository(repository))
        return fail(error, "the repository", repository,
                    "lower-case letters and digits, with single '.', '_', '__' or '-' between "
                    "them, and '/' between its parts");
    if (tag && !reference_is_tag(tag))
        return fail(error, "the tag", tag,
                    "1 to 128 letters, digits, '_', '.' and '-', with no '.' or '-' in front");
    reference->host = g_strdup(rest);
    reference->repository = g_strdup(repository);
    reference->tag = g_strdup(tag);
    return true;
}

Reference *reference_parse(const char *text, GError **error)
{
    g_autoptr(Reference) reference = g_new0(Reference, 1);
    reference->text = g_strdup(text);
    g_autofree char *copy = g_strdup(text);
    char *rest = copy;
    bool parsed;
    if (g_str_has_prefix(rest, "oci:")) {
        reference->kind = REFERENCE_LAYOUT;
        parsed = parse_layout(reference, rest + strlen("oci:"), error);
    } else {
        reference->kind = REFERENCE_REGISTRY;
        reference->plain_http = g_str_has_prefix(rest, REFERENCE_PLAIN_HTTP);
        if (reference->plain_http)
            rest += strlen(REFERENCE_PLAIN_HTTP);
        parsed = parse_registry(reference, rest, error);
    }
    return parsed ? g_steal_pointer(&reference) : NULL;
}

void reference_free(Reference *reference)
{
    if (!reference)
        return;
    g_free(reference->host);
    g_free(reference->directory);
    g_free(reference->repository);
    g_free(reference->tag);
    g_free(reference->digest);
    g_free(reference->text);
    g_free(reference);
}

/* RFC 4648, in lower case. The size is a multiple of 5 bytes, so that there is no padding. */
static char *base32(const unsigned char *data, size_t size)
{
    static const char ALPHABET[] = "abcdefghijklmnopqrstuvwxyz234567";
    GString *text = g_string_new(NULL);
    for (size_t i = 0; i < size; i += 5) {
        uint64_t group = 0;
        for (size_t j = 0; j < 5; j++)
            group = group << 8 | data[i + j];
        for (int shift = 35; shift >= 0; shift -= 5)
            g_string_append_c(text, ALPHABET[group >> shift & 31]);
    }
    return g_string_free(text, FALSE);
}

char *reference_encode_name(const char *name)
{
    if (matches(PATTERN_PLAIN_NAME, name) && !g_str_has_prefix(name, ENCODED_PREFIX))
        return g_strdup(name);
    g_autofree char *digest = digest_of(name, strlen(name));
    const char *hex = digest_hex(digest);
    unsigned char bytes[ENCODED_NAME_BYTES];
    for (int i = 0; i < ENCODED_NAME_BYTES; i++)
        bytes[i] = (unsigned char)(g_ascii_xdigit_value(hex[2 * i]) << 4 |
                                   g_ascii_xdigit_value(hex[2 * i + 1]));
    g_autofree char *encoded = base32(bytes, sizeof(bytes));
    return g_strconcat(ENCODED_PREFIX, encoded, NULL);
}

char *reference_repository(const char *project, const char *name)
{
    g_autofree char *project_part = reference_encode_name(project);
    g_autofree char *name_part = reference_encode_name(name);
    return g_strdup_printf("%s/%s", project_part, name_part);
}

char *reference_name(const char *project, const char *name, const char *version)
{
    g_autofree char *repository = reference_repository(project, name);
    return g_strdup_printf("%s:%s", repository, version);
}
